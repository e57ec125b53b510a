"""What may be written in a sharing agreement: one function per rule, and the tuple of them all."""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final

from consent.errors import AgreementRefused
from consent.purpose_checks import MOST_ITEMS, MOST_RETENTION_DAYS, MOST_USES, MOST_VALIDITY_DAYS
from consent.registry.agreements import AgreementTerms, Instrument
from consent.registry.terms import is_day
from consent.registry.vocabulary import FETCH_TYPES
from consent.wording import fault_in

INSTRUMENT_KINDS: Final = ("cooperation_agreement", "decree", "regulation", "law")
_CODE: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?")


def read_instrument(says: Instrument | Mapping[str, Any]) -> Instrument:
    """The instrument of a JSON object. Error: `AgreementRefused`."""
    if isinstance(says, Instrument):
        return says
    members = {field.name for field in fields(Instrument)}
    given: object = says
    if not isinstance(given, Mapping) or not members - {"url"} <= set(given) <= members:
        raise AgreementRefused(f"the instrument is an object with exactly: {', '.join(sorted(members))}")
    return Instrument(**given)


def instrument_is_named(terms: AgreementTerms) -> str | None:
    """The document that both signed can be found."""
    instrument = terms.instrument
    if instrument.kind not in INSTRUMENT_KINDS:
        return f"the instrument's kind must be one of {', '.join(INSTRUMENT_KINDS)}"
    for what, text, most in (("number", instrument.number, 200), ("title", instrument.title, 500)):
        fault = fault_in(text, most=most)
        if fault is not None:
            return f"the instrument's {what} {fault}"
    if not is_day(instrument.date):
        return "the instrument's date must be a day such as 2026-08-17"
    url = instrument.url
    if url is not None and (fault_in(url, most=500) is not None or not url.startswith("https://")):
        return "the instrument's url must be an https address"
    return None


def items_are_named_once(terms: AgreementTerms) -> str | None:
    """What flows is listed."""
    if not 1 <= len(terms.items) <= MOST_ITEMS:
        return f"an agreement is about 1 to {MOST_ITEMS} data items"
    if not all(isinstance(item, str) for item in terms.items):
        return "the items are texts"
    return None if len(set(terms.items)) == len(terms.items) else "an item is listed twice"


def period_is_said(terms: AgreementTerms) -> str | None:
    """An agreement ends, and is made anew."""
    moments: tuple[object, ...] = (terms.valid_from, terms.valid_until)
    for moment in moments:
        if not isinstance(moment, datetime) or moment.utcoffset() is None:
            return "valid_from and valid_until are moments with their time zone"
    if not terms.valid_from < terms.valid_until <= terms.valid_from + timedelta(days=MOST_VALIDITY_DAYS):
        return f"the agreement must end after it begins, within {MOST_VALIDITY_DAYS} days"
    return None


def frequency_is_said(terms: AgreementTerms) -> str | None:
    """How often data may be fetched."""
    if terms.fetch_type not in FETCH_TYPES:
        return f"fetch_type must be one of {', '.join(FETCH_TYPES)}"
    limit, window = terms.use_limit, terms.use_window_days
    if terms.fetch_type == "onetime":
        return None if limit is None and window is None else "what is fetched once has no use_limit"
    if (limit is None) != (window is None):
        return "use_limit and use_window_days are said together, or neither"
    if limit is not None and not _is_number(limit, 1, MOST_USES):
        return f"use_limit must be 1 to {MOST_USES}, a whole number"
    if window is not None and not _is_number(window, 1, MOST_VALIDITY_DAYS):
        return f"use_window_days must be 1 to {MOST_VALIDITY_DAYS} whole days"
    return None


def data_life_is_said(terms: AgreementTerms) -> str | None:
    """How long the recipient may keep what it got."""
    if _is_number(terms.data_life_days, 0, MOST_RETENTION_DAYS):
        return None
    return f"data_life_days must be 0 to {MOST_RETENTION_DAYS} whole days"


Check = Callable[[AgreementTerms], str | None]

CHECKS: Final[tuple[Check, ...]] = (
    instrument_is_named,
    items_are_named_once,
    period_is_said,
    frequency_is_said,
    data_life_is_said,
)


def check_terms(code: str, terms: AgreementTerms, *, now: datetime) -> None:
    """Runs every check in order. Error: `AgreementRefused` with the first fault."""
    if _CODE.fullmatch(code) is None:
        raise AgreementRefused("the code must be 1 to 100 of a-z, 0-9, dot, hyphen and underscore")
    for check in CHECKS:
        fault = check(terms)
        if fault is not None:
            raise AgreementRefused(fault)
    if terms.valid_until <= now:
        raise AgreementRefused("the agreement is over already")


def _is_number(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
