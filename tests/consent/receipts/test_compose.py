"""What a record says of real decisions: with a choice and without one, whose data, by which agreement, by whom."""

from typing import Any

import pytest

from consent.decisions import How, pause, refuse, withdraw
from consent.purposes import PurposeVersionView
from consent.receipts.compose import LAWFUL, compose_record
from consent.receipts.durations import read_duration
from consent.receipts.errors import NoReceipt
from consent.receipts.record import ConsentDocument
from consent.registry.attributes import register_attribute
from consent.registry.versions import propose_version
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.receipts.conftest import ADDRESSES, Office
from tests.consent.registry import SITI, a_purpose, decision, grant_to, item, notice_of, write_agency, write_registry
from tests.support.clock import FakeClock
from tests.support.purposes import TERMS, active_agreement, approved

pytestmark = pytest.mark.anyio

DPIA = {"url": "https://kesehatan.example/dpia", "date": "2026-01-05"}
RECORD = "urn:satupintu:data:rumahsakit:health_record"


async def test_where_the_law_leaves_no_choice_the_record_says_that_a_notice_was_shown(
    office: Office, database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        version = await write_registry(
            session,
            now=clock(),
            entropy=entropy,
            items=[item("name", required=True)],
            legal_basis="public_task",
            legal_citation="UU 23/2006 pasal 58",
        )
        told = await grant_to(session, version, now=clock(), entropy=entropy, granted=["name"])
    record = (await office.receipt(told)).record
    assert record.processing.lawful_basis == "uupdp:20.2.e"
    assert record.processing.legal_citation == "UU 23/2006 pasal 58"
    (event,) = record.events
    assert (event.event_type, event.event_state) == ("PublicInterest", "urn:satupintu:terms:notice_given")


def test_every_basis_of_the_law_has_its_point() -> None:
    assert sorted(point for point, _ in LAWFUL.values()) == [f"uupdp:20.2.{letter}" for letter in "abcdef"]


async def test_data_of_another_agency_names_it_and_the_agreement(
    office: Office, database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    now = clock()
    async with database.transaction() as session:
        asks = await write_agency(session, now=now, entropy=entropy)
        holds = await write_agency(session, now=now, entropy=entropy, code="rumahsakit")
        await register_attribute(
            session,
            source_agency_id=holds,
            name="health_record",
            labels={"id": "Rekam medis", "en": "Health record"},
            category="health",
            dpv_iri="https://w3id.org/dpv/pd#HealthRecord",
            now=now,
            entropy=entropy,
        )
        says = a_purpose(items=[item("name", required=True), item(RECORD)], use_limit=3, use_window_days=30)
        version = await propose_version(
            session,
            agency_id=asks,
            terms={**TERMS, "impact_assessment": DPIA},
            proposed_by="Wati",
            now=now,
            entropy=entropy,
            **says,
        )
        await active_agreement(session, version=version, provider_agency_id=holds, now=now, entropy=entropy)
        version = await approved(session, version, now=now, entropy=entropy)
        given = await grant_to(session, version, now=now, entropy=entropy, granted=["name", RECORD])
    record = (await office.receipt(given)).record
    assert [(party.party_id, party.party_role) for party in record.parties] == [
        ("kesehatan", "controller"),
        ("rumahsakit", "source"),
    ]
    name, guarded = record.processing.pii_information
    assert (name.source, name.sensitive_pii_category, name.pii_optional) == (None, None, False)
    assert (guarded.source, guarded.sensitive_pii_category, guarded.pii_optional) == ("rumahsakit", "health", True)
    assert guarded.pii_type == "Rekam medis"
    assert record.processing.impact_assessment == DPIA["url"]
    assert record.processing.agreement is not None
    assert record.processing.agreement.instrument == "cooperation_agreement PKS-7/2026"
    assert (record.processing.use_limit, record.processing.use_window) == (3, "P30D")
    assert ConsentDocument.read(record.as_json()) == record


async def test_the_record_says_what_the_versions_terms_say(office: Office, given: str) -> None:
    process = (await office.receipt(given)).record.processing
    assert process.purpose_type == TERMS["dpv_purpose_iri"]
    assert list(process.processing_method or ()) == TERMS["processing"]
    assert list(process.privacy_rights or ()) == TERMS["privacy_rights"]
    assert (process.storage_locations, process.jurisdiction) == (("ID",), "ID")
    assert process.recipient_third_parties == ()
    assert process.retention_period == "P365D"
    assert process.withdrawal_url == "https://idp.test/my/consents"
    assert process.purpose_version == "kunjungan@1"


async def test_how_long_it_holds_is_said_at_each_event(
    office: Office, given: str, database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        await pause(session, consent_id=given, subject_id=SITI, now=clock.advance(days=1), entropy=entropy)
        await withdraw(session, consent_id=given, subject_id=SITI, now=clock.advance(days=1), entropy=entropy)
    events = (await office.receipt(given)).record.events
    assert [(event.event_kind, event.status) for event in events] == [
        ("granted", "given"),
        ("paused", "paused"),
        ("withdrawn", "withdrawn"),
    ]
    assert [read_duration(event.validity_duration).days for event in events] == [90, 0, 0]
    # DPV has no word for a pause: what matters is that it permits nothing.
    assert events[1].event_state == "ConsentStatusInvalidForProcessing"


async def test_a_no_has_a_receipt_and_grants_nothing(
    office: Office, version: PurposeVersionView, database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        refused = await refuse(
            session,
            who=decision(version, subject_ref="kQ3"),
            refused=version.claims,
            notice=notice_of(version),
            now=clock(),
            entropy=entropy,
        )
    record = (await office.receipt(refused)).record
    assert record.state == "ConsentRefused"
    assert (record.granted, set(record.refused)) == ((), set(version.claims))
    assert record.pii_principal_id == "kQ3"
    assert record.events[0].entity_id == "kQ3"


@pytest.mark.parametrize(
    ("changes", "entity"),
    [
        ({}, f"consent:{'{id}'}"),
        ({"entered_by": "0f000000-0000-4000-8000-000000000001"}, f"consent:{'{id}'}"),
        ({"actor": "0f000000-0000-4000-8000-000000000001"}, "officer"),
        ({"actor": "client:lab"}, "client:lab"),
    ],
)
async def test_who_did_it_is_said_without_anybodys_own_id(
    changes: dict[str, Any],
    entity: str,
    office: Office,
    given: str,
    database: Database,
    clock: FakeClock,
    entropy: Entropy,
) -> None:
    how = How(**{"channel": "counter" if "entered_by" in changes else "web", **changes})
    async with database.transaction() as session:
        await pause(session, consent_id=given, subject_id=SITI, now=clock(), entropy=entropy, how=how)
    record = (await office.receipt(given)).record
    assert record.events[-1].entity_id == entity.replace("{id}", given)
    assert "0f000000" not in str(record.as_json())


async def test_of_nothing_there_is_no_record(database: Database) -> None:
    async with database.reading() as session:
        with pytest.raises(NoReceipt):
            await compose_record(session, (), addresses=ADDRESSES, origin="log")
