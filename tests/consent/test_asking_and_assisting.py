"""A question that waits, and decisions that somebody else writes down: who may, and what is kept of it."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions import Decision, grant, refuse, request, standing, withdraw
from consent.errors import ConsentError, DecisionRefused, NotMandated
from consent.history import assisted_among, consents_of
from consent.purposes import PurposeVersionView
from idp.database import Database
from keys.entropy import Entropy, sha256
from tests.consent.registry import APP, BUDI, SITI, a_purpose, decision, grant_to, notice_of
from tests.consent.stored import events, every_row_is_what_its_events_say, records
from tests.support.clock import FakeClock
from tests.support.purposes import active_purpose

pytestmark = pytest.mark.anyio

PAPER = sha256(b"a scan")


async def ask(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy, **changes: Any
) -> str:
    """An app asks Siti through its interface."""
    async with database.transaction() as session:
        return await request(
            session,
            who=decision(version, channel="api", actor=f"client:{APP}", **changes),
            notice=notice_of(version),
            now=clock(),
            entropy=entropy,
        )


async def test_a_question_waits_and_lets_nothing_through(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    consent_id = await ask(database, version, clock, entropy)
    (row,) = await records(database)
    assert (row.id, row.status, row.granted, row.refused, row.valid_until) == (consent_id, "requested", [], [], None)
    (event,) = await events(database, consent_id)
    assert (event.kind, event.channel, event.text_sha256) == ("requested", "api", notice_of(version).sha256)
    await every_row_is_what_its_events_say(database)


async def test_asking_again_is_the_same_question(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    first = await ask(database, version, clock, entropy)
    assert await ask(database, version, clock, entropy) == first
    assert len(await events(database, first)) == 1


@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_whoever_answers_answers_the_question_that_waits(
    answer: str, database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    consent_id = await ask(database, version, clock, entropy)
    clock.advance(60)
    async with database.transaction() as session:
        if answer == "yes":
            assert await grant_to(session, version, now=clock(), entropy=entropy) == consent_id
        else:
            refused = await refuse(
                session,
                who=decision(version),
                refused=version.claims,
                notice=notice_of(version),
                now=clock(),
                entropy=entropy,
            )
            assert refused == consent_id
    (row,) = await records(database)
    assert (row.status, row.decided_at, row.last_seq) == ("given" if answer == "yes" else "refused", clock(), 2)
    await every_row_is_what_its_events_say(database)


async def test_a_question_about_an_older_version_is_answered_by_the_answer_to_the_newer(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    asked = await ask(database, version, clock, entropy)
    async with database.transaction() as session:
        newer = await active_purpose(
            session,
            agency_id=version.agency_id,
            **a_purpose(retention_days=30),
            now=clock.advance(60),
            entropy=entropy,
        )
        given = await grant_to(session, newer, now=clock(), entropy=entropy)
    assert given != asked
    assert {row.id: row.status for row in await records(database)} == {asked: "superseded", given: "given"}
    await every_row_is_what_its_events_say(database)


async def test_a_question_hides_neither_a_no_nor_a_consent(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        refused = await refuse(
            session,
            who=decision(version),
            refused=version.claims,
            notice=notice_of(version),
            now=clock(),
            entropy=entropy,
        )
    clock.advance(60)
    await ask(database, version, clock, entropy)
    async with database.reading() as session:
        where = await standing(session, subject_id=SITI, client_id=APP, purpose_id=version.purpose_id)
    assert where is not None
    assert (where.consent_id, where.status) == (refused, "refused")


# --- written down by somebody else -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "fits"),
    [
        ({"channel": "counter", "entered_by": BUDI}, True),
        ({"channel": "phone", "entered_by": BUDI}, True),
        ({"channel": "paper", "entered_by": BUDI, "document_sha256": PAPER}, True),
        ({"channel": "counter"}, False),
        ({"channel": "web", "entered_by": BUDI}, False),
        ({"channel": "paper", "entered_by": BUDI}, False),
        ({"channel": "counter", "entered_by": BUDI, "document_sha256": PAPER}, False),
        ({"document_sha256": PAPER}, False),
        ({"channel": "counter", "entered_by": SITI}, False),
    ],
)
async def test_an_assisted_decision_says_who_entered_it_and_a_paper_one_has_its_paper(
    how: dict[str, Any],
    fits: bool,
    database: Database,
    version: PurposeVersionView,
    clock: FakeClock,
    entropy: Entropy,
) -> None:
    async def give() -> str:
        async with database.transaction() as session:
            return await grant(
                session,
                who=decision(version, **how),
                granted=version.claims,
                refused=(),
                offline_access=False,
                notice=notice_of(version),
                now=clock(),
                entropy=entropy,
            )

    if not fits:
        with pytest.raises(DecisionRefused):
            await give()
        assert await records(database) == []
        return
    consent_id = await give()
    (event,) = await events(database, consent_id)
    assert (event.channel, event.entered_by, event.actor) == (how["channel"], BUDI, "subject")
    assert event.document_sha256 == how.get("document_sha256")
    async with database.reading() as session:
        page = await consents_of(session, subject_id=SITI)
        assert await assisted_among(session, page.consents) == {consent_id: how["channel"]}
    await every_row_is_what_its_events_say(database)


async def test_a_withdrawal_at_a_counter_says_so_too(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        consent_id = await grant_to(session, version, now=clock(), entropy=entropy)
        await withdraw(
            session,
            consent_id=consent_id,
            subject_id=SITI,
            channel="paper",
            document_sha256=PAPER,
            entered_by=BUDI,
            now=clock(),
            entropy=entropy,
        )
        page = await consents_of(session, subject_id=SITI)
        assert await assisted_among(session, page.consents) == {}, "it was given on a page"
    last = (await events(database, consent_id))[-1]
    assert (last.channel, last.document_sha256, last.entered_by) == ("paper", PAPER, BUDI)


async def says_yes(_session: AsyncSession, who: Decision, /, *, now: datetime) -> bool:
    """A register that knows one mandate."""
    return who.mandate_id == SITI and now is not None


@pytest.mark.parametrize(
    ("who", "mandates", "error"),
    [
        ({"representative_id": BUDI, "mandate_id": SITI}, None, NotMandated),
        ({"representative_id": BUDI, "mandate_id": BUDI}, says_yes, NotMandated),
        ({"representative_id": BUDI}, says_yes, NotMandated),
        ({"mandate_id": SITI}, says_yes, NotMandated),
        ({"representative_id": BUDI, "mandate_id": SITI}, says_yes, None),
    ],
)
async def test_nobody_decides_for_another_without_a_mandate(
    who: dict[str, str],
    mandates: Any,
    error: type[ConsentError] | None,
    database: Database,
    version: PurposeVersionView,
    clock: FakeClock,
    entropy: Entropy,
) -> None:
    async def give() -> str:
        async with database.transaction() as session:
            return await grant(
                session,
                who=replace(decision(version, **who), actor="representative"),
                granted=version.claims,
                refused=(),
                offline_access=False,
                notice=notice_of(version),
                now=clock(),
                entropy=entropy,
                **({"mandates": mandates} if mandates is not None else {}),
            )

    if error is not None:
        with pytest.raises(error):
            await give()
        assert await records(database) == []
        return
    consent_id = await give()
    (row,) = await records(database)
    (event,) = await events(database, consent_id)
    assert (row.representative_id, row.mandate_id) == (event.representative_id, event.mandate_id) == (BUDI, SITI)


async def test_the_name_by_which_the_agency_knows_a_person_is_kept_and_sealed(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        consent_id = await grant(
            session,
            who=decision(version, subject_ref="pairwise-sub"),
            granted=version.claims,
            refused=(),
            offline_access=False,
            notice=notice_of(version),
            now=clock(),
            entropy=entropy,
        )
    (row,) = await records(database)
    (event,) = await events(database, consent_id)
    assert row.subject_ref == event.subject_ref == "pairwise-sub"
