"""What a person decides is written whole, once, and in the caller's transaction."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from consent.coverage import Ask, Covered, Reason, Uncovered, covers
from consent.decisions import Withdrawn, expire_due, grant, refuse, standing, withdraw
from consent.errors import DecisionRefused, NothingToWithdraw, NotYours
from consent.models import ConsentEvent, ShownText
from consent.notice import Notice
from consent.purposes import PurposeVersionView
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import APP, BUDI, SITI, decision, grant_to, notice_of
from tests.consent.stored import events, every_row_is_what_its_events_say, records
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio


async def test_a_grant_is_a_record_an_event_and_the_text_as_shown(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    notice = notice_of(version, offline_access=True)
    async with database.transaction() as session:
        consent_id = await grant(
            session,
            who=decision(version),
            granted={"name", "email"},
            refused={"gender"},
            offline_access=True,
            notice=notice,
            now=clock(),
            entropy=entropy,
        )

    (row,) = await records(database)
    assert (row.id, row.status, row.last_seq) == (consent_id, "given", 1)
    assert (row.granted, row.refused, row.offline_access) == (["email", "name"], ["gender"], True)
    assert (row.decided_at, row.valid_until, row.ended_at) == (clock(), clock() + timedelta(days=90), None)
    (event,) = await events(database, consent_id)
    assert (event.kind, event.seq, event.actor, event.channel, event.acr) == (
        "granted",
        1,
        "subject",
        "web",
        "password",
    )
    assert (event.language, event.text_sha256) == ("id", notice.sha256)
    async with database.reading() as session:
        assert await session.scalar(select(ShownText.body)) == notice.canonical().decode()
    await every_row_is_what_its_events_say(database)


async def test_where_a_person_stands_is_what_coverage_takes(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    ask = Ask(
        client_id=APP,
        agency_id=version.agency_id,
        purpose_version_id=version.id,
        purpose_id=version.purpose_id,
        required=version.required,
        optional=version.claims - version.required,
        offline_access=False,
    )

    async def answer(subject_id: str = SITI) -> Covered | Uncovered:
        async with database.reading() as session:
            where = await standing(session, subject_id=subject_id, client_id=APP, purpose_id=version.purpose_id)
        return covers(where, ask, clock())

    assert await answer() == Uncovered(Reason.NEVER_DECIDED, version.claims)
    async with database.transaction() as session:
        consent_id = await grant_to(session, version, now=clock(), entropy=entropy)
    assert await answer() == Covered(consent_id, frozenset({"name", "email"}))
    assert await answer(BUDI) == Uncovered(Reason.NEVER_DECIDED, version.claims)
    async with database.transaction() as session:
        await withdraw(session, consent_id=consent_id, subject_id=SITI, now=clock(), entropy=entropy)
    assert await answer() == Uncovered(Reason.WITHDRAWN, version.claims)


async def test_a_new_grant_supersedes_the_earlier_one(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        first = await grant_to(session, version, now=clock(), entropy=entropy)
    clock.advance(60)
    async with database.transaction() as session:
        second = await grant_to(session, version, granted=version.claims, now=clock(), entropy=entropy)

    assert [(row.id, row.status) for row in await records(database)] == [(first, "superseded"), (second, "given")]
    granted, superseded = await events(database, first)
    assert (superseded.kind, superseded.seq, superseded.reason) == ("superseded", 2, f"replaced by {second}")
    assert superseded.previous_hash == granted.hash
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(ShownText)) == 1
        where = await standing(session, subject_id=SITI, client_id=APP, purpose_id=version.purpose_id)
    assert where is not None
    assert where.consent_id == second
    await every_row_is_what_its_events_say(database)


async def test_a_grant_after_the_time_was_up_says_expired_and_not_superseded(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        first = await grant_to(session, version, now=clock(), entropy=entropy)
    clock.advance(days=90)
    async with database.transaction() as session:
        await grant_to(session, version, now=clock(), entropy=entropy)

    ended = (await events(database, first))[-1]
    assert (ended.kind, ended.actor, ended.reason) == ("expired", "system", None)
    await every_row_is_what_its_events_say(database)


async def test_a_refusal_is_recorded_and_takes_nothing_back(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        given = await grant_to(session, version, now=clock(), entropy=entropy)
    clock.advance(60)
    async with database.transaction() as session:
        refused = await refuse(
            session,
            who=decision(version),
            refused=version.claims,
            notice=notice_of(version),
            now=clock(),
            entropy=entropy,
        )

    assert [(row.id, row.status) for row in await records(database)] == [(given, "given"), (refused, "refused")]
    async with database.reading() as session:
        where = await standing(session, subject_id=SITI, client_id=APP, purpose_id=version.purpose_id)
    assert where is not None
    assert where.consent_id == given
    await every_row_is_what_its_events_say(database)


async def test_a_person_who_only_refused_stands_refused(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        await refuse(
            session,
            who=decision(version),
            refused=version.claims,
            notice=notice_of(version),
            now=clock(),
            entropy=entropy,
        )
        where = await standing(session, subject_id=SITI, client_id=APP, purpose_id=version.purpose_id)
    assert where is not None
    assert (where.status, where.granted, where.refused) == ("refused", frozenset(), version.claims)


@pytest.mark.parametrize(
    ("granted", "refused", "offline_access", "why"),
    [
        ({"email"}, {"gender", "name"}, False, "name is required"),
        ({"email"}, {"gender"}, False, "name is required"),
        ({"name"}, {"gender"}, False, "email is not decided"),
        ({"name", "email", "gender"}, {"gender"}, False, "gender is both"),
        ({"name", "email", "gender", "address"}, set(), False, "address was not shown"),
        ({"name", "email"}, {"gender", "address"}, False, "address was not shown"),
        ({"name", "email"}, {"gender"}, True, "offline access was not shown"),
    ],
)
async def test_a_grant_that_does_not_answer_what_was_shown_is_refused(
    granted: set[str],
    refused: set[str],
    offline_access: bool,
    why: str,
    database: Database,
    version: PurposeVersionView,
    clock: FakeClock,
    entropy: Entropy,
) -> None:
    with pytest.raises(DecisionRefused, match=why):
        async with database.transaction() as session:
            await grant(
                session,
                who=decision(version),
                granted=granted,
                refused=refused,
                offline_access=offline_access,
                notice=notice_of(version),
                now=clock(),
                entropy=entropy,
            )
    assert await records(database) == []


async def test_an_item_of_the_purpose_that_was_not_shown_cannot_be_granted(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    with pytest.raises(DecisionRefused, match="email was not shown"):
        async with database.transaction() as session:
            await grant(
                session,
                who=decision(version),
                granted={"name", "email"},
                refused=set(),
                offline_access=False,
                notice=notice_of(version, asked={"name"}),
                now=clock(),
                entropy=entropy,
            )


FORGERIES: list[tuple[dict[str, str], Callable[[Notice], Notice], str]] = [
    ({"client_id": "another"}, lambda notice: notice, "the app is not"),
    ({"agency_id": SITI}, lambda notice: notice, "the agency is not"),
    ({"purpose_id": SITI}, lambda notice: notice, "the purpose is not"),
    ({"language": "en"}, lambda notice: notice, "the language is not"),
    ({}, lambda notice: replace(notice, purpose_version_id=SITI), "the purpose version is not"),
    ({}, lambda notice: replace(notice, purpose_digest="00"), "the purpose's text is not"),
]


@pytest.mark.parametrize(("who", "forge", "why"), FORGERIES)
async def test_a_decision_about_something_else_than_the_notice_is_refused(
    who: dict[str, str],
    forge: Callable[[Notice], Notice],
    why: str,
    database: Database,
    version: PurposeVersionView,
    clock: FakeClock,
    entropy: Entropy,
) -> None:
    with pytest.raises(DecisionRefused, match=why):
        async with database.transaction() as session:
            await grant(
                session,
                who=decision(version, **who),
                granted=version.claims,
                refused=(),
                offline_access=False,
                notice=forge(notice_of(version)),
                now=clock(),
                entropy=entropy,
            )
    with pytest.raises(DecisionRefused, match=why):
        async with database.transaction() as session:
            await refuse(
                session,
                who=decision(version, **who),
                refused=version.claims,
                notice=forge(notice_of(version)),
                now=clock(),
                entropy=entropy,
            )
    assert await records(database) == []


async def test_a_withdrawal_ends_the_consent_and_says_whom_it_concerns(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        consent_id = await grant_to(session, version, now=clock(), entropy=entropy)
    clock.advance(60)
    async with database.transaction() as session:
        withdrawn = await withdraw(
            session,
            consent_id=consent_id,
            subject_id=SITI,
            actor="subject",
            now=clock(),
            entropy=entropy,
            reason="I moved",
        )

    assert withdrawn == Withdrawn(
        consent_id=consent_id,
        subject_id=SITI,
        client_id=APP,
        agency_id=version.agency_id,
        purpose_id=version.purpose_id,
        at=clock(),
    )
    (row,) = await records(database)
    assert (row.status, row.ended_at, row.last_seq) == ("withdrawn", clock(), 2)
    ended = (await events(database, consent_id))[-1]
    assert (ended.kind, ended.actor, ended.reason) == ("withdrawn", "subject", "I moved")
    await every_row_is_what_its_events_say(database)


async def test_a_consent_cannot_be_withdrawn_twice(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        consent_id = await grant_to(session, version, now=clock(), entropy=entropy)
        await withdraw(session, consent_id=consent_id, subject_id=SITI, now=clock(), entropy=entropy)
    with pytest.raises(NothingToWithdraw) as nothing:
        async with database.transaction() as session:
            await withdraw(session, consent_id=consent_id, subject_id=SITI, now=clock(), entropy=entropy)
    assert nothing.value.status == "withdrawn"
    assert len(await events(database, consent_id)) == 2


@pytest.mark.parametrize("consent_id", [None, BUDI, "not an id", "", "{" + BUDI + "}"])
async def test_nobody_withdraws_what_is_not_theirs_or_learns_whether_it_exists(
    consent_id: str | None, database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        sitis = await grant_to(session, version, now=clock(), entropy=entropy)
    with pytest.raises(NotYours, match=r"^you have no such consent$"):
        async with database.transaction() as session:
            await withdraw(
                session,
                consent_id=sitis if consent_id is None else consent_id,
                subject_id=BUDI,
                now=clock(),
                entropy=entropy,
            )
    (row,) = await records(database)
    assert row.status == "given"


async def test_what_depends_on_a_consent_goes_with_it_when_the_transaction_fails(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async def decide_and_crash() -> None:
        async with database.transaction() as session:
            await grant_to(session, version, now=clock(), entropy=entropy)
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        await decide_and_crash()
    assert await records(database) == []
    async with database.reading() as session:
        for table in (ConsentEvent, ShownText):
            assert await session.scalar(select(func.count()).select_from(table)) == 0


async def test_a_withdrawal_that_is_not_committed_did_not_happen(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        consent_id = await grant_to(session, version, now=clock(), entropy=entropy)

    async def withdraw_and_crash() -> None:
        async with database.transaction() as session:
            await withdraw(session, consent_id=consent_id, subject_id=SITI, now=clock(), entropy=entropy)
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        await withdraw_and_crash()
    (row,) = await records(database)
    assert row.status == "given"
    assert [event.kind for event in await events(database, consent_id)] == ["granted"]


async def test_consents_whose_time_is_up_are_ended_oldest_first_in_bounded_batches(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    ids = []
    for number in range(5):
        async with database.transaction() as session:
            ids.append(await grant_to(session, version, client_id=f"app-{number}", now=clock(), entropy=entropy))
        clock.advance(60)

    async def sweep() -> list[str]:
        async with database.transaction() as session:
            return await expire_due(session, now=clock(), entropy=entropy, limit=2)

    clock.advance(days=90, minutes=-2)
    clock.advance(-60)
    assert set(await sweep()) == set(ids[:2])
    assert await sweep() == [ids[2]]
    assert await sweep() == []
    assert [row.status for row in await records(database)] == ["expired"] * 3 + ["given"] * 2
    ended = (await events(database, ids[0]))[-1]
    assert (ended.kind, ended.actor, ended.at, ended.text_sha256) == ("expired", "system", clock(), None)
    await every_row_is_what_its_events_say(database)


async def test_an_expired_consent_cannot_be_withdrawn(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        consent_id = await grant_to(session, version, now=clock(), entropy=entropy)
        await expire_due(session, now=clock.advance(days=91), entropy=entropy)
    with pytest.raises(NothingToWithdraw, match="expired"):
        async with database.transaction() as session:
            await withdraw(session, consent_id=consent_id, subject_id=SITI, now=clock(), entropy=entropy)
