"""Consents as a page shows them: names in the reader's language, and the text exactly as it was shown."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from consent.attributes import ITEMS, LANGUAGES, DataItem
from consent.errors import ConsentError
from consent.events import Event, Projected, rebuild
from consent.history import ConsentDetail, ConsentSummary, KeptText
from consent.identifiers import is_id
from consent.notice import SCHEMA, Notice
from consent.statuses import CURRENT, PERMITTING

_MEMBERS: Final = frozenset(field.name for field in fields(Notice))
_REPLACED_BY: Final = "replaced by "


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A data item that was decided about, by the name that people know it by."""

    claim: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One consent: whose app, for what, and how it stands at this moment.

    `assisted` is the channel by which an officer wrote it down, if one did. `may_go` are the items that can be let go
    of while the rest stays.
    """

    consent: ConsentSummary
    status: str
    client_name: str
    agency_name: str
    purpose_name: str
    granted: tuple[Item, ...]
    refused: tuple[Item, ...]
    may_go: tuple[Item, ...]
    assisted: str | None

    @property
    def in_force(self) -> bool:
        """Whether data may flow."""
        return self.status in PERMITTING

    @property
    def is_current(self) -> bool:
        """Whether there is something to withdraw, if the person has a choice."""
        return self.status in CURRENT

    @property
    def is_remembered(self) -> bool:
        """Whether it is a no that keeps the app from asking again."""
        return self.status == "refused" and self.consent.valid_until is not None


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
    """One event of a history. `successor` is the consent that replaced this one; `reason` is what else was said.

    Of what was changed: `let_go` are items that were taken back, `until` an end that was brought nearer, and `lifted`
    that a no is not remembered any more.
    """

    event: Event
    successor: str | None
    reason: str | None
    let_go: tuple[Item, ...] = ()
    until: datetime | None = None
    lifted: bool = False


def spoken(locale: str) -> str:
    """The language of the registers that a reader of `locale` gets."""
    return locale if locale in LANGUAGES else LANGUAGES[0]


def card(
    consent: ConsentSummary,
    *,
    client_names: Mapping[str, str],
    locale: str,
    now: datetime,
    registered: Mapping[str, DataItem] = MappingProxyType({}),
    assisted: str | None = None,
) -> Card:
    """A consent as its reader sees it. `registered` are the items that other agencies hold, by claim."""
    language = spoken(locale)
    required = {item["claim"] for item in consent.items if item["required"]}
    optional = [claim for claim in consent.granted if claim not in required]
    return Card(
        consent=consent,
        # The row says `given` until the sweep comes by, but nothing is released any more once its time is up.
        status="expired" if consent.status in CURRENT and consent.is_over(now) else consent.status,
        client_name=client_names.get(consent.client_id, consent.client_id),
        agency_name=consent.agency_names[language],
        purpose_name=consent.texts[language]["name"],
        granted=named(consent.granted, language, registered),
        refused=named(consent.refused, language, registered),
        may_go=named(optional, language, registered) if consent.is_choice else (),
        assisted=assisted,
    )


def by_agency(cards: Iterable[Card]) -> tuple[AgencyCards, ...]:
    """The cards of each agency together, agencies by name, each one's cards in the order given."""
    found: dict[str, list[Card]] = {}
    for one in cards:
        found.setdefault(one.agency_name, []).append(one)
    return tuple(AgencyCards(agency_name=name, cards=tuple(found[name])) for name in sorted(found))


def named(claims: Iterable[str], language: str, registered: Mapping[str, DataItem]) -> tuple[Item, ...]:
    """The items by the names that people know them by, in the order of these."""
    known = {**ITEMS, **registered}
    # A claim that left the register stays in old records, under its technical name.
    pairs = [(claim, known[claim].label(language) if claim in known else claim) for claim in claims]
    return tuple(Item(claim=claim, label=label) for claim, label in sorted(pairs, key=lambda pair: pair[1]))


def beyond_the_account(consents: Iterable[ConsentSummary]) -> frozenset[str]:
    """The claims in these consents that the account here does not have: other agencies' items."""
    every = {claim for consent in consents for claim in (*consent.granted, *consent.refused)}
    return frozenset(every - ITEMS.keys())


def shown_text(detail: ConsentDetail) -> ShownText | None:
    """The text that the last decision answered."""
    for event in reversed(detail.events):
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


def history(
    detail: ConsentDetail, *, locale: str, registered: Mapping[str, DataItem] = MappingProxyType({})
) -> tuple[Step, ...]:
    """What happened to a consent, oldest first."""
    before = (None, *detail.events)
    return tuple(
        _step(event, earlier, spoken(locale), registered) for event, earlier in zip(detail.events, before, strict=False)
    )


def _step(event: Event, earlier: Event | None, language: str, registered: Mapping[str, DataItem]) -> Step:
    successor = (event.reason or "").removeprefix(_REPLACED_BY)
    replaced = event.kind == "superseded" and is_id(successor)
    step = Step(event=event, successor=successor if replaced else None, reason=None if replaced else event.reason)
    if event.kind != "changed" or earlier is None or event.erased:
        return step
    if event.status == "refused":
        return replace(step, lifted=True)
    return replace(
        step,
        let_go=named(set(earlier.granted) - set(event.granted), language, registered),
        until=event.valid_until if event.valid_until != earlier.valid_until else None,
    )


def agrees_with_events(detail: ConsentDetail) -> bool:
    """Whether the consent's row says what its events add up to. Of an erased one, nothing can be said against it."""
    if detail.consent.erased_at is not None and all(event.erased for event in detail.events):
        return True
    try:
        projected = rebuild(detail.events)
    except ConsentError:
        return False
    return all(getattr(projected, field.name) == getattr(detail.consent, field.name) for field in fields(Projected))
