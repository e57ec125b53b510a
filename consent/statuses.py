"""The statuses of a consent: what each permits, which may follow which, and what W3C's vocabulary calls them.

Spec: W3C DPV 2 (ConsentStatus); ISO/IEC TS 27560 (event type, event state); UU PDP article 41 (a pause).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from consent.errors import ConsentError

_DPV: Final = "https://w3id.org/dpv#"

# The only two that let data through. Everything else does not, also what nobody has thought of yet.
PERMITTING: Final = frozenset({"given", "renewed"})
# In force, or may come into force again: one record of a person, app and purpose at a time.
CURRENT: Final = PERMITTING | {"paused"}

# DPV has no word for a pause, nor for an answer that a newer one replaced: neither permits processing.
DPV_STATUS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "requested": f"{_DPV}ConsentRequested",
        "given": f"{_DPV}ConsentGiven",
        "renewed": f"{_DPV}RenewedConsentGiven",
        "paused": f"{_DPV}ConsentStatusInvalidForProcessing",
        "refused": f"{_DPV}ConsentRefused",
        "withdrawn": f"{_DPV}ConsentWithdrawn",
        "revoked": f"{_DPV}ConsentRevoked",
        "invalidated": f"{_DPV}ConsentInvalidated",
        "expired": f"{_DPV}ConsentExpired",
        "superseded": f"{_DPV}ConsentStatusInvalidForProcessing",
        "unknown": f"{_DPV}ConsentUnknown",
    }
)

# What an event of each kind leads to; None: what was before it, or what was before the pause.
STATUS_AFTER: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "requested": "requested",
        "granted": "given",
        "refused": "refused",
        "renewed": "renewed",
        "changed": None,
        "paused": "paused",
        "resumed": None,
        "withdrawn": "withdrawn",
        "revoked": "revoked",
        "invalidated": "invalidated",
        "expired": "expired",
        "superseded": "superseded",
    }
)
KINDS: Final = tuple(STATUS_AFTER)

# From which status an event of each kind may come; None: from nothing, as the first event of a record.
_FROM: Final[Mapping[str, frozenset[str | None]]] = MappingProxyType(
    {
        "requested": frozenset({None}),
        "granted": frozenset({None, "requested"}),
        "refused": frozenset({None, "requested"}),
        "renewed": frozenset({*PERMITTING, "expired"}),
        # A refusal changes when it stops being remembered.
        "changed": frozenset({*CURRENT, "refused"}),
        "paused": frozenset(PERMITTING),
        "resumed": frozenset({"paused"}),
        "withdrawn": frozenset(CURRENT),
        "revoked": frozenset({*CURRENT, "requested"}),
        "invalidated": frozenset({*CURRENT, "requested"}),
        "expired": frozenset(CURRENT),
        "superseded": frozenset({*CURRENT, "requested"}),
    }
)
# Answers of the person: from these on, what they decided counts.
DECIDING: Final = frozenset({"requested", "granted", "refused", "renewed"})
ENDED: Final = frozenset({"withdrawn", "revoked", "invalidated", "expired", "superseded"})


def may_follow(kind: str, status: str | None) -> bool:
    """Whether an event of this kind may happen to a record of this status; None is a record that is only beginning."""
    return status in _FROM.get(kind, frozenset())


def status_after(kind: str, *, before: str | None, before_pause: str | None) -> str:
    """The status that an event of this kind leads to. `before_pause` is the one that a pause interrupted.

    Error: `ConsentError` when it cannot follow.
    """
    if not may_follow(kind, before):
        raise ConsentError(f"{kind} cannot happen to a consent that is {before or 'not there yet'}")
    after = before_pause if kind == "resumed" else STATUS_AFTER[kind] or before
    if after is None:
        raise ConsentError("a consent is resumed that was never in force")
    return after
