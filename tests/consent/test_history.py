"""The two windows on what was decided, and what can be taken away."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from consent.cursor import Cursor
from consent.decisions import refuse, withdraw
from consent.errors import NotYours, UnknownConsent, UnknownCursor
from consent.event_list import EventFilter, list_events
from consent.events import Intact
from consent.export import COLUMNS, csv_rows, json_lines
from consent.history import (
    ConsentSummary,
    consent_by_id,
    consent_of,
    consents_of,
)
from consent.log.entry import commit
from consent.models import OfficerAction
from consent.oversight import record_officer_action
from consent.purposes import PurposeVersionView
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import (
    BUDI,
    SITI,
    a_purpose,
    decision,
    grant_to,
    notice_of,
    write_registry,
)
from tests.support.clock import FakeClock
from tests.support.purposes import active_purpose

pytestmark = pytest.mark.anyio


async def test_a_person_sees_all_that_they_decided_newest_first_and_nothing_of_others(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        await grant_to(session, version, subject_id=BUDI, now=clock(), entropy=entropy)
        made = [
            await grant_to(session, version, client_id=f"app-{n}", now=clock.advance(n % 2), entropy=entropy)
            for n in range(5)
        ]

    seen: list[ConsentSummary] = []
    place = None
    async with database.reading() as session:
        while True:
            page = await consents_of(session, subject_id=SITI, after=place, limit=2)
            seen += page.consents
            if page.next is None:
                break
            place = Cursor.parse(str(page.next))

    assert sorted(consent.id for consent in seen) == sorted(made)
    assert [consent.decided_at for consent in seen] == sorted((c.decided_at for c in seen), reverse=True)
    assert seen[0].texts["id"]["name"] == "Kunjungan"
    assert seen[0].agency_names["en"] == "Ministry of kesehatan"
    assert (seen[0].purpose_code, seen[0].purpose_version) == ("kunjungan", 1)
    assert (seen[0].granted, seen[0].refused) == (("email", "name"), ("gender",))
    assert seen[0].in_force(clock())
    assert not seen[0].in_force(clock() + timedelta(days=90))


async def test_a_person_can_look_at_what_is_in_force_only(
    database: Database, version: PurposeVersionView, withdrawn: str, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        given = await grant_to(session, version, now=clock(), entropy=entropy)
        now = await consents_of(session, subject_id=SITI, current_at=clock())
        later = await consents_of(session, subject_id=SITI, current_at=clock() + timedelta(days=90))
    assert [consent.id for consent in now.consents] == [given]
    assert withdrawn != given
    assert later.consents == ()


async def test_the_text_that_was_agreed_to_stays_when_the_purpose_changes(
    database: Database, version: PurposeVersionView, withdrawn: str, clock: FakeClock, entropy: Entropy
) -> None:
    texts = a_purpose()["texts"]
    texts["id"]["name"] = "Kunjungan baru"
    async with database.transaction() as session:
        await active_purpose(
            session,
            agency_id=version.agency_id,
            **a_purpose(texts=texts),
            now=clock(),
            entropy=entropy,
        )
        detail = await consent_of(session, consent_id=withdrawn, subject_id=SITI)
    assert detail.consent.texts["id"]["name"] == "Kunjungan"
    assert detail.consent.purpose_version == 1


async def test_a_consent_opens_with_its_events_and_the_exact_text(
    database: Database, version: PurposeVersionView, withdrawn: str
) -> None:
    async with database.reading() as session:
        detail = await consent_of(session, consent_id=withdrawn, subject_id=SITI)

    assert detail.consent.status == "withdrawn"
    assert [event.kind for event in detail.events] == ["granted", "withdrawn"]
    assert detail.chain == Intact(2, detail.events[-1].hash)
    notice = notice_of(version)
    assert detail.events[0].text_sha256 == notice.sha256
    kept = detail.texts[notice.sha256]
    assert (kept.body, kept.language, kept.intact) == (notice.canonical().decode(), "id", True)


@pytest.mark.parametrize("consent_id", [None, BUDI, "not an id", "' OR 1=1"])
async def test_a_person_cannot_open_anothers_consent_or_learn_whether_it_exists(
    consent_id: str | None, database: Database, withdrawn: str
) -> None:
    async with database.reading() as session:
        with pytest.raises(NotYours, match=r"^you have no such consent$"):
            await consent_of(session, consent_id=consent_id or withdrawn, subject_id=BUDI)


@pytest.mark.parametrize("consent_id", [BUDI, "not an id"])
async def test_an_officer_learns_that_a_consent_does_not_exist(consent_id: str, database: Database) -> None:
    async with database.reading() as session:
        with pytest.raises(UnknownConsent):
            await consent_by_id(session, consent_id)


@pytest.fixture
async def busy(database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy) -> datetime:
    """Two agencies, two people, a day between their decisions. Returns when the first day began."""
    began = clock()
    async with database.transaction() as session:
        other = await write_registry(
            session, now=clock(), entropy=entropy, agency="pajak", code="lapor", retention_days=0
        )
        first = await grant_to(session, version, now=clock(), entropy=entropy)
        await grant_to(session, version, subject_id=BUDI, now=clock.advance(1), entropy=entropy)
        clock.advance(days=1)
        await grant_to(session, other, client_id="pajak-app", now=clock(), entropy=entropy)
        await withdraw(session, consent_id=first, subject_id=SITI, now=clock.advance(1), entropy=entropy)
        await refuse(
            session,
            who=decision(version),
            refused=version.claims,
            notice=notice_of(version),
            now=clock.advance(1),
            entropy=entropy,
        )
    return began


SECOND_DAY = timedelta(days=1, seconds=1)


@pytest.mark.parametrize(
    ("chosen", "kinds"),
    [
        ({}, ["refused", "withdrawn", "granted", "granted", "granted"]),
        ({"agency": "kesehatan"}, ["refused", "withdrawn", "granted", "granted"]),
        ({"agency": "pajak"}, ["granted"]),
        ({"purpose": "lapor"}, ["granted"]),
        ({"subject_id": BUDI}, ["granted"]),
        ({"kind": "withdrawn"}, ["withdrawn"]),
        ({"kind": "expired"}, []),
        ({"since": SECOND_DAY}, ["refused", "withdrawn", "granted"]),
        ({"since": SECOND_DAY + timedelta(microseconds=1)}, ["refused", "withdrawn"]),
        ({"until": SECOND_DAY}, ["granted", "granted"]),
        ({"since": timedelta(seconds=1), "until": SECOND_DAY}, ["granted"]),
        ({"agency": "kesehatan", "subject_id": SITI, "kind": "granted"}, ["granted"]),
        ({"subject_id": "not an id"}, []),
    ],
)
async def test_an_officer_finds_events_by(
    chosen: dict[str, Any], kinds: list[str], database: Database, busy: datetime
) -> None:
    async with database.reading() as session:
        every = (await list_events(session, filters=EventFilter())).events
        agencies = {listed.agency_code: listed.event.agency_id for listed in every}
        purposes = {listed.purpose_code: listed.event.purpose_id for listed in every}
        filters = EventFilter(
            agency_id=agencies.get(chosen.get("agency", "")),
            purpose_id=purposes.get(chosen.get("purpose", "")),
            subject_id=chosen.get("subject_id"),
            kind=chosen.get("kind"),
            since=busy + chosen["since"] if "since" in chosen else None,
            until=busy + chosen["until"] if "until" in chosen else None,
        )
        page = await list_events(session, filters=filters)

    assert [listed.event.kind for listed in page.events] == kinds
    assert page.next is None


async def test_pages_neither_skip_nor_repeat_while_events_arrive(
    database: Database, version: PurposeVersionView, busy: datetime, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.reading() as session:
        before = [listed.event.id for listed in (await list_events(session, filters=EventFilter())).events]
    seen: list[str] = []
    place = None
    while True:
        async with database.transaction() as session:
            page = await list_events(session, filters=EventFilter(), after=place, limit=2)
            await grant_to(session, version, client_id=f"new-{len(seen)}", now=clock.advance(1), entropy=entropy)
        seen += [listed.event.id for listed in page.events]
        if page.next is None:
            break
        place = Cursor.parse(str(page.next))
    assert seen == before


async def test_events_of_one_moment_are_all_listed(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        for number in range(7):
            await grant_to(session, version, client_id=f"app-{number}", now=clock(), entropy=entropy)
    seen = set()
    place = None
    async with database.reading() as session:
        for _ in range(3):
            page = await list_events(session, filters=EventFilter(), after=place, limit=3)
            seen |= {listed.event.client_id for listed in page.events}
            place = page.next
    assert place is None
    assert len(seen) == 7


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1)), st.uuids())
def test_a_place_in_a_list_survives_an_address(at: datetime, row_id: Any) -> None:
    place = Cursor(at.replace(tzinfo=UTC), str(row_id))

    assert Cursor.parse(str(place)) == place


@pytest.mark.parametrize("text", ["", "1", "1-2", "x-" + "0" * 32, "9" * 19 + "-" + "0" * 32, "-1-" + "0" * 32])
def test_an_invented_place_in_a_list_is_refused(text: str) -> None:
    with pytest.raises(UnknownCursor):
        Cursor.parse(text)


async def test_an_export_as_json_lines_can_be_recomputed_by_a_stranger(database: Database, busy: datetime) -> None:
    counted: list[int] = []
    async with database.reading() as session:
        pieces = [piece async for piece in json_lines(session, filters=EventFilter(), batch=2, count=counted.append)]

    lines = [json.loads(line) for line in "".join(pieces).splitlines()]
    assert counted == [2, 2, 1]
    assert len(pieces) == 3
    assert len(lines) == 5
    for line in lines:
        assert commit(bytes.fromhex(line["opening"]), line["event"]).hex() == line["hash"]
    assert lines[2]["agency"] == "pajak"


async def test_an_export_as_csv_is_the_filtered_list_with_a_header(database: Database, busy: datetime) -> None:
    async with database.reading() as session:
        text = "".join([piece async for piece in csv_rows(session, filters=EventFilter(kind="granted"), batch=2)])
    header, *rows = csv.reader(io.StringIO(text))
    assert tuple(header) == COLUMNS
    assert [row[header.index("agency")] for row in rows] == ["pajak", "kesehatan", "kesehatan"]
    assert rows[0][header.index("granted")] == "email name"
    assert rows[0][header.index("valid_until")].endswith("+00:00")


async def test_an_export_of_nothing_is_a_header_and_no_lines(database: Database) -> None:
    async with database.reading() as session:
        assert [piece async for piece in csv_rows(session, filters=EventFilter())] == [",".join(COLUMNS) + "\r\n"]
        assert [piece async for piece in json_lines(session, filters=EventFilter())] == []


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
async def test_a_spreadsheet_runs_no_formula_from_an_export(
    evil: str, database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        consent_id = await grant_to(session, version, now=clock(), entropy=entropy)
        await withdraw(session, consent_id=consent_id, subject_id=SITI, now=clock(), entropy=entropy, reason=evil)
    async with database.reading() as session:
        text = "".join([piece async for piece in csv_rows(session, filters=EventFilter(kind="withdrawn"))])
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert row[header.index("reason")] == f"'{evil}"


async def test_looking_is_recorded(database: Database, busy: datetime, clock: FakeClock, entropy: Entropy) -> None:
    async with database.transaction() as session:
        action_id = await record_officer_action(
            session,
            officer_id=BUDI,
            action="list",
            filters=EventFilter(kind="granted", since=busy),
            rows=3,
            now=clock(),
            entropy=entropy,
        )
    async with database.reading() as session:
        action = (await session.scalars(select(OfficerAction))).one()
    assert (action.id, action.officer_id, action.action, action.rows) == (action_id, BUDI, "list", 3)
    assert action.filters == {"kind": "granted", "since": busy.isoformat()}
