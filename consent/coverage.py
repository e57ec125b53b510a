"""Does what was agreed cover what is asked? A pure function, and the only place that decides it.

Whatever is released anywhere is `Covered.items`, which is never more than what was granted and what was asked.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Reason(StrEnum):
    """Why a person has to be asked."""

    NEVER_DECIDED = "never_decided"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    NOT_IN_FORCE = "not_in_force"
    CHANGED = "changed"
    ITEMS = "items"
    OFFLINE_ACCESS = "offline_access"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What an app asks for, of one purpose's newest version. `required` and `optional` are claims."""

    purpose_version_id: str
    purpose_id: str
    required: frozenset[str]
    optional: frozenset[str]
    offline_access: bool

    @property
    def items(self) -> frozenset[str]:
        """Every claim that is asked for."""
        return self.required | self.optional


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a person stands with one app's one purpose: their consent in force, or else their last decision."""

    consent_id: str
    status: str
    purpose_version_id: str
    granted: frozenset[str]
    refused: frozenset[str]
    offline_access: bool
    valid_until: datetime | None


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


_ENDED = {
    "refused": Reason.REFUSED,
    "withdrawn": Reason.WITHDRAWN,
    "expired": Reason.EXPIRED,
    "superseded": Reason.SUPERSEDED,
}


def covers(standing: Standing | None, ask: Ask, now: datetime) -> Covered | Uncovered:
    """Whether `standing` lets `ask` through without asking the person, and with which items.

    A required item has to be granted. An optional one has to be decided; a refused one does not ask again.
    """
    reason = _not_in_force(standing, now)
    if standing is None or reason is not None:
        return Uncovered(reason or Reason.NEVER_DECIDED, ask.items)
    if standing.purpose_version_id != ask.purpose_version_id:
        return Uncovered(Reason.CHANGED, ask.items)
    # An item in both lists is nobody's honest record: it counts as refused.
    granted = standing.granted - standing.refused
    undecided = (ask.required - granted) | (ask.optional - ask.required - granted - standing.refused)
    if undecided:
        return Uncovered(Reason.ITEMS, undecided)
    if ask.offline_access and not standing.offline_access:
        return Uncovered(Reason.OFFLINE_ACCESS, frozenset())
    return Covered(standing.consent_id, granted & ask.items)


def widen(standing: Standing | None, ask: Ask, now: datetime) -> Ask:
    """The ask as it should be put to the person: with the items of their consent in force, if it is of this version.

    A new decision replaces the earlier one. Asking only for what is missing would lose what was agreed before, and
    an app that alternates between two sets of scopes would ask at every login.
    """
    if standing is None or _not_in_force(standing, now) is not None:
        return ask
    if standing.purpose_version_id != ask.purpose_version_id:
        return ask
    decided = standing.granted | standing.refused
    return replace(
        ask,
        optional=ask.optional | (decided - ask.required),
        offline_access=ask.offline_access or standing.offline_access,
    )


def _not_in_force(standing: Standing | None, now: datetime) -> Reason | None:
    if standing is None:
        return Reason.NEVER_DECIDED
    if standing.status != "given":
        return _ENDED.get(standing.status, Reason.NOT_IN_FORCE)
    if standing.valid_until is not None and now >= standing.valid_until:
        return Reason.EXPIRED
    return None
