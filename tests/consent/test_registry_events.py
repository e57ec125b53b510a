"""What happened in the registry is appended, chained and logged; rows are its projection, and are checked."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from consent.agencies import change_agency, reinstate_agency, suspend_agency
from consent.errors import ConsentError
from consent.log.entry import Kind, commit
from consent.log.models import LogEntry
from consent.models import Agency, DataAttribute, PurposeVersion
from consent.purposes import PurposeVersionView
from consent.registry.events import AGENCY, AGREEMENT_VERSION, ATTRIBUTE, LOG_KIND, RegistryEntry, fault_in_chain
from consent.registry.models import AgreementVersion, RegistryEvent
from consent.registry.projection import Projected, adopt, check_registry, rebuild, rebuild_agency, rebuild_version
from consent.registry.versions import end_version
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import item, write_agency
from tests.consent.registry_story import FAMILY_CARD, Story
from tests.support.clock import FakeClock
from tests.support.purposes import AGENCYS_REVIEWER, OPERATORS_REVIEWER, PROPOSER

pytestmark = pytest.mark.anyio


@pytest.fixture
async def story(database: Database, clock: FakeClock, entropy: Entropy) -> Story:
    """A registry with one agency."""
    async with database.transaction() as session:
        agency_id = await write_agency(session, now=clock(), entropy=entropy)
    return Story(database, clock, entropy, agency_id)


@pytest.fixture
async def version(story: Story) -> PurposeVersionView:
    """A version in force that has data from another agency by an agreement."""
    provider = await story.provider()
    proposed = await story.propose(items=[item("name", required=True), item(FAMILY_CARD)])
    await story.agree(proposed, provider)
    return await story.activate(proposed)


async def differences(story: Story) -> list[str]:
    async with story.database.reading() as session:
        return [f"{one.object_kind} {one.object_id}: {one.what}" for one in await check_registry(session)]


async def every_event(story: Story) -> list[RegistryEvent]:
    async with story.database.reading() as session:
        return list(await session.scalars(select(RegistryEvent).order_by(RegistryEvent.object_id, RegistryEvent.seq)))


async def test_every_event_is_a_leaf_that_commits_to_it(story: Story, version: PurposeVersionView) -> None:
    events = [
        *await story.events(version.id),
        *await story.events(story.agency_id, AGENCY),
        *await story.events(FAMILY_CARD, ATTRIBUTE),
    ]
    assert len(events) == 5 + 1 + 1
    for event in events:
        leaf = await story.leaf(event)
        assert leaf is not None
        assert (leaf.kind, leaf.commitment, leaf.log_index) == (LOG_KIND[event.object_kind], event.hash, None)
        opening = story.database.vault.nobodys.opening(event.id)
        assert event.hash == commit(opening, event.as_json())
    async with story.database.reading() as session:
        counted = [await session.scalar(select(func.count()).select_from(table)) for table in (RegistryEvent, LogEntry)]
    assert counted[0] == counted[1]
    assert {Kind(kind) for kind in LOG_KIND.values()} == {Kind.AGENCY, Kind.PURPOSE, Kind.AGREEMENT}


async def test_an_event_says_who_did_what_and_follows_the_one_before(story: Story, version: PurposeVersionView) -> None:
    events = await story.events(version.id)
    assert [(event.kind, event.by.name) for event in events] == [
        ("drafted", PROPOSER),
        ("proposed", PROPOSER),
        ("approved", AGENCYS_REVIEWER),
        ("approved", OPERATORS_REVIEWER),
        ("activated", OPERATORS_REVIEWER),
    ]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert [event.previous_hash for event in events] == [bytes(32), *(event.hash for event in events[:-1])]
    assert events[0].detail["digest"] == version.digest.hex()
    approval = events[2].detail
    assert (approval["side"], len(approval["checklist"])) == ("agency", 7)
    assert fault_in_chain(events, story.database.vault.nobodys) is None


async def test_what_happened_is_only_ever_added_to(story: Story, version: PurposeVersionView) -> None:
    before = [(row.id, row.hash, row.detail) for row in await every_event(story)]
    async with story.database.transaction() as session:
        now = story.clock.advance(60)
        await change_agency(session, story.agency_id, by="Ratna", phone="+62 21 555", now=now, entropy=story.entropy)
        await end_version(session, version.id, by="Ratna", reason="Over", now=now, entropy=story.entropy)
    after = [(row.id, row.hash, row.detail) for row in await every_event(story)]
    assert [row for row in after if row in before] == before
    assert len(after) == len(before) + 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"detail": {"side": "operator"}}, "event 3 does not say what was written"),
        ({"actor": "Nobody"}, "event 3 does not say what was written"),
        ({"kind": "rejected"}, "event 3 does not say what was written"),
        ({"at": timedelta(days=-1)}, "event 3 does not say what was written"),
        ({"previous_hash": bytes(32)}, "event 3 does not follow the event before it"),
        ({"seq": 4}, "event 3 is missing"),
    ],
)
async def test_an_event_that_was_altered_is_found(
    story: Story, version: PurposeVersionView, change: dict[str, Any], why: str
) -> None:
    events = await story.events(version.id)
    if "at" in change:
        change = {"at": events[2].at + change["at"]}
    altered: list[RegistryEntry] = [*events[:2], replace(events[2], **change), *events[3:]]
    assert fault_in_chain(altered, story.database.vault.nobodys) == why


async def test_the_registry_agrees_with_its_events(story: Story, version: PurposeVersionView) -> None:
    now = story.clock.advance(60)
    async with story.database.transaction() as session:
        who: dict[str, Any] = {"by": "Ratna", "reason": "A leak", "now": now, "entropy": story.entropy}
        await suspend_agency(session, story.agency_id, **who)
        await reinstate_agency(session, story.agency_id, **who)
        await change_agency(session, story.agency_id, by="Ratna", email="a@b.example", now=now, entropy=story.entropy)
    items = [item("name", required=True)]
    await story.activate(await story.propose(items=items, compatible_with=[1]))
    await story.propose(validity_days=8, compatible_with=[], draft=True)
    async with story.database.transaction() as session:
        await end_version(session, version.id, by="Ratna", reason="Over", now=now, entropy=story.entropy)
        assert await rebuild(session) == 0
    assert await differences(story) == []


TAMPERING: list[tuple[type[Any], dict[str, Any], str]] = [
    (PurposeVersion, {"status": "ended"}, "it is ended, and its events say active"),
    (PurposeVersion, {"activated_at": None}, "its times are not what its events say"),
    (PurposeVersion, {"compatible_with": [9]}, "what it is compatible with is not what its events say"),
    (PurposeVersion, {"retention_days": 9999}, "its words are not those of its digest"),
    (PurposeVersion, {"terms": {}}, "its words are not those of its digest"),
    (PurposeVersion, {"digest": bytes(32)}, "its digest is not what its events say"),
    (AgreementVersion, {"status": "ended"}, "it is ended, and its events say active"),
    (AgreementVersion, {"data_life_days": 9999}, "its words are not those of its digest"),
    (Agency, {"status": "suspended"}, "it is suspended, and its events say active"),
    (Agency, {"privacy_contact": "mallory@example.org"}, "its privacy_contact is not what its events say"),
    (DataAttribute, {"is_specific": True}, "it is not what its events say"),
]


@pytest.mark.parametrize(("table", "values", "why"), TAMPERING)
async def test_a_row_that_was_edited_is_found_and_named(
    story: Story, version: PurposeVersionView, table: type[Any], values: dict[str, Any], why: str
) -> None:
    async with story.database.transaction() as session:
        await session.execute(update(table).values(**values))
    found = await differences(story)
    assert found
    assert any(why in one for one in found), found


async def test_an_event_or_a_leaf_that_is_gone_is_found(story: Story, version: PurposeVersionView) -> None:
    events = await story.events(version.id)
    async with story.database.transaction() as session:
        await session.execute(delete(LogEntry).where(LogEntry.id == events[1].id))
        await session.execute(delete(RegistryEvent).where(RegistryEvent.id == events[3].id))
    found = "\n".join(await differences(story))
    assert "event 2 is not what the log has" in found
    assert "event 4 is missing" in found


async def test_statuses_are_rebuilt_from_the_events(story: Story, version: PurposeVersionView) -> None:
    async with story.database.transaction() as session:
        await session.execute(update(PurposeVersion).values(status="ended", activated_at=None))
        await session.execute(update(AgreementVersion).values(status="rejected"))
        await session.execute(update(Agency).values(status="suspended", phone="000000"))
        assert await rebuild(session) == 4
        assert await rebuild(session) == 0
    assert (await story.read(version)).status == "active"
    assert await differences(story) == []


async def test_nothing_is_rebuilt_from_a_broken_chain(story: Story, version: PurposeVersionView) -> None:
    last = (await story.events(version.id))[-1]
    async with story.database.transaction() as session:
        await session.execute(update(RegistryEvent).where(RegistryEvent.id == last.id).values(kind="ended"))
        assert await rebuild(session) == 0
    assert (await story.read(version)).status == "active"


async def test_what_was_there_before_events_were_kept_is_taken_over_once(
    story: Story, clock: FakeClock, entropy: Entropy
) -> None:
    version = await story.activate(await story.propose())
    async with story.database.transaction() as session:
        await session.execute(delete(RegistryEvent))
        await session.execute(delete(LogEntry))
        await session.execute(update(PurposeVersion).values(activated_at=None, terms={}))
    assert "nothing ever happened to it" in "\n".join(await differences(story))
    async with story.database.transaction() as session:
        assert await adopt(session, by="Ratna", now=clock(), entropy=entropy) == 2
        assert await adopt(session, by="Ratna", now=clock(), entropy=entropy) == 0
    assert await differences(story) == []
    assert [event.kind for event in await story.events(version.id)] == ["adopted"]


async def test_an_agency_from_before_is_taken_over_when_it_changes(story: Story) -> None:
    async with story.database.transaction() as session:
        await session.execute(delete(RegistryEvent).where(RegistryEvent.object_id == story.agency_id))
        now = story.clock.advance(60)
        await change_agency(session, story.agency_id, by="Ratna", phone="+62 21 555", now=now, entropy=story.entropy)
    assert [event.kind for event in await story.events(story.agency_id, AGENCY)] == ["adopted", "changed"]
    assert await differences(story) == []


async def test_a_version_from_before_is_taken_over_when_a_new_one_replaces_it(story: Story) -> None:
    version = await story.activate(await story.propose())
    async with story.database.transaction() as session:
        await session.execute(delete(RegistryEvent).where(RegistryEvent.object_id == version.id))
    await story.activate(await story.propose(validity_days=7, compatible_with=[]))
    assert [event.kind for event in await story.events(version.id)] == ["adopted", "superseded"]
    assert await differences(story) == []


def told(*kinds: str, clock: FakeClock, **detail: Any) -> list[RegistryEntry]:
    return [
        RegistryEntry(
            id=str(seq),
            object_kind="",
            object_id="x",
            seq=seq,
            kind=kind,
            at=clock(),
            actor="a",
            detail=detail,
            previous_hash=b"",
        )
        for seq, kind in enumerate(kinds, start=1)
    ]


@pytest.mark.parametrize(
    "kinds",
    [
        (),
        ("activated",),
        ("drafted", "activated"),
        ("drafted", "approved"),
        ("proposed", "superseded"),
        ("proposed", "activated", "rejected"),
        ("proposed", "rejected", "activated"),
        ("proposed", "activated", "ended", "activated"),
        ("proposed", "adopted"),
        ("proposed", "forgotten"),
    ],
)
def test_events_that_tell_no_possible_story_are_refused(kinds: tuple[str, ...], clock: FakeClock) -> None:
    with pytest.raises(ConsentError):
        rebuild_version(told(*kinds, clock=clock, status="active"))


@pytest.mark.parametrize("kinds", [(), ("changed",), ("registered", "registered"), ("registered", "ended")])
def test_an_agencys_events_that_tell_no_possible_story_are_refused(kinds: tuple[str, ...], clock: FakeClock) -> None:
    with pytest.raises(ConsentError):
        rebuild_agency(told(*kinds, clock=clock, said={}, status="active"))


def test_a_story_is_told_to_its_end(clock: FakeClock) -> None:
    kinds = ("drafted", "proposed", "approved", "approved", "activated", "superseded", "ended")
    assert rebuild_version(told(*kinds, clock=clock)) == Projected(
        status="ended", activated_at=clock(), ended_at=clock()
    )


async def test_an_event_that_cannot_be_logged_is_not_written(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise OSError("no room for the log")

    version = await story.propose()
    monkeypatch.setattr("consent.registry.events.append_to_log", full)
    with pytest.raises(OSError, match="no room"):
        await story.approve(version)
    assert [event.kind for event in await story.events(version.id)] == ["drafted", "proposed"]


async def test_an_agreements_events_are_leaves_of_their_own_kind(story: Story, version: PurposeVersionView) -> None:
    rows = [row for row in await every_event(story) if row.object_kind == AGREEMENT_VERSION]
    assert [row.kind for row in rows] == ["proposed", "approved", "approved", "activated"]
    for event in await story.events(rows[0].object_id, AGREEMENT_VERSION):
        leaf = await story.leaf(event)
        assert leaf is not None
        assert (leaf.kind, leaf.commitment) == (Kind.AGREEMENT, event.hash)
