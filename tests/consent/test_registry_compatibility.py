"""When consents to an earlier version hold for a later one, and what is told of the difference."""

from typing import Any

import pytest

from consent.purpose_draft import Draft
from consent.registry.compatibility import WIDENINGS, widened
from consent.registry.differences import differences
from tests.consent.registry import a_purpose, item
from tests.support.purposes import TERMS

POST = {
    "names": {"id": "Pos", "en": "Post"},
    "party_type": "company",
    "role": "processor",
    "why": {"id": "Untuk mengantar", "en": "To deliver"},
}


def a_draft(terms: dict[str, Any] | None = None, **changes: Any) -> Draft:
    """The purpose of these tests, with changes."""
    return Draft.read(**{**a_purpose(), "terms": {**TERMS, **(terms or {})}, **changes})


LESS: list[dict[str, Any]] = [
    {"items": [item("name", required=True), item("email")]},
    {"items": [item("name"), item("email"), item("gender")]},
    {"retention_days": 30},
    {"validity_days": 30},
    {"fetch_type": "onetime"},
    {"use_limit": 3, "use_window_days": 30},
    {"terms": {"processing": TERMS["processing"][:2]}},
    {"terms": {"geographic_restrictions": ["ID"]}},
    {"legal_citation": "UU 27/2022"},
]

MORE: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"items": [*a_purpose()["items"], item("address")]}, "it asks for address besides"),
    (
        {},
        {"items": [item("name", required=True), item("email", required=True), item("gender")]},
        "it needs email, which could be refused",
    ),
    ({}, {"retention_days": 366}, "keeps the data for 366 days instead of 365"),
    ({}, {"validity_days": 91}, "lasts 91 days instead of 90"),
    (
        {"items": [item("name", required=True)]},
        {"items": [item("name", required=True)], "legal_basis": "public_task"},
        "its legal basis is public_task",
    ),
    ({"fetch_type": "onetime"}, {}, "more than once"),
    ({"use_limit": 3, "use_window_days": 30}, {}, "without a limit"),
    ({"use_limit": 3, "use_window_days": 30}, {"use_limit": 4, "use_window_days": 60}, "more often"),
    ({"use_limit": 3, "use_window_days": 30}, {"use_limit": 3, "use_window_days": 29}, "more often"),
    ({}, {"terms": {"dpv_purpose_iri": "https://w3id.org/dpv#Marketing"}}, "its kind of purpose is"),
    ({}, {"terms": {"processing": [*TERMS["processing"], "https://w3id.org/dpv#Share"]}}, "it does more"),
    ({}, {"terms": {"storage_locations": ["ID", "SG"]}}, "stores the data elsewhere: SG"),
    ({}, {"terms": {"processing_locations": ["SG"]}}, "processes the data elsewhere: SG"),
    ({}, {"terms": {"recipients": [POST]}}, "it gives the data to Pos besides"),
    ({"terms": {"geographic_restrictions": ["ID"]}}, {}, "it lets the data go elsewhere"),
    ({"terms": {"geographic_restrictions": ["ID"]}}, {"terms": {"geographic_restrictions": ["ID", "SG"]}}, "elsewhere"),
]


@pytest.mark.parametrize("changes", LESS)
def test_what_takes_less_or_the_same_is_compatible(changes: dict[str, Any]) -> None:
    assert widened(a_draft(), a_draft(**changes)) is None


@pytest.mark.parametrize(("before", "after", "why"), MORE)
def test_what_takes_more_is_not(before: dict[str, Any], after: dict[str, Any], why: str) -> None:
    assert why in (widened(a_draft(**before), a_draft(**after)) or "")


def test_every_way_to_widen_has_a_test() -> None:
    found = [
        next(widening for widening in WIDENINGS if widening(a_draft(**before), a_draft(**after)) is not None)
        for before, after, _ in MORE
    ]
    assert set(found) == set(WIDENINGS)


@pytest.mark.parametrize("changes", [*LESS, *(after for _, after, _ in MORE if after)])
def test_whatever_changes_is_told(changes: dict[str, Any]) -> None:
    assert differences(a_draft(), a_draft()) == ()
    told = differences(a_draft(), a_draft(**changes))
    assert told
    assert all(change.before != change.after for change in told)


def test_a_difference_says_what_it_was_and_what_it_is() -> None:
    texts = {language: dict(words) for language, words in a_purpose()["texts"].items()}
    texts["en"]["description"] = "To book a visit."
    later = a_draft(
        texts=texts,
        items=[item("email", required=True), item("name", required=True)],
        terms={
            "withdrawal_method": {"id": TERMS["withdrawal_method"]["id"], "en": "At the desk."},
            "jurisdiction": None,
        },
    )
    told = [change.as_json() for change in differences(a_draft(), later)]
    assert told == [
        {"member": "description", "language": "en", "before": "To register a visit.", "after": "To book a visit."},
        {"member": "required", "claim": "email", "before": "optional", "after": "required"},
        {"member": "item", "claim": "gender", "before": "optional", "after": None},
        {"member": "jurisdiction", "before": "ID", "after": None},
        {
            "member": "withdrawal_method",
            "language": "en",
            "before": TERMS["withdrawal_method"]["en"],
            "after": "At the desk.",
        },
    ]


def test_another_order_of_the_items_is_told_too() -> None:
    later = a_draft(items=list(reversed(a_purpose()["items"])))
    (change,) = differences(a_draft(), later)
    assert (change.member, change.after) == ("order", ["gender", "email", "name"])
