"""The life of a purpose version: who may do what, when, and what is then true."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, update

from consent.agencies import suspend_agency
from consent.errors import ConsentError, PurposeRefused, ReviewRefused, UnknownPurpose
from consent.models import Agency, PurposeVersion
from consent.purposes import PurposeCatalogue
from consent.registry.attributes import register_attribute
from consent.registry.mandatory import MEMBERS, Candidate, missing
from consent.registry.people import Person, same_person
from consent.registry.versions import end_version, propose, reject
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import item, write_agency
from tests.consent.registry_story import FAMILY_CARD, Story
from tests.support.clock import FakeClock
from tests.support.databases import only_postgresql
from tests.support.purposes import AGENCYS_REVIEWER, OPERATORS_REVIEWER, PROPOSER

pytestmark = pytest.mark.anyio

RATNA = Person("Ratna Dewi", "0f000000-0000-4000-8000-000000000001")


@pytest.fixture
async def story(database: Database, clock: FakeClock, entropy: Entropy) -> Story:
    """A registry with one agency."""
    async with database.transaction() as session:
        agency_id = await write_agency(session, now=clock(), entropy=entropy)
    return Story(database, clock, entropy, agency_id)


async def test_nobody_can_be_asked_before_both_sides_approved(story: Story) -> None:
    version = await story.propose()
    catalogue = PurposeCatalogue(newest_for_seconds=0)
    found = []
    for side, by in ((None, ""), ("agency", AGENCYS_REVIEWER), ("operator", OPERATORS_REVIEWER)):
        if side is not None:
            await story.approve(version, side=side, by=by)
        async with story.database.reading() as session:
            found.append(await catalogue.newest(session, "kunjungan", now=story.clock()))
    assert found == [None, None, version]
    assert (await story.read(version)).activated_at == story.clock()


@pytest.mark.parametrize(
    ("proposer", "first", "second", "why"),
    [
        (PROPOSER, PROPOSER, None, "proposed it: two others approve"),
        (PROPOSER, PROPOSER.upper(), None, "proposed it"),
        (PROPOSER, "  ".join(PROPOSER.split()), None, "proposed it"),
        (RATNA, "ratna dewi", None, "proposed it"),
        ("Ratna Dewi", RATNA, None, "proposed it"),
        (PROPOSER, AGENCYS_REVIEWER, AGENCYS_REVIEWER, "approved already, for the other side"),
        (PROPOSER, RATNA, "RATNA  DEWI", "approved already, for the other side"),
        (PROPOSER, RATNA, Person("R. Dewi", RATNA.account_id), "approved already, for the other side"),
        (PROPOSER, AGENCYS_REVIEWER, PROPOSER, "proposed it"),
    ],
)
async def test_four_eyes_belong_to_two_people_neither_of_whom_proposed_it(
    story: Story, proposer: Person | str, first: Person | str, second: Person | str | None, why: str
) -> None:
    version = await story.propose(by=proposer)
    if second is not None:
        await story.approve(version, by=first)
    with pytest.raises(ReviewRefused, match=why):
        await story.approve(version, side="agency" if second is None else "operator", by=second or first)
    assert (await story.read(version)).status == "proposed"


async def test_one_side_approves_once(story: Story) -> None:
    version = await story.propose()
    await story.approve(version)
    with pytest.raises(ReviewRefused, match=f"the agency's side approved already: {AGENCYS_REVIEWER}"):
        await story.approve(version, by="Somebody else")
    with pytest.raises(ReviewRefused, match="the side is one of agency and operator"):
        await story.approve(version, side="press", by="Somebody else")


async def test_whoever_wrote_a_draft_cannot_approve_it_though_another_proposed_it(story: Story) -> None:
    draft = await story.propose(draft=True)
    async with story.database.transaction() as session:
        await propose(session, draft.id, by="Another", now=story.clock(), entropy=story.entropy)
    for by in (PROPOSER, "Another"):
        with pytest.raises(ReviewRefused, match="proposed it"):
            await story.approve(draft, by=by)
    assert (await story.activate(draft)).status == "active"


def test_two_accounts_are_two_people_whatever_they_are_called() -> None:
    other = Person(RATNA.name, "0f000000-0000-4000-8000-000000000002")
    assert not same_person(RATNA, other)
    assert same_person(RATNA, Person("ｒａｔｎａ　ｄｅｗｉ"))
    assert not same_person(Person("Ratna"), Person("Ratna Dewi"))


# --- what must be said ---

SILENT: dict[str, dict[str, Any]] = {
    "legal_basis": {"legal_citation": ""},
    "purpose": {"texts": {}},
    "pii_information": {"items": ()},
    "retention_period": {"retention_days": -1},
    "validity_duration": {"validity_days": 0},
}
UNSAID: dict[str, dict[str, Any]] = {
    "collection_method": {"collection_method": None},
    "processing": {"processing": []},
    "privacy_rights": {"privacy_rights": ["access"]},
    "storage_locations": {"storage_locations": []},
    "recipient_third_parties": {"recipients": None},
    "withdrawal_method": {"withdrawal_method": None},
    "jurisdiction": {"jurisdiction": None},
    "impact_assessment": {"processing": ["https://w3id.org/dpv#Profiling"]},
}
OF_THE_AGENCY = ("party_name", "party_address", "party_contact", "party_type")


def test_every_mandatory_member_has_a_test() -> None:
    assert {member.name for member in MEMBERS} == {*SILENT, *UNSAID, *OF_THE_AGENCY}
    assert len({member.name for member in MEMBERS}) == len(MEMBERS)


@pytest.mark.parametrize("name", sorted(UNSAID))
async def test_a_version_that_does_not_say_it_is_a_draft_for_ever(story: Story, name: str) -> None:
    draft = await story.propose(draft=True, terms=UNSAID[name])
    with pytest.raises(ReviewRefused, match=f"not said: {name}"):
        async with story.database.transaction() as session:
            await propose(session, draft.id, by=PROPOSER, now=story.clock(), entropy=story.entropy)
    # Even if it had slipped through: whoever approves is refused for the same reason.
    async with story.database.transaction() as session:
        await session.execute(update(PurposeVersion).where(PurposeVersion.id == draft.id).values(status="proposed"))
    with pytest.raises(ReviewRefused, match=f"not said: {name}"):
        await story.approve(draft, by="Somebody else")
    assert (await story.read(draft)).activated_at is None


@pytest.mark.parametrize("name", sorted(SILENT))
async def test_what_no_draft_can_lack_is_mandatory_all_the_same(story: Story, name: str) -> None:
    version = await story.propose()
    async with story.database.transaction() as session:
        await session.execute(update(PurposeVersion).where(PurposeVersion.id == version.id).values(**SILENT[name]))
        agency = await session.get(Agency, story.agency_id)
    assert agency is not None
    assert name in {member.name for member in missing(Candidate(await story.read(version), agency))}


@pytest.mark.parametrize(
    ("column", "name"),
    [("address", "party_address"), ("privacy_contact", "party_contact"), ("party_type", "party_type")],
)
async def test_an_agency_that_does_not_say_who_it_is_can_ask_nobody(story: Story, column: str, name: str) -> None:
    version = await story.propose()
    await story.approve(version)
    async with story.database.transaction() as session:
        empty = None if column == "address" else ""
        await session.execute(update(Agency).where(Agency.id == story.agency_id).values({column: empty}))
    with pytest.raises(ReviewRefused, match=f"not said: {name}"):
        await story.approve(version, side="operator", by=OPERATORS_REVIEWER)


async def test_specific_data_needs_an_impact_assessment(story: Story) -> None:
    provider = await story.provider()
    async with story.database.transaction() as session:
        record = await register_attribute(
            session,
            source_agency_id=provider,
            name="record",
            labels={"id": "Rekam medis", "en": "Medical record"},
            category="health",
            dpv_iri="https://w3id.org/dpv/pd#HealthRecord",
            now=story.clock(),
            entropy=story.entropy,
        )
    items = [item("name", required=True), item(record.claim)]
    with pytest.raises(ReviewRefused, match="not said: impact_assessment"):
        await story.propose(items=items)
    assessed = {"impact_assessment": {"url": "https://kesehatan.example/dpia", "date": "2026-01-02"}}
    assert (await story.propose(items=items, terms=assessed)).status == "proposed"


# --- what a step leads to ---


async def test_a_new_version_takes_the_place_of_the_one_in_force(story: Story) -> None:
    first = await story.activate(await story.propose())
    second = await story.propose(validity_days=7, compatible_with=[])
    assert await story.versions() == [(1, "active"), (2, "proposed")]
    await story.activate(second)
    assert await story.versions() == [(1, "superseded"), (2, "active")]
    assert (await story.read(first)).ended_at == story.clock()


async def test_an_older_proposal_cannot_take_the_place_of_a_newer_version(story: Story) -> None:
    older, newer = await story.propose(), await story.propose(validity_days=7)
    await story.activate(newer)
    await story.approve(older)
    with pytest.raises(ReviewRefused, match="version 2 is in force already, and newer"):
        await story.approve(older, side="operator", by=OPERATORS_REVIEWER)
    assert await story.versions() == [(1, "proposed"), (2, "active")]


@pytest.mark.parametrize("draft", [True, False])
async def test_what_was_rejected_stays_rejected_and_may_be_written_again(story: Story, draft: bool) -> None:
    version = await story.propose(draft=draft)
    async with story.database.transaction() as session:
        with pytest.raises(ReviewRefused, match="the reason is empty"):
            await reject(session, version.id, by="Tono", reason="", now=story.clock(), entropy=story.entropy)
        await reject(session, version.id, by="Tono", reason="Too much", now=story.clock(), entropy=story.entropy)
    with pytest.raises(ReviewRefused, match="is rejected"):
        await story.approve(version)
    again = await story.propose()
    assert (again.version, again.digest) == (2, version.digest)
    assert await story.versions() == [(1, "rejected"), (2, "proposed")]


async def test_a_version_that_ended_cannot_be_asked_for_any_more(story: Story) -> None:
    version = await story.activate(await story.propose())
    async with story.database.transaction() as session:
        ended = await end_version(
            session, version.id, by="Ratna", reason="The law changed", now=story.clock(), entropy=story.entropy
        )
        assert (ended.status, ended.ended_at) == ("ended", story.clock())
        assert await PurposeCatalogue().newest(session, "kunjungan", now=story.clock()) is None
        with pytest.raises(ReviewRefused, match="is ended"):
            await end_version(session, version.id, by="Ratna", reason="Again", now=story.clock(), entropy=story.entropy)


async def test_a_suspended_agencys_proposal_is_not_approved(story: Story) -> None:
    version = await story.propose()
    async with story.database.transaction() as session:
        await suspend_agency(
            session, story.agency_id, by="Ratna", reason="A leak", now=story.clock(), entropy=story.entropy
        )
    with pytest.raises(ReviewRefused, match="is suspended"):
        await story.approve(version)


async def test_data_of_another_agency_needs_an_agreement_before_anybody_is_asked(story: Story) -> None:
    provider = await story.provider()
    version = await story.propose(items=[item("name", required=True), item(FAMILY_CARD)])
    await story.approve(version)
    with pytest.raises(ReviewRefused, match="no agreement in force covers what comes from dukcapil"):
        await story.approve(version, side="operator", by=OPERATORS_REVIEWER)
    agreement = await story.agree(version, provider)
    active = await story.approve(version, side="operator", by=OPERATORS_REVIEWER)
    assert active.status == "active"
    last = (await story.events(version.id))[-1]
    assert (last.kind, last.detail["agreement_version_id"]) == ("activated", agreement.id)


async def test_no_step_but_the_next_one_can_be_taken(story: Story) -> None:
    draft = await story.propose(draft=True)
    with pytest.raises(ReviewRefused, match="is draft"):
        await story.approve(draft)
    active = await story.activate(await story.propose(validity_days=3))
    with pytest.raises(ReviewRefused, match="is active"):
        await story.approve(active, by="Somebody else")
    with pytest.raises(ReviewRefused, match="is active"):
        async with story.database.transaction() as session:
            await propose(session, active.id, by="Wati", now=story.clock(), entropy=story.entropy)
    for version_id in ("00000000-0000-4000-8000-000000000000", "not an id"):
        with pytest.raises(UnknownPurpose):
            async with story.database.transaction() as session:
                await propose(session, version_id, by="Wati", now=story.clock(), entropy=story.entropy)


async def test_a_later_version_says_whether_it_is_compatible(story: Story) -> None:
    first = await story.activate(await story.propose())
    with pytest.raises(PurposeRefused, match="compatible_with must say"):
        await story.propose(validity_days=7)
    second = await story.propose(validity_days=7, compatible_with=[1])
    assert second.compatible_with == (1,)
    assert second.compatible_version_ids == {first.id}


@pytest.mark.parametrize("numbers", [[2], [7], [1, 7]])
async def test_it_can_be_compatible_only_with_what_people_agreed_to(story: Story, numbers: list[int]) -> None:
    await story.activate(await story.propose())
    await story.propose(validity_days=80, compatible_with=[])
    with pytest.raises(PurposeRefused, match="that is not one that people agreed to"):
        await story.propose(validity_days=7, compatible_with=numbers)


async def test_compatibility_is_looked_at_again_when_it_is_approved(story: Story) -> None:
    first = await story.activate(await story.propose())
    second = await story.propose(validity_days=7, compatible_with=[1])
    async with story.database.transaction() as session:
        await end_version(session, first.id, by="Ratna", reason="Over", now=story.clock(), entropy=story.entropy)
    with pytest.raises(PurposeRefused, match="cannot be compatible with version 1"):
        await story.approve(second)


async def test_no_step_changes_a_word_of_a_version(story: Story) -> None:
    changed: list[str] = []

    @event.listens_for(story.database.engine.sync_engine, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "UPDATE consent_purpose_versions" in statement or "DELETE" in statement:
            changed.append(statement.split(" SET ")[1].split(" WHERE ", maxsplit=1)[0])

    version = await story.activate(await story.propose())
    await story.activate(await story.propose(validity_days=7, compatible_with=[1]))
    async with story.database.transaction() as session:
        await end_version(session, version.id, by="Ratna", reason="Over", now=story.clock(), entropy=story.entropy)
    columns = {part.split("=")[0].strip() for statement in changed for part in statement.split(",")}
    assert columns <= {"status", "activated_at", "ended_at"}
    assert await story.read(version) == version


@only_postgresql
async def test_of_two_second_approvals_at_once_one_counts(story: Story) -> None:
    version = await story.propose()
    await story.approve(version)

    async def second(by: str) -> str:
        try:
            return (await story.approve(version, side="operator", by=by)).status
        except ConsentError as refused:
            return str(refused)

    answers = await asyncio.gather(*(second(f"Reviewer {number}") for number in range(4)))
    assert answers.count("active") == 1
    assert all("is active" in answer for answer in answers if answer != "active")
    kinds = [event.kind for event in await story.events(version.id)]
    assert kinds == ["drafted", "proposed", "approved", "approved", "activated"]


@only_postgresql
async def test_both_sides_may_approve_at_the_same_moment(story: Story) -> None:
    version = await story.propose()
    answers = await asyncio.gather(
        story.approve(version), story.approve(version, side="operator", by=OPERATORS_REVIEWER)
    )
    assert sorted(answer.status for answer in answers) == ["active", "proposed"]
    assert (await story.read(version)).status == "active"
