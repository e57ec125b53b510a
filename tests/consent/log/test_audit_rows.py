from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions import withdraw
from consent.erasure.person import Keep, Order, advance_erasure, request_erasure
from consent.erasure.retention import RULES, Periods, apply_rule
from consent.events import Event
from consent.log import audit_projections
from consent.log.findings import How, Report
from consent.log.models import LogEntry
from consent.models import Agency, ConsentEvent, ConsentRecord, OfficerAction, PurposeVersion
from consent.registry.models import RegistryEvent
from consent.uses.models import Use
from consent.vault import PersonKey
from consent.withdrawal.models import Delivery
from idp.database import Database
from keys.entropy import new_row_id
from tests.consent.log.evidence import ENTROPY, Evidence, write_evidence
from tests.consent.log.running import open_log
from tests.consent.registry import BUDI, SITI
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite

pytestmark = pytest.mark.anyio

# Both kinds of row are leaves of access, and a leaf does not tell which of them is gone.
A_USE = "consent_uses or consent_use_delays"


@pytest.fixture
async def evidence(database: Database, tmp_path: Path, clock: FakeClock) -> Evidence:
    return await write_evidence(open_log(database, tmp_path, clock))


async def tamper(evidence: Evidence, *statements: Any) -> Report:
    """Changes the database behind the service's back, and audits it."""
    async with evidence.log.database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement) if isinstance(statement, str) else statement)
    return await evidence.audit()


def told(report: Report) -> set[tuple[str, str, str | None]]:
    return {(finding.how.value, finding.table, finding.row) for finding in report.findings}


async def test_what_nobody_touched_is_intact(evidence: Evidence) -> None:
    report = await evidence.audit()
    assert report.findings == []
    assert report.intact
    assert report.size == report.checked["consent_log_entries"]
    assert report.size == 3 + 3 + 2 + report.checked["consent_registry_events"]
    assert report.checked["consent_events"] == 3
    assert report.checked["consent_uses"] == 3
    assert report.checked["consent_officer_actions"] == 2
    assert report.checked["consent_registry_events"] >= 4
    assert report.waiting == 0


async def test_what_waits_for_its_place_is_checked_too(evidence: Evidence) -> None:
    (waiting,) = await evidence.log.append(1)
    report = await evidence.audit()
    assert report.waiting == 1
    assert told(report) == {("deleted", "consent_registry_events", waiting)}, "an entry of nothing"


@pytest.mark.parametrize(
    "change",
    [
        {"channel": "phone"},
        {"kind": "renewed"},
        {"at": "later"},
        {"subject_id": BUDI},
        {"body": b"noise"},
        {"hash": bytes(32)},
        {"previous_hash": bytes([1]) * 32},
    ],
    ids=lambda change: next(iter(change)),
)
@only_sqlite
async def test_an_edited_event_is_named(evidence: Evidence, change: dict[str, Any]) -> None:
    event = (await evidence.events_of(evidence.siti))[-1]
    if change == {"at": "later"}:
        change = {"at": evidence.log.clock() + timedelta(days=1)}
    report = await tamper(evidence, update(ConsentEvent).where(ConsentEvent.id == event).values(**change))
    assert ("edited", "consent_events", event) in told(report)
    assert {row for _, _, row in told(report)} == {event}
    assert report.findings[0].place == await evidence.place_of(event)


async def test_an_edited_use_is_named(evidence: Evidence) -> None:
    use = evidence.uses[1]
    report = await tamper(evidence, update(Use).where(Use.id == use).values(action="introspect"))
    assert told(report) == {("edited", "consent_uses", use)}


@only_sqlite
async def test_bodies_that_were_exchanged_are_named(evidence: Evidence) -> None:
    first, second, _ = evidence.uses
    async with evidence.log.database.reading() as session:
        body = await session.scalar(select(Use.body).where(Use.id == second))
    report = await tamper(evidence, update(Use).where(Use.id == first).values(body=body))
    assert told(report) == {("edited", "consent_uses", first)}


@only_sqlite
async def test_an_officer_who_looked_at_less_than_they_did_is_named(evidence: Evidence) -> None:
    report = await tamper(
        evidence, update(OfficerAction).where(OfficerAction.id == evidence.look).values(reason="by order")
    )
    assert told(report) == {("edited", "consent_officer_actions", evidence.look)}


@only_sqlite
async def test_an_approval_by_somebody_else_is_named(evidence: Evidence) -> None:
    async with evidence.log.database.reading() as session:
        event = await session.scalar(select(RegistryEvent.id).order_by(RegistryEvent.id.desc()).limit(1))
    report = await tamper(
        evidence, update(RegistryEvent).where(RegistryEvent.id == event).values(actor="nobody in particular")
    )
    assert told(report) == {("edited", "consent_registry_events", event)}


