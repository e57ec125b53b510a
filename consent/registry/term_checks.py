"""What the terms of a version may look like, where they are said: one function per rule, and the tuple of them all.

Spec: ISO/IEC TS 27560; ISO 3166; W3C DPV 2 (Processing, Purpose).
"""

from collections.abc import Callable
from typing import Any, Final

from consent.registry.terms import Terms, is_day
from consent.registry.vocabulary import OPERATIONS, PARTY_TYPES, RIGHTS, is_dpv_term, is_place
from consent.wording import fault_in, fault_in_each_language

MOST_LISTED: Final = 50
RECIPIENT_ROLES: Final = ("processor", "controller")


def purpose_is_a_dpv_term(terms: Terms) -> str | None:
    """Machines in other countries know a purpose by its DPV term."""
    if terms.dpv_purpose_iri is None or is_dpv_term(terms.dpv_purpose_iri):
        return None
    return "dpv_purpose_iri must be an address such as https://w3id.org/dpv#ServiceProvision"


def operations_are_known(terms: Terms) -> str | None:
    """An operation has a name that a person can read."""
    return _fault_in_list("processing", terms.processing, lambda one: one in OPERATIONS, "an operation of DPV's")


def places_are_codes(terms: Terms) -> str | None:
    """Places are countries, or parts of them, by their ISO 3166 codes."""
    for name in ("storage_locations", "processing_locations", "geographic_restrictions"):
        fault = _fault_in_list(name, getattr(terms, name), is_place, "a place's code such as ID or ID-JK")
        if fault is not None:
            return fault
    jurisdiction = terms.jurisdiction
    if jurisdiction is None or (is_place(jurisdiction) and len(jurisdiction) == 2):
        return None
    return "jurisdiction must be a country's code such as ID"


def rights_are_the_laws(terms: Terms) -> str | None:
    """Spec: UU PDP articles 5 to 13."""
    return _fault_in_list("privacy_rights", terms.privacy_rights, lambda one: one in RIGHTS, "a right of the law")


def sentences_are_in_each_language(terms: Terms) -> str | None:
    """What people read, they read in their own language."""
    for name, most in (("collection_method", 1000), ("withdrawal_method", 1000), ("service", 200)):
        text = getattr(terms, name)
        fault = None if text is None else fault_in_each_language(text, most=most, lines=name != "service")
        if fault is not None:
            return f"{name} {fault}"
    return None


def recipients_are_named(terms: Terms) -> str | None:
    """Who else gets the data, and why."""
    if terms.recipients is not None and len(terms.recipients) > MOST_LISTED:
        return f"recipients has more than {MOST_LISTED}"
    for recipient in terms.recipients or ():
        fault = fault_in_each_language(recipient.names, most=200)
        if fault is not None:
            return f"a recipient's name {fault}"
        fault = fault_in_each_language(recipient.why, most=500)
        if fault is not None:
            return f"why a recipient gets the data {fault}"
        if recipient.party_type not in PARTY_TYPES:
            return f"a recipient's party_type must be one of {', '.join(PARTY_TYPES)}"
        if recipient.role not in RECIPIENT_ROLES:
            return f"a recipient's role must be one of {', '.join(RECIPIENT_ROLES)}"
    return None


def assessment_is_dated(terms: Terms) -> str | None:
    """Spec: UU PDP article 34."""
    assessment = terms.impact_assessment
    if assessment is None:
        return None
    if not _is_address(assessment.url):
        return "the impact assessment's url must be an https address"
    return None if is_day(assessment.date) else "the impact assessment's date must be a day such as 2026-08-17"


def authority_is_named(terms: Terms) -> str | None:
    """Whom to complain to, and where."""
    if terms.authority is None:
        return None
    fault = fault_in_each_language(terms.authority.names, most=200)
    if fault is not None:
        return f"the authority's name {fault}"
    fault = fault_in(terms.authority.contact, most=300)
    return None if fault is None else f"the authority's contact {fault}"


def codes_are_addresses(terms: Terms) -> str | None:
    """A code of conduct that nobody can read binds nobody."""
    return _fault_in_list("codes_of_conduct", terms.codes_of_conduct, _is_address, "an https address")


Check = Callable[[Terms], str | None]

CHECKS: Final[tuple[Check, ...]] = (
    purpose_is_a_dpv_term,
    operations_are_known,
    places_are_codes,
    rights_are_the_laws,
    sentences_are_in_each_language,
    recipients_are_named,
    assessment_is_dated,
    authority_is_named,
    codes_are_addresses,
)


def fault_in_terms(terms: Terms) -> str | None:
    """The first thing that is wrong with what is said, or None."""
    return next((fault for check in CHECKS if (fault := check(terms)) is not None), None)


def _fault_in_list(name: str, values: tuple[Any, ...] | None, is_right: Callable[[Any], bool], what: str) -> str | None:
    if values is None:
        return None
    if len(values) > MOST_LISTED:
        return f"{name} has more than {MOST_LISTED}"
    seen: set[str] = set()
    for value in values:
        if not isinstance(value, str) or not is_right(value):
            return f"{name}: {value!r:.100} is not {what}"
        if value in seen:
            return f"{name} lists {value} twice"
        seen.add(value)
    return None


def _is_address(text: object) -> bool:
    return isinstance(text, str) and text.startswith("https://") and fault_in(text, most=500) is None
