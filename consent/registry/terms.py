"""The rest of what a purpose version says: what is done with the data, where, by whom, and how to take it back.

Every member may be missing in a draft; None means "not said", and is something else than an empty list, which says
"none". What must be said before anybody is asked is `consent.registry.mandatory`.
Spec: ISO/IEC TS 27560 (processing_method, storage_locations, recipient_third_parties, withdrawal_method, …);
Law 27/2022 (UU PDP) articles 21(1), 34; W3C DPV guide to ISO/IEC TS 27560.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Final, Self

from consent.errors import PurposeRefused

Text = Mapping[str, str]  # in each language


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A third party that gets the data from the agency. `role` is `processor` (works for it) or `controller`."""

    names: Text
    party_type: str
    role: str
    why: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactAssessment:
    """Where the assessment of the risks is, and when it was made."""

    url: str
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Who supervises the processing, and where to complain."""

    names: Text
    contact: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one version.

    `processing` are IRIs of `vocabulary.OPERATIONS`; places are ISO 3166 codes; `privacy_rights` are of
    `vocabulary.RIGHTS`; `jurisdiction` is a country's code.
    """

    dpv_purpose_iri: str | None = None
    processing: tuple[str, ...] | None = None
    collection_method: Text | None = None
    storage_locations: tuple[str, ...] | None = None
    processing_locations: tuple[str, ...] | None = None
    geographic_restrictions: tuple[str, ...] | None = None
    recipients: tuple[Recipient, ...] | None = None
    withdrawal_method: Text | None = None
    privacy_rights: tuple[str, ...] | None = None
    impact_assessment: ImpactAssessment | None = None
    jurisdiction: str | None = None
    service: Text | None = None
    authority: Authority | None = None
    codes_of_conduct: tuple[str, ...] | None = None

    @classmethod
    def read(cls, says: "Terms | Mapping[str, Any] | None") -> Self:
        """The terms of a JSON object. Members that it lacks are not said. Error: `PurposeRefused`."""
        if isinstance(says, cls):
            return says
        if says is None:
            return cls()
        if not isinstance(says, Mapping):
            raise PurposeRefused("the terms are an object")
        unknown = sorted(set(says) - set(MEMBERS))
        if unknown:
            raise PurposeRefused(f"the terms have no member {unknown[0]}")
        values: dict[str, Any] = {}
        for name, value in says.items():
            if value is None:
                continue
            if name in _PARTS and not isinstance(value, _PARTS[name]):
                values[name] = _part(name, value)
            elif name == "recipients":
                values[name] = tuple(
                    one if isinstance(one, Recipient) else _part(name, one) for one in _list(name, value)
                )
            else:
                values[name] = tuple(_list(name, value)) if name in LISTS else value
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """The terms in plain JSON values; what is not said is left out."""
        said = {name: _plain(getattr(self, name)) for name in MEMBERS}
        return {name: value for name, value in said.items() if value is not None}


MEMBERS: Final = tuple(field.name for field in fields(Terms))
LISTS: Final = frozenset(
    {
        "processing",
        "storage_locations",
        "processing_locations",
        "geographic_restrictions",
        "privacy_rights",
        "codes_of_conduct",
    }
)
_PARTS: Final[Mapping[str, type[Any]]] = {"impact_assessment": ImpactAssessment, "authority": Authority}


def _list(name: str, value: object) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise PurposeRefused(f"{name} is a list")
    return list(value)


def _part(name: str, value: object) -> Any:
    made = Recipient if name == "recipients" else _PARTS[name]
    members = {field.name for field in fields(made)}
    if not isinstance(value, Mapping) or set(value) != members:
        what = "a recipient" if name == "recipients" else name
        raise PurposeRefused(f"{what} is an object with exactly: {', '.join(sorted(members))}")
    return made(**value)


def _plain(value: Any) -> Any:
    if isinstance(value, Recipient | ImpactAssessment | Authority):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return dict(value) if isinstance(value, Mapping) else value


def is_day(text: object) -> bool:
    """Whether it is a day as ISO 8601 writes it: 2026-08-17."""
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
