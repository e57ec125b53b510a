"""Does what was agreed cover what is asked? A pure function, and the only place that decides whether to ask a person.

Whether the consent is in force, and what it lets flow, is the gate's to say. What is decided here is whether it answers
this question: the same version or a compatible one, each item decided. `Covered.items` is never more than the gate lets
flow.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from consent import gate


class Reason(StrEnum):
    """Why a person has to be asked."""

    NEVER_DECIDED = "never_decided"
    REQUESTED = "requested"
    REFUSED = "refused"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    INVALIDATED = "invalidated"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    NOT_IN_FORCE = "not_in_force"
    CHANGED = "changed"
    ITEMS = "items"
    OFFLINE_ACCESS = "offline_access"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What an app asks for, of one purpose's newest version. `required` and `optional` are claims.

    `claims` is all that the version has, asked for or not; `compatible` are the ids of the earlier versions whose
    consents hold for it.
    """

    client_id: str
    agency_id: str
    purpose_version_id: str
    purpose_id: str
    required: frozenset[str]
    optional: frozenset[str]
    offline_access: bool
    claims: frozenset[str] = frozenset()
    compatible: frozenset[str] = frozenset()

    @property
    def items(self) -> frozenset[str]:
        """Every claim that is asked for."""
        return self.required | self.optional

    def accepts(self, purpose_version_id: str) -> bool:
        """Whether a consent to that version answers a question about this one."""
        return purpose_version_id == self.purpose_version_id or purpose_version_id in self.compatible


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person stands with one app's one purpose: their consent in force, or else their last decision.

    `facts` are what the gate decides by.
    """

    facts: gate.Facts
    offline_access: bool

    @property
    def consent_id(self) -> str:
        """The record's id."""
        return self.facts.consent_id or ""

    @property
    def status(self) -> str:
        """The record's status."""
        return self.facts.status or "unknown"

    @property
    def purpose_version_id(self) -> str:
        """What they decided about."""
        return self.facts.purpose_version_id or ""

    @property
    def granted(self) -> frozenset[str]:
        """What they agreed to. An item in both lists is nobody's honest record: it counts as refused."""
        return frozenset(self.facts.granted or ()) - self.refused

    @property
    def refused(self) -> frozenset[str]:
        """What they refused."""
        return frozenset(self.facts.refused or ())

    @property
    def valid_until(self) -> datetime | None:
        """When it ends; of a no, until when it is remembered."""
        return self.facts.valid_until

    def is_over(self, now: datetime) -> bool:
        """Whether its time is up."""
        return self.valid_until is not None and self.valid_until <= now


@dataclass(frozen=True, slots=True)
class Covered:
    """The consent covers the request. `items` may be released, and nothing else."""

    consent_id: str
    items: frozenset[str]


@dataclass(frozen=True, slots=True)
class Uncovered:
    """The person has to be asked. `missing` are the items that nothing in force decides."""

    reason: Reason
    missing: frozenset[str]


_REASONS: Final = {reason.value: reason for reason in Reason}


def covers(standing: Standing | None, ask: Ask, now: datetime) -> Covered | Uncovered:
    """Whether `standing` lets `ask` through without asking the person, and with which items.

    A required item has to be granted. An optional one has to be decided; a refused one does not ask again.
    """
    if standing is None:
        return Uncovered(Reason.NEVER_DECIDED, ask.items)
    answer = _at_the_gate(standing, ask, now)
    if isinstance(answer, gate.Deny):
        return Uncovered(_REASONS.get(answer.reason.value, Reason.NOT_IN_FORCE), ask.items)
    if not ask.accepts(standing.purpose_version_id):
        return Uncovered(Reason.CHANGED, ask.items)
    granted = standing.granted
    undecided = (ask.required - granted) | (ask.optional - ask.required - granted - standing.refused)
    if undecided:
        return Uncovered(Reason.ITEMS, undecided)
    if ask.offline_access and not standing.offline_access:
        return Uncovered(Reason.OFFLINE_ACCESS, frozenset())
    return Covered(answer.consent_id, answer.items)


def widen(standing: Standing | None, ask: Ask, now: datetime) -> Ask:
    """The ask as it should be put to the person: with the items of their consent in force, if it answers this version.

    A new decision replaces the earlier one. Asking only for what is missing would lose what was agreed before, and
    an app that alternates between two sets of scopes would ask at every login.
    """
    if standing is None or isinstance(_at_the_gate(standing, ask, now), gate.Deny):
        return ask
    if not ask.accepts(standing.purpose_version_id):
        return ask
    decided = standing.granted | standing.refused
    if standing.purpose_version_id != ask.purpose_version_id:
        # A compatible version may have dropped an item; what it does not have, nobody is asked for.
        decided &= ask.claims
    return replace(
        ask,
        optional=ask.optional | (decided - ask.required),
        offline_access=ask.offline_access or standing.offline_access,
    )


def _at_the_gate(standing: Standing, ask: Ask, now: datetime) -> gate.Permit | gate.Deny:
    question = gate.Question(
        client_id=ask.client_id,
        agency_id=ask.agency_id,
        purpose_id=ask.purpose_id,
        items=ask.items,
        # Nobody receives data by a code. Uses that are spent for today do not end a login.
        is_use=False,
    )
    return gate.decide(question, standing.facts, now)
