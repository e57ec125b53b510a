"""What may be written in a purpose version at all: one function per rule, and the tuple of them all.

What must be written before anybody is asked is more: see `consent.registry.mandatory`.
Spec: Law 27/2022 (UU PDP) articles 20(2), 21(1) and 22(4).
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from consent.attributes import ITEMS, LANGUAGES, DataItem
from consent.errors import PurposeRefused
from consent.notice_texts import LEGAL_BASES
from consent.purpose_draft import Draft
from consent.registry.term_checks import fault_in_terms
from consent.registry.vocabulary import FETCH_TYPES
from consent.wording import fault_in, fault_in_each_language

# The three texts of a purpose, and the most characters that each may have.
TEXTS: Final = {"name": 120, "description": 2000, "refusal": 1000}
MOST_ITEMS: Final = 40
MOST_RETENTION_DAYS: Final = 36500
MOST_VALIDITY_DAYS: Final = 3650
MOST_USES: Final = 100_000

_CODE: Final = re.compile(r"[a-z0-9](?:[a-z0-9._:-]{0,98}[a-z0-9])?")


Known = Mapping[str, DataItem]


def code_is_plain(draft: Draft, _known: Known) -> str | None:
    """The code goes into `authorization_details` and into addresses."""
    if _CODE.fullmatch(draft.code) is None:
        return "the code must be 1 to 100 of a-z, 0-9, dot, colon, hyphen and underscore"
    return None


def texts_are_in_both_languages(draft: Draft, _known: Known) -> str | None:
    """A person reads all of it in their own language, or has not been told."""
    every: object = draft.texts
    if not isinstance(every, Mapping) or set(every) != set(LANGUAGES):
        return f"the texts must be written in {' and '.join(LANGUAGES)}, and in no other language"
    for language in LANGUAGES:
        texts = every[language]
        if not isinstance(texts, Mapping) or set(texts) != set(TEXTS):
            return f"the texts in {language} must be {', '.join(TEXTS)}, and nothing else"
        for name, most in TEXTS.items():
            fault = fault_in(texts[name], most=most, lines=name != "name")
            if fault is not None:
                return f"the {name} in {language} {fault}"
    return None


def items_are_known_and_named_once(draft: Draft, known: Known) -> str | None:
    """Only data that is known by name can be asked for: the provider's own, and what agencies registered."""
    if not 1 <= len(draft.items) <= MOST_ITEMS:
        return f"a purpose asks for 1 to {MOST_ITEMS} data items"
    for claim, times in Counter(item.claim for item in draft.items).items():
        if claim not in known:
            return f"{claim} is not a known data item"
        if times > 1:
            return f"{claim} is listed {times} times"
    return None


def every_item_says_why(draft: Draft, _known: Known) -> str | None:
    """Spec: UU PDP article 21(1): the relevance of each kind of data."""
    for item in draft.items:
        required: object = item.required
        if not isinstance(required, bool):
            return f"{item.claim} must say whether it is required: true or false"
        fault = fault_in_each_language(item.why, most=500)
        if fault is not None:
            return f"why {item.claim} is asked for {fault}"
    return None


def legal_basis_is_the_laws(draft: Draft, _known: Known) -> str | None:
    """Spec: UU PDP article 20(2)."""
    if draft.legal_basis not in LEGAL_BASES:
        return f"the legal basis must be one of {', '.join(LEGAL_BASES)}"
    fault = fault_in(draft.legal_citation, most=500)
    return None if fault is None else f"the legal citation {fault}"


def optional_items_rest_on_consent(draft: Draft, _known: Known) -> str | None:
    """What may be refused is a choice, and a choice rests on consent: it belongs to a purpose of its own."""
    if draft.legal_basis == "consent":
        return None
    for item in draft.items:
        if not item.required:
            return (
                f"{item.claim} is optional, but the legal basis is {draft.legal_basis}: "
                "ask for what people may refuse in a purpose of its own, on consent"
            )
    return None


def periods_are_said(draft: Draft, _known: Known) -> str | None:
    """Spec: UU PDP article 21(1): how long the data is kept, and how long it is processed."""
    periods: tuple[tuple[str, object, int, int], ...] = (
        ("retention_days", draft.retention_days, 0, MOST_RETENTION_DAYS),
        ("validity_days", draft.validity_days, 1, MOST_VALIDITY_DAYS),
    )
    for what, days, least, most in periods:
        if isinstance(days, bool) or not isinstance(days, int) or not least <= days <= most:
            return f"{what} must be {least} to {most} whole days"
    return None


def items_come_from_one_other_agency(draft: Draft, known: Known) -> str | None:
    """A consent rests on one agreement. What two agencies would have to give is two questions to a person."""
    sources = {source.code for item in draft.items if (source := known[item.claim].source) is not None}
    if len(sources) > 1:
        return f"the items come from {' and '.join(sorted(sources))}: ask for each agency's in a purpose of its own"
    return None


def frequency_is_said(draft: Draft, _known: Known) -> str | None:
    """Spec: UU PDP article 21(1); DEPA fair use (FETCH_TYPE, FREQUENCY)."""
    if draft.fetch_type not in FETCH_TYPES:
        return f"fetch_type must be one of {', '.join(FETCH_TYPES)}"
    limit, window = draft.use_limit, draft.use_window_days
    if draft.fetch_type == "onetime":
        return None if limit is None and window is None else "what is fetched once has no use_limit"
    if (limit is None) != (window is None):
        return "use_limit and use_window_days are said together, or neither"
    numbers: tuple[tuple[str, object, int], ...] = (
        ("use_limit", limit, MOST_USES),
        ("use_window_days", window, MOST_VALIDITY_DAYS),
    )
    for what, number, most in numbers:
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most):
            return f"{what} must be 1 to {most}, a whole number"
    return None


def terms_are_well_formed(draft: Draft, _known: Known) -> str | None:
    """What is said is said in known words; what is missing is `mandatory`'s matter."""
    return fault_in_terms(draft.terms)


Check = Callable[[Draft, Known], str | None]

CHECKS: Final[tuple[Check, ...]] = (
    code_is_plain,
    texts_are_in_both_languages,
    items_are_known_and_named_once,
    items_come_from_one_other_agency,
    every_item_says_why,
    legal_basis_is_the_laws,
    optional_items_rest_on_consent,
    periods_are_said,
    frequency_is_said,
    terms_are_well_formed,
)


def check_draft(draft: Draft, *, known: Known = ITEMS) -> None:
    """Runs every check in order; `known` are the items that there are. Error: `PurposeRefused` with the first fault."""
    for check in CHECKS:
        fault = check(draft, known)
        if fault is not None:
            raise PurposeRefused(fault)
