"""What is no consent: a no, which is remembered for a while; and a notice, which is not the person's to take back."""

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import pytest

from consent.decisions import let_go, lift_refusal, pause, remembered_refusal, shorten, withdraw
from consent.errors import CannotFollow, NotAChoice
from tests.consent.desk import Desk
from tests.consent.registry import APP, BUDI, SITI, item, write_registry
from tests.consent.stored import events, every_row_is_what_its_events_say

pytestmark = pytest.mark.anyio


async def test_a_no_is_remembered_for_a_while_for_this_version_of_this_app(desk: Desk) -> None:
    refused = await desk.deny()

    async def remembered(now: datetime, client_id: str = APP, version_id: str = desk.version.id) -> str | None:
        async with desk.database.reading() as session:
            found = await remembered_refusal(
                session, subject_id=SITI, client_id=client_id, purpose_version_id=version_id, now=now
            )
        return found.consent_id if found is not None else None

    until = desk.clock() + timedelta(days=90)
    assert (await desk.row(refused)).valid_until == until
    assert await remembered(until - timedelta(microseconds=1)) == refused
    assert await remembered(until) is None
    assert await remembered(desk.clock(), client_id="another") is None
    assert await remembered(desk.clock(), version_id=BUDI) is None


async def test_a_person_who_wants_to_be_asked_lifts_every_no_that_would_keep_the_question_away(desk: Desk) -> None:
    first, second = await desk.deny(), await desk.deny()
    desk.clock.advance(60)
    await desk.act(lift_refusal, first)
    for consent_id in (first, second):
        assert (await desk.row(consent_id)).status == "refused"
        assert [event.kind for event in await events(desk.database, consent_id)] == ["refused", "changed"]
    async with desk.database.reading() as session:
        assert (
            await remembered_refusal(
                session, subject_id=SITI, client_id=APP, purpose_version_id=desk.version.id, now=desk.clock()
            )
            is None
        )
    with pytest.raises(CannotFollow):
        await desk.act(lift_refusal, second)
    await every_row_is_what_its_events_say(desk.database)


async def test_a_no_may_be_remembered_not_at_all(desk: Desk) -> None:
    consent_id = await desk.deny(cool_down=timedelta(0))
    with pytest.raises(CannotFollow):
        await desk.act(lift_refusal, consent_id)


@pytest.mark.parametrize(("what", "more"), [(withdraw, {}), (pause, {}), (let_go, {"item": "name"}), (shorten, {})])
async def test_what_is_by_law_and_not_by_consent_is_not_taken_back(
    what: Callable[..., Coroutine[Any, Any, Any]], more: dict[str, Any], desk: Desk
) -> None:
    async with desk.database.transaction() as session:
        desk.version = await write_registry(
            session,
            now=desk.clock(),
            entropy=desk.entropy,
            agency="pajak",
            code="lapor",
            items=[item("name", required=True)],
            legal_basis="legal_obligation",
            legal_citation="UU 28/2007 pasal 35A",
        )
    consent_id = await desk.give(granted=desk.version.claims)
    filled_in = {"until": desk.clock() + timedelta(days=1)} if what is shorten else more
    with pytest.raises(NotAChoice, match="legal_obligation"):
        await desk.act(what, consent_id, **filled_in)
    assert (await desk.row(consent_id)).status == "given"


async def test_a_notice_that_somebody_stopped_at_is_no_refusal_to_remember(desk: Desk) -> None:
    async with desk.database.transaction() as session:
        desk.version = await write_registry(
            session,
            now=desk.clock(),
            entropy=desk.entropy,
            agency="pajak",
            code="lapor",
            items=[item("name", required=True)],
            legal_basis="public_task",
        )
    consent_id = await desk.deny()
    assert (await desk.row(consent_id)).valid_until is None
