"""Agreements between agencies: who makes them, what they may say, and what they cover."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from consent.agencies import suspend_agency
from consent.errors import (
    AgreementRefused,
    ReviewRefused,
    UnknownAgency,
    UnknownAgreement,
    UnknownPurpose,
)
from consent.purposes import PurposeVersionView
from consent.registry.agreement_versions import (
    approve_agreement,
    end_agreement,
    propose_agreement,
    reject_agreement,
)
from consent.registry.agreements import (
    AgreementVersionView,
    agreement_for,
    agreement_of,
    agreement_version,
    agreement_versions_of,
    needs_agreement,
)
from consent.registry.events import AGREEMENT_VERSION
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import item, write_agency
from tests.consent.registry_story import FAMILY_CARD, Story
from tests.support.clock import FakeClock
from tests.support.purposes import AGENCYS_REVIEWER, PROPOSER

pytestmark = pytest.mark.anyio

PROVIDERS = "Sari, pemilik data"
INSTRUMENT = {"kind": "decree", "number": "7/2026", "title": "Data keluarga", "date": "2026-01-05"}


@pytest.fixture
async def story(database: Database, clock: FakeClock, entropy: Entropy) -> Story:
    """A registry with one agency."""
    async with database.transaction() as session:
        agency_id = await write_agency(session, now=clock(), entropy=entropy)
    return Story(database, clock, entropy, agency_id)


@pytest.fixture
async def provider(story: Story) -> str:
    """The agency that holds the family card's number."""
    return await story.provider()


@pytest.fixture
async def wanted(story: Story, provider: str) -> PurposeVersionView:
    """A proposed version that asks the provider for it, four times a year."""
    items = [item("name", required=True), item(FAMILY_CARD)]
    return await story.propose(items=items, use_limit=4, use_window_days=365)


async def propose(story: Story, provider: str, by: str = PROPOSER, **changes: Any) -> AgreementVersionView:
    now: datetime = story.clock.advance(60)
    says: dict[str, Any] = {
        "code": "keluarga",
        "purpose_code": "kunjungan",
        "instrument": INSTRUMENT,
        "items": [FAMILY_CARD],
        "valid_from": now,
        "valid_until": now + timedelta(days=365),
        "data_life_days": 365,
        "use_limit": 4,
        "use_window_days": 365,
    }
    async with story.database.transaction() as session:
        return await propose_agreement(
            session,
            provider_agency_id=provider,
            proposed_by=by,
            now=now,
            entropy=story.entropy,
            **{**says, **changes},
        )


async def approve(story: Story, version: AgreementVersionView, side: str, by: str) -> AgreementVersionView:
    async with story.database.transaction() as session:
        return await approve_agreement(
            session, version.id, side=side, by=by, now=story.clock.advance(60), entropy=story.entropy
        )


async def in_force(story: Story, version: AgreementVersionView) -> AgreementVersionView:
    await approve(story, version, "provider", PROVIDERS)
    return await approve(story, version, "recipient", AGENCYS_REVIEWER)


async def found(story: Story, version: PurposeVersionView, provider: str, *, days: int = 0) -> str | None:
    async with story.database.reading() as session:
        one = await agreement_for(session, version, source_agency_id=provider, now=story.clock() + timedelta(days=days))
        return None if one is None else one.id


# --- agreements ---


async def test_an_agreement_is_in_force_once_both_sides_approved(
    story: Story, wanted: PurposeVersionView, provider: str
) -> None:
    version = await propose(story, provider)
    assert (version.provider_code, version.recipient_code, version.status) == ("dukcapil", "kesehatan", "proposed")
    assert await found(story, wanted, provider) is None
    await approve(story, version, "provider", PROVIDERS)
    assert await found(story, wanted, provider) is None
    active = await approve(story, version, "recipient", AGENCYS_REVIEWER)
    assert (active.status, active) == ("active", version)
    assert await found(story, wanted, provider) == version.id
    assert [event.kind for event in await story.events(version.id, AGREEMENT_VERSION)] == [
        "proposed",
        "approved",
        "approved",
        "activated",
    ]


