"""What an agency that holds data asks before it gives any: may this app have these items of this person, for this?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from consent import gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question. The person is named by `sub`, as the app's agency knows them, or by the app's own access `token`.

    With a `sub`, `client_id` and `purpose` say the rest; with a `token` all of these follow from it, and must fit if
    they are given. `items` of None are all that the asking agency gives.
    """

    client_id: str | None = None
    sub: str | None = None
    token: str | None = field(default=None, repr=False)
    purpose: str | None = None
    items: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """The agency that asks. `agency_code` is part of the names of the items that it holds."""

    agency_id: str
    agency_code: str


class Known(NamedTuple):
    """What is on record. `facts` are the gate's; `purpose` and `version` say what the person `sub` agreed to.

    `provider_agency_id` is the agency that gives by the agreement, if there is one. `recipient_agency_id` is whose app
    it is today; `is_served` is False when the app or the person is disabled, or the presented token is dead.
    """

    facts: gate.Facts
    sub: str | None
    purpose: str
    version: int
    provider_agency_id: str | None
    recipient_agency_id: str | None
    is_served: bool


class Reason(StrEnum):
    """Reasons besides the gate's."""

    PERMITTED = "permitted"
    NOT_SERVED = "not_served"
    TOKEN_NOT_VALID = "token_not_valid"  # noqa: S105 - a reason, and no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer. `items` may flow; `missing` were asked for and may not. What the asker may not know is None.

    `reference` is what the asker names when it reports that it gave the data.
    """

    checked_at: datetime
    permitted: bool
    reason: str
    reason_text: str
    items: Sequence[str] = ()
    missing: Sequence[str] = ()
    reference: str | None = None
    consent_id: str | None = None
    purpose: str | None = None
    purpose_version: int | None = None
    legal_basis: str | None = None
    fetch_type: str | None = None
    valid_until: datetime | None = None
