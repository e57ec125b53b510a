"""What a person changes of what they decided: a pause, one item less, an earlier end, a later one, a no taken back."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions import (
    expire_due,
    let_go,
    lift_refusal,
    pause,
    paused_at,
    resume,
    shorten,
    standing,
    withdraw,
)
from consent.errors import CannotFollow, DecisionRefused, NothingToWithdraw, NotYours
from consent.models import ConsentRecord
from consent.purposes import PurposeVersionView
from keys.entropy import Entropy
from tests.consent.desk import Desk
from tests.consent.registry import APP, BUDI, SITI, a_purpose, notice_of
from tests.consent.stored import events, every_row_is_what_its_events_say
from tests.support.purposes import active_purpose

pytestmark = pytest.mark.anyio


async def test_a_pause_stops_and_what_follows_is_what_was_before(desk: Desk) -> None:
    consent_id = await desk.give()
    desk.clock.advance(60)
    await desk.act(pause, consent_id)
    assert (await desk.row(consent_id)).status == "paused"
    async with desk.database.reading() as session:
        assert await paused_at(session, consent_id) == desk.clock()
    desk.clock.advance(60)
    await desk.act(resume, consent_id)
    assert (await desk.row(consent_id)).status == "given"
    assert [kind for kind, _ in await desk.told()] == ["paused", "resumed"]
    await every_row_is_what_its_events_say(desk.database)


async def test_a_renewed_consent_that_was_paused_goes_on_as_renewed(desk: Desk) -> None:
    consent_id = await desk.give()
    await desk.renew(consent_id)
    await desk.act(pause, consent_id)
    await desk.act(shorten, consent_id, until=desk.clock() + timedelta(days=5))
    await desk.act(resume, consent_id)
    assert (await desk.row(consent_id)).status == "renewed"
    assert [event.kind for event in await events(desk.database, consent_id)] == [
        "granted",
        "renewed",
        "paused",
        "changed",
        "resumed",
    ]
    await every_row_is_what_its_events_say(desk.database)


async def test_a_paused_consent_is_current_and_a_new_answer_takes_its_place(desk: Desk) -> None:
    first = await desk.give()
    await desk.act(pause, first)
    desk.clock.advance(1)
    second = await desk.give()
    assert [(await desk.row(one)).status for one in (first, second)] == ["superseded", "given"]
    await every_row_is_what_its_events_say(desk.database)


async def test_one_item_is_let_go_of_and_the_rest_stays(desk: Desk) -> None:
    consent_id = await desk.give()
    desk.clock.advance(60)
    await desk.act(let_go, consent_id, item="email")
    row = await desk.row(consent_id)
    assert (row.status, row.granted, row.refused) == ("given", ["name"], ["email", "gender"])
    assert row.decided_at == desk.clock() - timedelta(seconds=60)
    assert await desk.told() == [("changed", ["email"])]
    await every_row_is_what_its_events_say(desk.database)


@pytest.mark.parametrize(
    ("item", "why"), [("name", "name is required"), ("gender", "not granted"), ("", "not granted")]
)
async def test_an_item_that_cannot_be_let_go_of_stays(item: str, why: str, desk: Desk) -> None:
    consent_id = await desk.give()
    with pytest.raises(DecisionRefused, match=why):
        await desk.act(let_go, consent_id, item=item)
    assert (await desk.row(consent_id)).last_seq == 1
    assert await desk.told() == []


async def test_an_end_can_be_brought_nearer_and_nobody_has_to_stop_before(desk: Desk) -> None:
    consent_id = await desk.give()
    until = desk.clock() + timedelta(days=3)
    await desk.act(shorten, consent_id, until=until)
    assert (await desk.row(consent_id)).valid_until == until
    assert await desk.told() == []
    desk.clock.advance(days=3)
    async with desk.database.transaction() as session:
        assert await expire_due(session, now=desk.clock(), entropy=desk.entropy) == [consent_id]
    await every_row_is_what_its_events_say(desk.database)


@pytest.mark.parametrize("days", [-1, 0, 90, 91])
async def test_an_end_is_brought_nearer_only(days: int, desk: Desk) -> None:
    consent_id = await desk.give()
    with pytest.raises(DecisionRefused):
        await desk.act(shorten, consent_id, until=desk.clock() + timedelta(days=days))
    assert (await desk.row(consent_id)).valid_until == desk.clock() + timedelta(days=90)


@pytest.mark.parametrize("late", [30, 120])
async def test_a_consent_is_renewed_before_its_end_or_after_it(late: int, desk: Desk) -> None:
    consent_id = await desk.give(offline_access=True)
    desk.clock.advance(days=late)
    async with desk.database.transaction() as session:
        await expire_due(session, now=desk.clock(), entropy=desk.entropy)
    until = await desk.renew(consent_id, offline_access=True)
    row = await desk.row(consent_id)
    assert until == row.valid_until == desk.clock() + timedelta(days=90)
    assert (row.status, row.granted, row.offline_access, row.ended_at) == ("renewed", ["email", "name"], True, None)
    assert row.decided_at == desk.clock()
    last = (await events(desk.database, consent_id))[-1]
    assert (last.kind, last.language, last.text_sha256) == (
        "renewed",
        "id",
        notice_of(desk.version, offline_access=True).sha256,
    )
    await every_row_is_what_its_events_say(desk.database)


async def test_a_renewal_counts_uses_anew(desk: Desk) -> None:
    consent_id = await desk.give()
    async with desk.database.transaction() as session:
        row = await session.get(ConsentRecord, consent_id)
        assert row is not None
        row.used, row.window_started_at = 7, desk.clock()
    await desk.renew(consent_id)
    assert ((await desk.row(consent_id)).used, (await desk.row(consent_id)).window_started_at) == (0, None)


async def test_a_renewal_is_for_what_was_agreed_to_and_nothing_else(desk: Desk) -> None:
    consent_id = await desk.give(granted=("name",))
    with pytest.raises(DecisionRefused, match="email was not shown"):
        await desk.renew(consent_id, asked={"name", "gender"})
    await desk.act(withdraw, consent_id)
    with pytest.raises(CannotFollow):
        await desk.renew(consent_id)


async def test_a_renewal_cannot_reach_beyond_a_newer_answer(desk: Desk) -> None:
    old = await desk.give()
    desk.clock.advance(days=90)
    async with desk.database.transaction() as session:
        await expire_due(session, now=desk.clock(), entropy=desk.entropy)
    desk.clock.advance(1)
    await desk.deny()
    with pytest.raises(CannotFollow, match="it is expired"):
        await desk.renew(old)
    assert (await desk.row(old)).status == "expired"


@pytest.mark.parametrize("compatible", [True, False])
async def test_a_new_version_is_renewed_into_only_if_it_is_compatible(compatible: bool, desk: Desk) -> None:
    consent_id = await desk.give()
    async with desk.database.transaction() as session:
        texts = {
            "id": {"name": "Kunjungan", "description": "Mendaftar kunjungan Anda.", "refusal": "Datang ke loket."},
            "en": {"name": "A visit", "description": "To register your visit.", "refusal": "Come to the desk."},
        }
        desk.version = await next_version(
            session, desk.version, texts=texts, compatible=compatible, now=desk.clock.advance(60), entropy=desk.entropy
        )
    if not compatible:
        with pytest.raises(DecisionRefused, match="has changed"):
            await desk.renew(consent_id)
        return
    await desk.renew(consent_id)
    row = await desk.row(consent_id)
    assert (row.status, row.purpose_version_id) == ("renewed", desk.version.id)
    await every_row_is_what_its_events_say(desk.database)


async def next_version(
    session: AsyncSession,
    version: PurposeVersionView,
    *,
    texts: dict[str, dict[str, str]],
    compatible: bool,
    now: datetime,
    entropy: Entropy,
) -> PurposeVersionView:
    """The next version of the purpose, in force."""
    return await active_purpose(
        session,
        agency_id=version.agency_id,
        compatible_with=(version.version,) if compatible else (),
        **a_purpose(texts=texts),
        now=now,
        entropy=entropy,
    )


ACTS: list[tuple[Callable[..., Coroutine[Any, Any, Any]], dict[str, Any]]] = [
    (withdraw, {}),
    (pause, {}),
    (resume, {}),
    (let_go, {"item": "email"}),
    (shorten, {"until": datetime(2030, 1, 1, tzinfo=UTC)}),
    (lift_refusal, {}),
]


@pytest.mark.parametrize(("what", "more"), ACTS)
@pytest.mark.parametrize("consent_id", [None, BUDI, "not an id"])
async def test_nobody_changes_what_is_not_theirs_or_learns_whether_it_exists(
    what: Callable[..., Coroutine[Any, Any, Any]], more: dict[str, Any], consent_id: str | None, desk: Desk
) -> None:
    sitis = await desk.give()
    with pytest.raises(NotYours, match=r"^you have no such consent$"):
        await desk.act(what, consent_id or sitis, subject_id=BUDI, **more)
    assert (await desk.row(sitis)).last_seq == 1


@pytest.mark.parametrize(
    ("before", "what", "error"),
    [
        ("given", resume, CannotFollow),
        ("given", lift_refusal, CannotFollow),
        ("paused", pause, CannotFollow),
        ("withdrawn", withdraw, NothingToWithdraw),
        ("withdrawn", pause, CannotFollow),
        ("withdrawn", resume, CannotFollow),
        ("withdrawn", let_go, CannotFollow),
        ("withdrawn", shorten, CannotFollow),
        ("refused", withdraw, NothingToWithdraw),
        ("refused", pause, CannotFollow),
        ("refused", let_go, CannotFollow),
        ("refused", shorten, CannotFollow),
        ("over", pause, CannotFollow),
        ("over while paused", resume, CannotFollow),
    ],
)
async def test_what_does_not_fit_is_refused_and_leaves_nothing_behind(
    before: str, what: Callable[..., Coroutine[Any, Any, Any]], error: type[Exception], desk: Desk
) -> None:
    consent_id = await (desk.deny() if before == "refused" else desk.give())
    if "paused" in before:
        await desk.act(pause, consent_id)
    if before == "withdrawn":
        await desk.act(withdraw, consent_id)
    if "over" in before:
        desk.clock.advance(days=90)
    seen = len(await events(desk.database, consent_id))
    more: dict[str, Any] = {}
    if what is let_go:
        more = {"item": "email"}
    elif what is shorten:
        more = {"until": desk.clock() + timedelta(days=1)}
    with pytest.raises(error):
        await desk.act(what, consent_id, **more)
    assert len(await events(desk.database, consent_id)) == seen
    await every_row_is_what_its_events_say(desk.database)


async def test_what_somebody_changes_is_not_written_when_the_transaction_fails(desk: Desk) -> None:
    consent_id = await desk.give()

    async def pause_and_crash() -> None:
        async with desk.database.transaction() as session:
            await pause(session, consent_id=consent_id, subject_id=SITI, now=desk.clock(), entropy=desk.entropy)
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        await pause_and_crash()
    assert (await desk.row(consent_id)).status == "given"
    assert await desk.told() == []
    await every_row_is_what_its_events_say(desk.database)


async def test_a_pause_shows_in_where_the_person_stands(desk: Desk) -> None:
    consent_id = await desk.give()
    desk.clock.advance(1)
    await desk.deny()
    await desk.act(pause, consent_id)
    async with desk.database.reading() as session:
        where = await standing(session, subject_id=SITI, client_id=APP, purpose_id=desk.version.purpose_id)
    assert where is not None
    assert (where.consent_id, where.status) == (consent_id, "paused")
