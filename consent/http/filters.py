"""What an officer typed to narrow a list: read strictly, told apart from what is wrong with it, and never lost.

Days are days in Indonesia's western time, both ends included: an officer who asks for the 17th gets all of the 17th.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from typing import Final
from urllib.parse import urlencode

from consent.event_list import EventFilter
from consent.identifiers import is_id
from consent.statuses import KINDS
from consent.wording import fault_in

# Asia/Jakarta has had no summer time since 1964: a fixed offset needs no time zone database to be installed.
JAKARTA: Final = timezone(timedelta(hours=7), "WIB")
FIELDS: Final = ("agency", "purpose", "citizen", "client", "kind", "from", "to", "reason")

_DAY: Final = re.compile(r"(19|20|21)\d\d-\d\d-\d\d", re.ASCII)
_CLIENT: Final = re.compile(r"[\x20-\x7e]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """The filters as typed, what they mean, and why which field is wrong (a word that pages have a sentence for)."""

    values: Mapping[str, str]
    filters: EventFilter
    wrong: Mapping[str, str]

    @property
    def reason(self) -> str | None:
        """Why the officer looks, if they said so. It filters nothing, and is kept with the look."""
        return self.values["reason"] or None

    def address(self, **more: str) -> str:
        """The query of an address that shows this list again, with more parameters."""
        return urlencode({**{name: value for name, value in self.values.items() if value}, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """The ids of agencies and purposes by the codes that addresses carry."""

    agencies: Mapping[str, str]
    purposes: Mapping[str, str]


def read_filters(query: Mapping[str, str], register: Register) -> Typed:
    """Reads the filters of an address. A field that is wrong filters nothing; nothing may be listed while one is."""
    values = {name: query.get(name, "").strip() for name in FIELDS}
    filters, wrong = EventFilter(), {}
    for name, read in _READERS.items():
        if not values[name]:
            continue
        found = read(values[name], register)
        if isinstance(found, EventFilter):
            filters = _join(filters, found)
        else:
            wrong[name] = found
    if values["reason"] and fault_in(values["reason"], most=500) is not None:
        wrong["reason"] = "not_a_reason"
    if filters.since is not None and filters.until is not None and filters.since >= filters.until:
        wrong["to"] = "backwards"
    return Typed(values=values, filters=filters, wrong=wrong)


def _join(filters: EventFilter, more: EventFilter) -> EventFilter:
    said = {name: value for name in more.__dataclass_fields__ if (value := getattr(more, name)) is not None}
    return replace(filters, **said)


def _agency(text: str, register: Register) -> EventFilter | str:
    found = register.agencies.get(text)
    return "unknown_agency" if found is None else EventFilter(agency_id=found)


def _purpose(text: str, register: Register) -> EventFilter | str:
    found = register.purposes.get(text)
    return "unknown_purpose" if found is None else EventFilter(purpose_id=found)


def _citizen(text: str, _register: Register) -> EventFilter | str:
    reference = text.lower()
    return EventFilter(subject_id=reference) if is_id(reference) else "not_a_reference"


def _client(text: str, _register: Register) -> EventFilter | str:
    # PostgreSQL answers a NUL in a text with an error instead of with no row.
    return EventFilter(client_id=text) if _CLIENT.fullmatch(text) else "not_an_app"


def _kind(text: str, _register: Register) -> EventFilter | str:
    return EventFilter(kind=text) if text in KINDS else "unknown_kind"


def _from(text: str, _register: Register) -> EventFilter | str:
    day = _day(text)
    return "not_a_day" if day is None else EventFilter(since=_midnight(day))


def _to(text: str, _register: Register) -> EventFilter | str:
    day = _day(text)
    return "not_a_day" if day is None else EventFilter(until=_midnight(day + timedelta(days=1)))


_READERS: Final[Mapping[str, Callable[[str, Register], EventFilter | str]]] = {
    "agency": _agency,
    "purpose": _purpose,
    "citizen": _citizen,
    "client": _client,
    "kind": _kind,
    "from": _from,
    "to": _to,
}


def end_of_day(text: str) -> datetime | None:
    """The moment after the last of a day that somebody typed; None when it is not a day."""
    day = _day(text)
    return None if day is None else _midnight(day + timedelta(days=1))


def _day(text: str) -> date | None:
    # date.fromisoformat alone also takes "20260817" and "2026-W34-1", which nobody means.
    if _DAY.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), JAKARTA)
