"""What a version must say before anybody is asked: `MEMBERS` is the page to read, one row for each.

A draft may lack any of it; nothing that lacks one is proposed, approved or put in force.
Spec: Law 27/2022 (UU PDP) articles 20(2), 21(1), 34 and 53; ISO/IEC TS 27560 §6.3 (the mandatory fields, as W3C's guide
lists them).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from consent.attributes import LANGUAGES, Category
from consent.models import Agency
from consent.purposes import PurposeVersionView


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that somebody wants in force, and the agency that asks."""

    version: PurposeVersionView
    agency: Agency


@dataclass(frozen=True, slots=True)
class Member:
    """Something that must be said: its name in ISO/IEC TS 27560 or the law, who makes it mandatory, and the check."""

    name: str
    demanded_by: str
    is_said: Callable[[Candidate], bool]


def _says(name: str) -> Callable[[Candidate], bool]:
    """A member of the terms that is said at all, and not with nothing."""
    return lambda candidate: bool(getattr(candidate.version.terms, name))


def _agency_says(name: str) -> Callable[[Candidate], bool]:
    return lambda candidate: bool(getattr(candidate.agency, name))


def _in_every_language(candidate: Candidate) -> bool:
    return all(candidate.version.texts.get(language, {}).get("name") for language in LANGUAGES)


def _items_say_why(candidate: Candidate) -> bool:
    items = candidate.version.items
    return bool(items) and all(item.why.get(language) for item in items for language in LANGUAGES)


def _rights_fit_the_basis(candidate: Candidate) -> bool:
    rights = candidate.version.terms.privacy_rights or ()
    # A consent that cannot be withdrawn is none (article 9).
    return bool(rights) and ("withdrawal" in rights or candidate.version.legal_basis != "consent")


def _is_assessed_where_it_must_be(candidate: Candidate) -> bool:
    version = candidate.version
    specific = any(version.item(claim).category == Category.SPECIFIC for claim in version.claims)
    risky = specific or "https://w3id.org/dpv#Profiling" in (version.terms.processing or ())
    return not risky or version.terms.impact_assessment is not None


MEMBERS: Final[tuple[Member, ...]] = (
    Member("legal_basis", "UU PDP 20(2), 21(1)a", lambda c: bool(c.version.legal_basis and c.version.legal_citation)),
    Member("purpose", "UU PDP 21(1)b; ISO 27560 purpose, language", _in_every_language),
    Member("pii_information", "UU PDP 21(1)c; ISO 27560 pii_information, pii_type", _items_say_why),
    Member("retention_period", "UU PDP 21(1)d; ISO 27560 retention_period", lambda c: c.version.retention_days >= 0),
    Member("collection_method", "UU PDP 21(1)e", _says("collection_method")),
    Member("processing", "UU PDP 21(1)e", _says("processing")),
    Member("validity_duration", "UU PDP 21(1)f; ISO 27560 validity_duration", lambda c: c.version.validity_days >= 1),
    Member("privacy_rights", "UU PDP 21(1)g, 9", _rights_fit_the_basis),
    Member("storage_locations", "ISO 27560 storage_locations", _says("storage_locations")),
    # An empty list says that nobody else gets the data; only silence is missing.
    Member(
        "recipient_third_parties",
        "ISO 27560 recipient_third_parties",
        lambda c: c.version.terms.recipients is not None,
    ),
    Member("withdrawal_method", "ISO 27560 withdrawal_method", _says("withdrawal_method")),
    Member("jurisdiction", "ISO 27560 jurisdiction", _says("jurisdiction")),
    Member("impact_assessment", "UU PDP 34", _is_assessed_where_it_must_be),
    Member("party_name", "ISO 27560 party_name", _agency_says("names")),
    Member("party_address", "ISO 27560 party_address", _agency_says("address")),
    Member("party_contact", "ISO 27560 party_contact; UU PDP 53", _agency_says("privacy_contact")),
    Member("party_type", "ISO 27560 party_type", _agency_says("party_type")),
)


def missing(candidate: Candidate) -> tuple[Member, ...]:
    """The members that are not said."""
    return tuple(member for member in MEMBERS if not member.is_said(candidate))


def fault_in_members(candidate: Candidate) -> str | None:
    """What is missing, in one sentence; None if nothing is."""
    absent = missing(candidate)
    if not absent:
        return None
    return "not said: " + "; ".join(f"{member.name} ({member.demanded_by})" for member in absent)