async def test_a_deleted_event_is_named(evidence: Evidence) -> None:
    event = (await evidence.events_of(evidence.siti))[-1]
    report = await tamper(evidence, delete(Delivery), delete(ConsentEvent).where(ConsentEvent.id == event))
    assert ("deleted", "consent_events", event) in told(report)
    assert ("deleted", "consent_events", f"of the consent {evidence.siti}") in told(report)


@only_sqlite
async def test_a_deleted_use_or_look_is_named(evidence: Evidence) -> None:
    use = evidence.uses[0]
    report = await tamper(
        evidence,
        delete(Use).where(Use.id == use),
        delete(OfficerAction).where(OfficerAction.id == evidence.look),
    )
    assert told(report) == {("deleted", A_USE, use), ("deleted", "consent_officer_actions", evidence.look)}


async def test_a_row_that_was_deleted_with_its_entry_leaves_a_gap_in_the_log(evidence: Evidence) -> None:
    use = evidence.uses[0]
    place = await evidence.place_of(use)
    report = await tamper(evidence, delete(Use).where(Use.id == use), delete(LogEntry).where(LogEntry.id == use))
    (finding,) = report.findings
    assert (finding.how, finding.table, finding.place) == (How.DELETED, "consent_log_entries", place)
    assert "the log has 636f6e73656e746c6f672f76310a02" in finding.why, "and it says that it was a disclosure"


@only_sqlite
async def test_an_event_that_vanished_before_it_had_its_place_is_missed_by_its_consent(evidence: Evidence) -> None:
    event = (await evidence.events_of(evidence.siti))[-1]
    await tamper(evidence, update(LogEntry).where(LogEntry.id == event).values(log_index=None))
    report = await tamper(
        evidence,
        delete(Delivery),
        delete(ConsentEvent).where(ConsentEvent.id == event),
        delete(LogEntry).where(LogEntry.id == event),
    )
    assert ("deleted", "consent_events", f"of the consent {evidence.siti}") in told(report)


async def test_a_row_without_an_entry_was_inserted(evidence: Evidence) -> None:
    async with evidence.log.database.reading() as session:
        row = (await session.execute(select(Use.__table__).where(Use.id == evidence.uses[0]))).one()
    forged = new_row_id(ENTROPY, evidence.log.clock())
    report = await tamper(evidence, insert(Use).values({**row._mapping, "id": forged, "reference": "x"}))
    assert told(report) == {("inserted", "consent_uses", forged)}


async def test_a_row_with_an_entry_that_is_not_its_own_was_edited(evidence: Evidence) -> None:
    async with evidence.log.database.reading() as session:
        row = (await session.execute(select(Use.__table__).where(Use.id == evidence.uses[0]))).one()
    forged = new_row_id(ENTROPY, evidence.log.clock())
    report = await tamper(
        evidence,
        insert(Use).values({**row._mapping, "id": forged, "reference": "x"}),
        insert(LogEntry).values(id=forged, kind=2, commitment=bytes(32), at=evidence.log.clock(), log_index=None),
    )
    assert told(report) == {("edited", "consent_uses", forged)}


@only_sqlite
async def test_an_entry_of_another_kind_is_named(evidence: Evidence) -> None:
    use = evidence.uses[0]
    report = await tamper(evidence, update(LogEntry).where(LogEntry.id == use).values(kind=5))
    assert ("edited", "consent_uses", use) in told(report)
    assert ("edited", "consent_log_entries", use) in told(report)


async def test_erasing_a_person_leaves_the_rest_provable_and_the_audit_quiet(evidence: Evidence) -> None:
    log, keep = evidence.log, Keep(evidence=timedelta(0), uses=timedelta(0))
    async with log.database.transaction() as session:
        await request_erasure(
            session,
            SITI,
            keep=keep,
            wait=timedelta(0),
            requested_by=SITI,
            order=Order(citation="UU 27/2022 pasal 43"),
            now=log.clock(),
            entropy=ENTROPY,
        )
    async with log.database.transaction() as session:
        await advance_erasure(session, now=log.clock.advance(60), entropy=ENTROPY)
    assert (await evidence.audit()).findings == [], "the key is destroyed, the rows are still to be tidied"
    for _ in range(20):
        async with log.database.transaction() as session:
            await advance_erasure(session, now=log.clock.advance(600), entropy=ENTROPY)
    await log.sequence()
    report = await evidence.audit()
    assert report.findings == []
    assert report.erased == {"consent_events": 2, "consent_uses": 2, "consent_officer_actions": 1}
    assert report.checked["consent_erasure_entries"] >= 1


@only_sqlite
async def test_rows_that_somebody_made_nobodys_by_hand_are_noticed(evidence: Evidence) -> None:
    nobody = "00000000-0000-4000-8000-000000000009"
    report = await tamper(
        evidence, update(Use).where(Use.id == evidence.uses[0]).values(subject_id=nobody, body=b"", reference=None)
    )
    (finding,) = report.findings
    assert (finding.how, finding.table) == (How.EDITED, "consent_uses")
    assert finding.why == "1 rows name nobody any more, and 0 were erased by a rule"


