"""Purposes and agencies: what may be written, and that versions never change."""

import asyncio
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from consent.agencies import agency_by_code, create_agency, list_agencies
from consent.errors import AgencyRefused, PurposeRefused, UnknownAgency, UnknownPurpose
from consent.models import Agency
from consent.purpose_checks import check_draft
from consent.purpose_draft import Draft
from consent.purposes import PurposeCatalogue, PurposeVersionView, list_purposes
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import a_purpose, item, write_agency, write_registry
from tests.support.clock import FakeClock
from tests.support.purposes import active_purpose

pytestmark = pytest.mark.anyio


async def next_version(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy, **changes: Any
) -> PurposeVersionView:
    async with database.transaction() as session:
        return await active_purpose(
            session, agency_id=version.agency_id, **a_purpose(**changes), now=clock(), entropy=entropy
        )


async def test_a_purpose_is_read_back_as_it_was_written(database: Database, version: PurposeVersionView) -> None:
    async with database.reading() as session:
        read = await PurposeCatalogue().version(session, version.id)

    wrote = a_purpose()
    assert read == version
    assert read.version == 1
    assert read.texts == wrote["texts"]
    assert [{"claim": i.claim, "required": i.required, "why": i.why} for i in read.items] == wrote["items"]
    assert (read.agency_names["en"], read.privacy_contact) == ("Ministry of kesehatan", "pdp@kesehatan.example")
    assert read.claims == {"name", "email", "gender"}
    assert read.required == {"name"}


async def test_changing_a_word_makes_a_version_and_leaves_the_earlier_one(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    texts = deepcopy(a_purpose()["texts"])
    texts["en"]["description"] = "To register a visit!"

    second = await next_version(database, version, clock, entropy, texts=texts)

    assert (second.version, second.purpose_id) == (2, version.purpose_id)
    assert second.digest != version.digest
    async with database.reading() as session:
        assert await PurposeCatalogue().version(session, version.id) == version
        assert await list_purposes(session) == [second]


@pytest.mark.parametrize(
    "changes",
    [
        {"items": [item("name", required=True), item("gender"), item("email")]},
        {"legal_citation": "UU 27/2022"},
        {"retention_days": 366},
        {"validity_days": 91},
    ],
)
async def test_whatever_a_person_would_read_differently_is_another_version(
    changes: dict[str, Any], database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    assert (await next_version(database, version, clock, entropy, **changes)).version == 2


async def test_writing_the_same_again_is_refused(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    with pytest.raises(PurposeRefused, match="version 1 of kunjungan says exactly this already"):
        await next_version(database, version, clock, entropy, created_by="another operator")


async def test_another_agency_cannot_write_a_version_of_a_purpose(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        other = await write_agency(session, now=clock(), entropy=entropy, code="pajak")
    with pytest.raises(PurposeRefused, match="belongs to another agency"):
        async with database.transaction() as session:
            await active_purpose(session, agency_id=other, **a_purpose(validity_days=1), now=clock(), entropy=entropy)


async def test_a_purpose_needs_an_agency(database: Database, clock: FakeClock, entropy: Entropy) -> None:
    with pytest.raises(UnknownAgency):
        async with database.transaction() as session:
            await active_purpose(
                session,
                agency_id="00000000-0000-4000-8000-000000000000",
                **a_purpose(),
                now=clock(),
                entropy=entropy,
            )


TEXTS: dict[str, dict[str, str]] = a_purpose()["texts"]


def with_text(language: str, name: str, text: str) -> dict[str, Any]:
    texts = deepcopy(TEXTS)
    texts[language][name] = text
    return {"texts": texts}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"code": "Kunjungan Rumah"}, "the code must be"),
        ({"code": ""}, "the code must be"),
        ({"code": "kunjungan\n"}, "the code must be"),
        ({"texts": {"id": TEXTS["id"]}}, "must be written in id and en"),
        ({"texts": {**TEXTS, "fr": TEXTS["en"]}}, "must be written in id and en"),
        ({"texts": {"id": {"name": "x"}, "en": TEXTS["en"]}}, "the texts in id must be"),
        (with_text("en", "refusal", ""), "the refusal in en is empty"),
        (with_text("en", "refusal", "  "), "the refusal in en is empty"),
        (with_text("id", "name", "x" * 121), "longer than 120"),
        (with_text("id", "name", "Kunjungan\nGratis"), r"invisible character \(U\+000A\)"),
        (with_text("id", "name", "Kun\u202ejungan"), r"invisible character \(U\+202E\)"),
        (with_text("id", "name", "Kun\u200bjungan"), r"invisible character \(U\+200B\)"),
        (with_text("id", "description", "a\x00b"), r"invisible character \(U\+0000\)"),
        ({"items": []}, "1 to 40 data items"),
        ({"items": [item("name"), item("name")]}, "name is listed 2 times"),
        ({"items": [item("shoe_size")]}, "shoe_size is not a known data item"),
        ({"items": [{"claim": "name", "required": True}]}, "nothing missing"),
        ({"items": [{**item("name"), "purpose": "x"}]}, "nothing else"),
        ({"items": ["name"]}, "an item is"),
        ({"items": [{**item("name"), "claim": ["name"]}]}, "claim is a text"),
        ({"items": [{**item("name"), "required": "yes"}]}, "whether it is required"),
        ({"items": [{**item("name"), "why": {"id": "Untuk"}}]}, "why name is asked for must be written in"),
        ({"items": [{**item("name"), "why": "because"}]}, "why name is asked for is not a text in each"),
        ({"items": [{**item("name"), "why": {"id": "Untuk", "en": 7}}]}, "why name .* in en is not a text"),
        ({"legal_basis": "curiosity"}, "the legal basis must be one of"),
        ({"legal_basis": "public_task"}, "email is optional, but the legal basis is public_task"),
        ({"legal_citation": ""}, "the legal citation is empty"),
        ({"retention_days": -1}, "retention_days must be"),
        ({"retention_days": 36501}, "retention_days must be"),
        ({"validity_days": 0}, "validity_days must be"),
        ({"validity_days": True}, "validity_days must be"),
        ({"validity_days": "90"}, "validity_days must be"),
    ],
)
def test_a_purpose_is_refused_when(changes: dict[str, Any], why: str) -> None:
    purpose = a_purpose(**changes)

    with pytest.raises(PurposeRefused, match=why) as refused:
        check_draft(Draft.read(**purpose))
    assert refused.value.why == str(refused.value)