async def test_it_counts_from_its_first_moment_to_its_last(
    story: Story, wanted: PurposeVersionView, provider: str
) -> None:
    begins = story.clock() + timedelta(days=10)
    version = await in_force(story, await propose(story, provider, valid_from=begins))
    assert await found(story, wanted, provider) is None
    assert await found(story, wanted, provider, days=11) == version.id
    assert await found(story, wanted, provider, days=366) is None


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (("provider", PROPOSER), None, "proposed it: two others approve"),
        (("provider", PROVIDERS), ("recipient", PROVIDERS.upper()), "approved already, for the other side"),
        (("provider", PROVIDERS), ("provider", "Another"), "the provider's side approved already"),
        (("agency", PROVIDERS), None, "the side is one of provider and recipient"),
    ],
)
async def test_neither_side_approves_twice_and_no_person_for_both(
    story: Story,
    wanted: PurposeVersionView,
    provider: str,
    first: tuple[str, str],
    second: tuple[str, str] | None,
    why: str,
) -> None:
    version = await propose(story, provider)
    if second is not None:
        await approve(story, version, *first)
    with pytest.raises(ReviewRefused, match=why):
        await approve(story, version, *(second or first))
    async with story.database.reading() as session:
        assert (await agreement_version(session, version.id)).status == "proposed"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"code": "Keluarga!"}, "the code must be"),
        ({"items": []}, "1 to 40 data items"),
        ({"items": [FAMILY_CARD, FAMILY_CARD]}, "listed twice"),
        ({"items": ["name"]}, "does not ask the provider for name"),
        ({"items": ["urn:satupintu:data:dukcapil:religion"]}, "does not ask the provider for"),
        ({"instrument": {"kind": "handshake", **{k: v for k, v in INSTRUMENT.items() if k != "kind"}}}, "kind must be"),
        ({"instrument": {**INSTRUMENT, "number": ""}}, "the instrument's number is empty"),
        ({"instrument": {**INSTRUMENT, "date": "5 Januari"}}, "must be a day"),
        ({"instrument": {**INSTRUMENT, "url": "http://kemenkes.example"}}, "https"),
        ({"instrument": {**INSTRUMENT, "seal": "x"}}, "an object with exactly"),
        ({"valid_until": datetime(2020, 1, 1)}, "with their time zone"),
        ({"data_life_days": -1}, "data_life_days must be"),
        ({"fetch_type": "sometimes"}, "fetch_type must be"),
        ({"fetch_type": "onetime"}, "has no use_limit"),
        ({"use_window_days": None}, "said together"),
        ({"use_limit": True}, "use_limit must be"),
        ({"use_window_days": 0}, "use_window_days must be"),
    ],
)
async def test_an_agreement_is_refused_when(
    story: Story, wanted: PurposeVersionView, provider: str, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(AgreementRefused, match=why):
        await propose(story, provider, **changes)


async def test_an_agreement_ends_after_it_begins_and_not_in_the_past(
    story: Story, wanted: PurposeVersionView, provider: str
) -> None:
    now = story.clock()
    periods: tuple[dict[str, Any], ...] = (
        {"valid_from": now, "valid_until": now},
        {"valid_from": now, "valid_until": now + timedelta(days=4000)},
        {"valid_from": now - timedelta(days=9), "valid_until": now - timedelta(days=1)},
    )
    for period in periods:
        with pytest.raises(AgreementRefused, match=r"must end after it begins|is over already"):
            await propose(story, provider, **period)


async def test_an_agreement_is_between_two_agencies_about_one_purpose(
    story: Story, wanted: PurposeVersionView, provider: str
) -> None:
    with pytest.raises(AgreementRefused, match="no agreement with itself"):
        await propose(story, story.agency_id)
    with pytest.raises(UnknownPurpose):
        await propose(story, provider, purpose_code="nothing")
    with pytest.raises(UnknownAgency):
        await propose(story, "00000000-0000-4000-8000-000000000000")
    await propose(story, provider)
    async with story.database.transaction() as session:
        other = await write_agency(session, now=story.clock(), entropy=story.entropy, code="pajak")
    await story.propose(code="lain", items=[item("name", required=True), item(FAMILY_CARD)])
    with pytest.raises(AgreementRefused, match="another provider's, or for another purpose"):
        await propose(story, provider, purpose_code="lain")
    with pytest.raises(AgreementRefused, match="does not ask the provider for"):
        await propose(story, other)
    same = (await versions(story))[0].terms
    with pytest.raises(AgreementRefused, match="says exactly this already"):
        await propose(story, provider, valid_from=same.valid_from, valid_until=same.valid_until)


async def versions(story: Story) -> list[AgreementVersionView]:
    async with story.database.reading() as session:
        return await agreement_versions_of(session, "keluarga")


async def test_a_new_version_takes_the_place_of_the_one_before(
    story: Story, wanted: PurposeVersionView, provider: str
) -> None:
    first = await in_force(story, await propose(story, provider))
    second = await in_force(story, await propose(story, provider, data_life_days=400))
    assert [(one.version, one.status) for one in await versions(story)] == [(2, "active"), (1, "superseded")]
    assert await found(story, wanted, provider) == second.id
    assert first == (await versions(story))[1], "its words stay"


async def test_an_older_agreement_cannot_take_the_place_of_a_newer_one(
    story: Story, wanted: PurposeVersionView, provider: str
) -> None:
    older, newer = await propose(story, provider), await propose(story, provider, data_life_days=400)
    await in_force(story, newer)
    await approve(story, older, "provider", PROVIDERS)
    with pytest.raises(ReviewRefused, match="version 2 is in force already, and newer"):
        await approve(story, older, "recipient", AGENCYS_REVIEWER)


async def test_an_agreement_that_was_rejected_or_ended_is_no_agreement(
    story: Story, wanted: PurposeVersionView, provider: str
) -> None:
    rejected = await propose(story, provider)
    who: dict[str, Any] = {"by": "Ratna", "now": story.clock(), "entropy": story.entropy}
    async with story.database.transaction() as session:
        with pytest.raises(ReviewRefused, match="is proposed"):
            await end_agreement(session, rejected.id, reason="Over", **who)
        await reject_agreement(session, rejected.id, reason="Too much", **who)
    with pytest.raises(ReviewRefused, match="is rejected"):
        await approve(story, rejected, "provider", PROVIDERS)
    active = await in_force(story, await propose(story, provider))
    async with story.database.transaction() as session:
        with pytest.raises(ReviewRefused, match="the reason is empty"):
            await end_agreement(session, active.id, reason="", **who)
        assert (await end_agreement(session, active.id, reason="Over", **who)).status == "ended"
        with pytest.raises(UnknownAgreement):
            await agreement_version(session, "no id")
    assert await found(story, wanted, provider) is None


async def test_a_suspended_agency_agrees_to_nothing(story: Story, wanted: PurposeVersionView, provider: str) -> None:
    version = await propose(story, provider)
    async with story.database.transaction() as session:
        await suspend_agency(session, provider, by="Ratna", reason="A leak", now=story.clock(), entropy=story.entropy)
    with pytest.raises(ReviewRefused, match="the agency dukcapil is suspended"):
        await approve(story, version, "provider", PROVIDERS)


@pytest.mark.parametrize(
    "changes",
    [
        {"data_life_days": 364},
        {"use_limit": None, "use_window_days": None, "fetch_type": "onetime"},
        {"use_limit": 3, "use_window_days": 365},
        {"use_limit": 4, "use_window_days": 366},
    ],
)
async def test_an_agreement_that_allows_less_does_not_cover_the_purpose(
    story: Story, wanted: PurposeVersionView, provider: str, changes: dict[str, Any]
) -> None:
    await in_force(story, await propose(story, provider, **changes))
    assert await found(story, wanted, provider) is None


async def test_what_comes_from_the_account_or_from_the_agency_itself_needs_no_agreement(
    story: Story, wanted: PurposeVersionView, provider: str
) -> None:
    assert needs_agreement(wanted) == provider
    own = await story.propose(code="lain")
    assert needs_agreement(own) is None
    async with story.database.reading() as session:
        assert await agreement_of(session, own, now=story.clock()) is None
        assert await agreement_of(session, wanted, now=story.clock()) is None
    await in_force(story, await propose(story, provider))
    async with story.database.reading() as session:
        agreed = await agreement_of(session, wanted, now=story.clock())
    assert agreed is not None
    theirs = await story.propose(
        code="kartu", agency_id=provider, items=[item("name", required=True), item(FAMILY_CARD, required=True)]
    )
    assert needs_agreement(theirs) is None
    assert (await story.activate(theirs)).status == "active"
