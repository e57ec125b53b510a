"""Consents as a page shows them: names in the reader's language, and the text exactly as it was shown."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from consent.attributes import ITEMS, LANGUAGES
from consent.errors import ConsentError
from consent.events import Event, Projected, rebuild
from consent.history import ConsentDetail, ConsentSummary, KeptText
from consent.identifiers import is_id
from consent.notice import SCHEMA, Notice

_MEMBERS: Final = frozenset(field.name for field in fields(Notice))
_REPLACED_BY: Final = "replaced by "


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A data item that was decided about, by the name that people know it by."""

    claim: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One consent: whose app, for what, and how it stands at this moment."""

    consent: ConsentSummary
    status: str
    client_name: str
    agency_name: str
    purpose_name: str
    granted: tuple[Item, ...]
    refused: tuple[Item, ...]

    @property
    def in_force(self) -> bool:
        """Whether there is something to withdraw."""
        return self.status == "given"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyCards:
    """One agency's consents."""

    agency_name: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownText:
    """The text that a person saw before they decided.

    `notice` has the members of a `Notice`; None when it was written under rules that this program does not know, and
    then `body` is shown as it is.
    """

    language: str
    sha256: str
    intact: bool
    notice: Mapping[str, Any] | None
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event of a history. `successor` is the consent that replaced this one; `reason` is what else was said."""

    event: Event
    successor: str | None
    reason: str | None


def spoken(locale: str) -> str:
    """The language of the registers that a reader of `locale` gets."""
    return locale if locale in LANGUAGES else LANGUAGES[0]


def card(consent: ConsentSummary, *, client_names: Mapping[str, str], locale: str, now: datetime) -> Card:
    """A consent as its reader sees it."""
    language = spoken(locale)
    return Card(
        consent=consent,
        # The row says `given` until the sweep comes by, but nothing is released any more once its time is up.
        status="expired" if consent.status == "given" and not consent.in_force(now) else consent.status,
        client_name=client_names.get(consent.client_id, consent.client_id),
        agency_name=consent.agency_names[language],
        purpose_name=consent.texts[language]["name"],
        granted=_items(consent.granted, language),
        refused=_items(consent.refused, language),
    )


def by_agency(cards: Iterable[Card]) -> tuple[AgencyCards, ...]:
    """The cards of each agency together, agencies by name, each one's cards in the order given."""
    found: dict[str, list[Card]] = {}
    for one in cards:
        found.setdefault(one.agency_name, []).append(one)
    return tuple(AgencyCards(agency_name=name, cards=tuple(found[name])) for name in sorted(found))


def _items(claims: Iterable[str], language: str) -> tuple[Item, ...]:
    # A claim that left the register stays in old records, under its technical name.
    named = [(claim, ITEMS[claim].label(language) if claim in ITEMS else claim) for claim in claims]
    return tuple(Item(claim=claim, label=label) for claim, label in sorted(named, key=lambda pair: pair[1]))


def shown_text(detail: ConsentDetail) -> ShownText | None:
    """The text that the decision answered."""
    for event in detail.events:
        kept = detail.texts.get(event.text_sha256) if event.text_sha256 is not None else None
        if kept is not None:
            return _read(kept)
    return None


def _read(kept: KeptText) -> ShownText:
    try:
        notice = json.loads(kept.body)
    except ValueError:
        notice = None
    known = isinstance(notice, dict) and notice.get("schema") == SCHEMA and notice.keys() >= _MEMBERS
    return ShownText(
        language=kept.language,
        sha256=kept.sha256.hex(),
        intact=kept.intact,
        notice=notice if known else None,
        body=kept.body,
    )


def history(detail: ConsentDetail) -> tuple[Step, ...]:
    """What happened to a consent, oldest first."""
    return tuple(_step(event) for event in detail.events)


def _step(event: Event) -> Step:
    successor = (event.reason or "").removeprefix(_REPLACED_BY)
    replaced = event.kind == "superseded" and is_id(successor)
    return Step(event=event, successor=successor if replaced else None, reason=None if replaced else event.reason)


def agrees_with_events(detail: ConsentDetail) -> bool:
    """Whether the consent's row says what its events add up to."""
    try:
        projected = rebuild(detail.events)
    except ConsentError:
        return False
    return all(getattr(projected, field.name) == getattr(detail.consent, field.name) for field in fields(Projected))