@only_sqlite
async def test_a_key_that_was_destroyed_by_hand_is_noticed(evidence: Evidence) -> None:
    report = await tamper(evidence, update(PersonKey).where(PersonKey.subject_id == BUDI).values(sealed=None))
    assert {(finding.how, finding.table) for finding in report.findings} == {
        (How.EDITED, "consent_events"),
        (How.EDITED, "consent_uses"),
    }


@only_sqlite
async def test_an_event_of_somebody_erased_still_has_its_links_checked(evidence: Evidence) -> None:
    event = (await evidence.events_of(evidence.siti))[-1]
    report = await tamper(
        evidence,
        delete(PersonKey).where(PersonKey.subject_id == SITI),
        update(ConsentRecord).where(ConsentRecord.id == evidence.siti).values(erased_at=evidence.log.clock()),
        update(ConsentEvent).where(ConsentEvent.id == event).values(previous_hash=bytes([7]) * 32),
    )
    assert ("edited", "consent_events", event) in told(report)


async def delete_old_uses(evidence: Evidence) -> None:
    """What housekeeping does a year and more later."""
    rule = next(rule for rule in RULES if rule.name == "uses")
    keep = Periods(evidence=timedelta(days=365), uses=timedelta(days=365), refusals=timedelta(days=90))
    now = evidence.log.clock.advance(days=400)
    async with evidence.log.database.transaction() as session:
        assert await apply_rule(session, rule, keep, now=now, entropy=ENTROPY, limit=100) == 3
    await evidence.log.sequence()


async def test_uses_that_a_rule_has_deleted_are_missing_rightly(evidence: Evidence) -> None:
    await delete_old_uses(evidence)
    report = await evidence.audit()
    assert report.findings == []
    assert report.checked["consent_uses"] == 0


@only_sqlite
async def test_a_use_of_today_is_not_excused_by_the_rule_for_old_ones_nor_by_a_forged_id(evidence: Evidence) -> None:
    old = evidence.uses[0]
    await delete_old_uses(evidence)
    async with evidence.log.database.reading() as session:
        version = (await session.execute(select(ConsentRecord).where(ConsentRecord.id == evidence.budi))).scalar_one()
    fresh = await evidence.use(BUDI, evidence.budi, version.purpose_version_id, version.agency_id)
    await evidence.log.sequence()
    assert (await evidence.audit()).findings == []
    report = await tamper(evidence, delete(Use).where(Use.id == fresh))
    assert told(report) == {("deleted", A_USE, fresh)}
    as_old = f"{old[:-4]}ffff"
    report = await tamper(evidence, update(LogEntry).where(LogEntry.id == fresh).values(id=as_old))
    assert told(report) == {("deleted", A_USE, as_old)}, "its place tells that it is none of those"


@only_sqlite
async def test_a_withdrawn_consent_that_was_made_to_stand_again_is_named(evidence: Evidence) -> None:
    report = await tamper(
        evidence,
        update(ConsentRecord).where(ConsentRecord.id == evidence.siti).values(status="given", ended_at=None),
        update(ConsentRecord).where(ConsentRecord.id == evidence.budi).values(granted=["name", "email", "gender"]),
    )
    assert told(report) == {
        ("edited", "consent_records", evidence.siti),
        ("edited", "consent_records", evidence.budi),
    }
    assert {finding.why for finding in report.findings} == {
        "its status, ended_at are not what its events say",
        "its granted are not what its events say",
    }


async def test_altered_words_of_a_purpose_and_an_altered_agency_are_named(evidence: Evidence) -> None:
    report = await tamper(
        evidence,
        update(PurposeVersion).values(retention_days=3650),
        update(Agency).values(status="suspended"),
    )
    assert {(finding.table, finding.why) for finding in report.findings} == {
        ("consent_purpose_versions", "its words are not those of its digest"),
        ("consent_agencies", "it is suspended, and its events say active"),
    }


async def test_what_changes_while_it_is_checked_is_no_finding(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The consent is read, then withdrawn, and then its events are read: they differ, and a second look agrees."""
    read_stories = audit_projections._stories
    withdrawn = 0

    async def withdraw_meanwhile(session: AsyncSession, consent_ids: Sequence[str]) -> dict[str, list[Event]]:
        nonlocal withdrawn
        async with evidence.log.database.transaction() as writing:
            now = evidence.log.clock.advance(1)
            await withdraw(writing, consent_id=evidence.budi, subject_id=BUDI, now=now, entropy=ENTROPY)
        withdrawn += 1
        return await read_stories(session, consent_ids)

    monkeypatch.setattr(audit_projections, "_stories", withdraw_meanwhile)
    report = await evidence.audit()
    assert withdrawn == 1
    assert report.findings == []