async def test_a_purpose_that_fails_a_check_is_not_written(
    database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    with pytest.raises(PurposeRefused, match="the legal citation is empty"):
        async with database.transaction() as session:
            await write_registry(session, now=clock(), entropy=entropy, legal_citation="")
    async with database.reading() as session:
        assert await list_purposes(session) == []


async def test_of_two_next_versions_at_once_both_are_written_with_their_own_number(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    made = await asyncio.gather(
        *(next_version(database, version, clock, entropy, validity_days=days) for days in (1, 2, 3))
    )
    assert sorted(one.version for one in made) == [2, 3, 4]


async def test_a_purpose_that_the_law_gives_asks_only_for_what_it_needs(
    database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        version = await write_registry(
            session,
            now=clock(),
            entropy=entropy,
            legal_basis="public_task",
            items=[item("name", required=True)],
        )
    assert not version.is_choice


async def test_the_catalogue_sees_a_new_version_within_seconds_and_asks_the_database_no_sooner(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    catalogue = PurposeCatalogue(newest_for_seconds=5)
    statements: list[str] = []

    async def newest() -> PurposeVersionView | None:
        async with database.reading() as session:
            return await catalogue.newest(session, "kunjungan", now=clock())

    assert await newest() == version
    second = await next_version(database, version, clock, entropy, validity_days=7)

    @event.listens_for(database.engine.sync_engine, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "SELECT" in statement:
            statements.append(statement)

    clock.advance(4.9)
    assert await newest() == version
    assert statements == []
    clock.advance(0.1)
    assert await newest() == second
    assert len(statements) == 1
    async with database.reading() as session:
        assert await catalogue.version(session, version.id) == version
        assert await catalogue.version(session, second.id) == second
    assert len(statements) == 1


async def test_the_catalogue_reads_again_when_the_clock_was_set_back(
    database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy
) -> None:
    catalogue = PurposeCatalogue()
    async with database.reading() as session:
        await catalogue.newest(session, "kunjungan", now=clock() + timedelta(days=1))
    second = await next_version(database, version, clock, entropy, validity_days=7)
    async with database.reading() as session:
        assert await catalogue.newest(session, "kunjungan", now=clock()) == second


async def test_an_unknown_purpose_is_not_there_and_is_found_once_it_is(
    database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    catalogue = PurposeCatalogue()
    async with database.reading() as session:
        assert await catalogue.newest(session, "kunjungan", now=clock()) is None
        with pytest.raises(UnknownPurpose):
            await catalogue.version(session, "00000000-0000-4000-8000-000000000000")
    async with database.transaction() as session:
        version = await write_registry(session, now=clock(), entropy=entropy)
    async with database.reading() as session:
        assert await catalogue.newest(session, "kunjungan", now=clock()) == version


async def test_a_suspended_agency_can_ask_for_nothing_new(
    database: Database, version: PurposeVersionView, clock: FakeClock
) -> None:
    async with database.transaction() as session:
        await session.execute(update(Agency).where(Agency.id == version.agency_id).values(status="suspended"))
    async with database.reading() as session:
        assert await PurposeCatalogue().newest(session, "kunjungan", now=clock()) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"code": "Kementerian"}, "the code must be"),
        ({"code": "x" * 61}, "the code must be"),
        ({"names": {"id": "Kementerian"}}, "the name must be written in"),
        ({"names": {"id": "Kementerian", "en": "Min\u202eistry"}}, "the name in en has an invisible"),
        ({"contact": ""}, "the contact is empty"),
        ({"privacy_contact": " "}, "the privacy contact is empty"),
        ({"website": "javascript:alert(1)"}, "the website must be"),
        ({"website": "http://pajak.example"}, "the website must be"),
        ({"code": "kesehatan"}, "there is an agency with the code kesehatan already"),
    ],
)
async def test_an_agency_is_refused_when(
    changes: dict[str, Any],
    why: str,
    database: Database,
    version: PurposeVersionView,
    clock: FakeClock,
    entropy: Entropy,
) -> None:
    agency: dict[str, Any] = {
        "code": "pajak",
        "names": {"id": "Direktorat Pajak", "en": "Tax Directorate"},
        "contact": "Jalan Contoh 2",
        "privacy_contact": "pdp@pajak.example",
        "website": "https://pajak.example",
    }
    with pytest.raises(AgencyRefused, match=why):
        async with database.transaction() as session:
            await create_agency(session, **{**agency, **changes}, now=clock(), entropy=entropy)
    async with database.transaction() as session:
        await create_agency(session, **agency, now=clock(), entropy=entropy)
        assert [agency.code for agency in await list_agencies(session)] == ["kesehatan", "pajak"]
        assert await agency_by_code(session, "bea-cukai") is None
