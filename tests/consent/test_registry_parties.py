"""The data items that agencies hold, and the agencies themselves."""

from typing import Any

import pytest

from consent.agencies import change_agency, reinstate_agency, suspend_agency
from consent.attributes import ITEMS, Category
from consent.errors import (
    AgencyRefused,
    AttributeRefused,
    PurposeRefused,
    UnknownAgency,
    UnknownAttribute,
)
from consent.registry.attributes import attribute, attributes_named, list_attributes, register_attribute
from consent.registry.vocabulary import is_personal_data_term
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import item, write_agency
from tests.consent.registry_story import FAMILY_CARD, Story
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio


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


# --- data items ---


def test_every_item_of_the_account_has_a_dpv_category_and_no_agency() -> None:
    assert all(is_personal_data_term(one.dpv_iri) and one.source is None for one in ITEMS.values())


async def test_an_item_is_registered_once_and_looked_up_beside_our_own(story: Story, provider: str) -> None:
    async with story.database.transaction() as session:
        found = await attributes_named(session, [FAMILY_CARD, "name", "urn:nothing"])
        assert set(found) == {FAMILY_CARD, "name"}
        assert found["name"] is ITEMS["name"]
        card = found[FAMILY_CARD]
        assert card.source is not None
        assert (card.source.agency_id, card.source.code, card.category) == (provider, "dukcapil", Category.GENERAL)
        assert await list_attributes(session) == await list_attributes(session, source_agency_id=provider) == [card]
        with pytest.raises(UnknownAttribute):
            await attribute(session, "urn:nothing")
        with pytest.raises(AttributeRefused, match="there is a data item"):
            await register(session, story, provider)


async def register(session: Any, story: Story, provider: str, **changes: Any) -> Any:
    says: dict[str, Any] = {
        "name": "family_card_number",
        "labels": {"id": "Nomor kartu keluarga", "en": "Family card number"},
        "category": "family",
        "dpv_iri": "https://w3id.org/dpv/pd#OfficialID",
    }
    return await register_attribute(
        session, source_agency_id=provider, **{**says, **changes}, now=story.clock(), entropy=story.entropy
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": "Family Card"}, "the name must be"),
        ({"name": ""}, "the name must be"),
        ({"labels": {"id": "Kartu"}}, "the label must be written in"),
        ({"category": "gossip"}, "the category must be one of"),
        ({"dpv_iri": "https://example.org/Card"}, "the DPV category must be"),
        ({"is_specific": "no"}, "true or false"),
    ],
)
async def test_an_item_is_refused_when(story: Story, provider: str, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(AttributeRefused, match=why):
        async with story.database.transaction() as session:
            await register(session, story, provider, **{"name": "other", **changes})


async def test_what_the_law_guards_is_guarded_whatever_a_form_says(story: Story, provider: str) -> None:
    async with story.database.transaction() as session:
        record = await register(session, story, provider, name="record", category="health", is_specific=False)
    assert (record.category, record.kind) == (Category.SPECIFIC, "health")


async def test_a_purpose_asks_one_other_agency_at_most(story: Story, provider: str) -> None:
    async with story.database.transaction() as session:
        tax = await write_agency(session, now=story.clock(), entropy=story.entropy, code="pajak")
        income = await register(session, story, tax, name="income", category="personal_finance")
    with pytest.raises(PurposeRefused, match="the items come from dukcapil and pajak"):
        await story.propose(items=[item(FAMILY_CARD), item(income.claim)])


# --- agencies ---


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"address": ""}, "the address is empty"),
        ({"email": "nobody"}, "the email must be"),
        ({"email": "a@b@c"}, "the email must be"),
        ({"phone": "call me"}, "the phone must be"),
        ({"party_type": "cult"}, "the party type must be one of"),
        ({"website": "http://kesehatan.example"}, "https"),
        ({"status": "suspended"}, "an agency has no member status"),
        ({"contact": "Jalan Contoh 1"}, "that changes nothing"),
    ],
)
async def test_an_agency_is_not_changed_when(story: Story, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(AgencyRefused, match=why):
        async with story.database.transaction() as session:
            await change_agency(
                session, story.agency_id, by="Ratna", now=story.clock(), entropy=story.entropy, **changes
            )


async def test_an_agency_changes_is_suspended_and_reinstated(story: Story) -> None:
    who: dict[str, Any] = {"by": "Ratna", "now": story.clock(), "entropy": story.entropy}
    async with story.database.transaction() as session:
        changed = await change_agency(session, story.agency_id, email="pdp@kesehatan.example", phone="+62 21 5", **who)
        assert (changed.email, changed.phone) == ("pdp@kesehatan.example", "+62 21 5")
        with pytest.raises(AgencyRefused, match="is active"):
            await reinstate_agency(session, story.agency_id, reason="Why not", **who)
        with pytest.raises(AgencyRefused, match="the reason is empty"):
            await suspend_agency(session, story.agency_id, reason="", **who)
        assert (await suspend_agency(session, story.agency_id, reason="A leak", **who)).status == "suspended"
        assert (await reinstate_agency(session, story.agency_id, reason="Mended", **who)).status == "active"
        with pytest.raises(UnknownAgency):
            await suspend_agency(session, "00000000-0000-4000-8000-000000000000", reason="A leak", **who)
