"""The gate: may these items of this person go to this app now, and if not, why not? Everyone asks here.

`/authorize`, `/token`, `/introspect`, `/userinfo` and the providers' check read `FACTS` with whatever else they read,
in the one statement that they send, and call `decide`. `CHECKS` is the page to read.
Spec: Law 27/2022 (UU PDP) articles 20, 22, 40 and 41; ISO/IEC TS 27560 (event state); W3C DPV ConsentStatus.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Select

from consent.attributes import ITEMS
from consent.models import Agency, ConsentRecord, PurposeVersion
from consent.registry.models import AgreementVersion
from consent.statuses import PERMITTING

# A version that a newer one took the place of still is what people agreed to; asking them anew is `coverage`'s matter.
STANDING_VERSIONS: Final = frozenset({"active", "superseded"})
ONE_TIME: Final = "onetime"


class Reason(StrEnum):
    """Why nothing may flow."""

    NO_CONSENT = "no_consent"
    OTHER_CLIENT = "other_client"
    OTHER_SUBJECT = "other_subject"
    OTHER_AGENCY = "other_agency"
    OTHER_PURPOSE = "other_purpose"
    REQUESTED = "requested"
    PAUSED = "paused"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    INVALIDATED = "invalidated"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"
    PURPOSE_ENDED = "purpose_ended"
    AGENCY_SUSPENDED = "agency_suspended"
    AGREEMENT_ENDED = "agreement_ended"
    USES_SPENT = "uses_spent"
    ITEMS = "items"


class Question(NamedTuple):
    """What somebody wants to do. What is None is not asked about.

    `items` are those that should flow; the answer has those of them that may. `required` are those without which the
    answer is no. `is_use` is False where nobody receives data by the answer (a token is issued), so that uses which
    are spent for today do not end a login.
    """

    client_id: str
    items: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    agency_id: str | None = None
    subject_id: str | None = None
    purpose_id: str | None = None
    is_use: bool = True


class Facts(NamedTuple):
    """What the registry and the record say. The order is that of `FACTS`; all is None where there is no record.

    `last_seq` counts the record's events: while it is the same, the record says the same.
    """

    consent_id: str | None
    subject_id: str | None
    client_id: str | None
    agency_id: str | None
    purpose_id: str | None
    purpose_version_id: str | None
    status: str | None
    granted: Sequence[str] | None
    refused: Sequence[str] | None
    valid_until: datetime | None
    fetch_type: str | None
    use_limit: int | None
    use_window_days: int | None
    used: int | None
    window_started_at: datetime | None
    agreement_version_id: str | None
    purpose_status: str | None
    legal_basis: str | None
    legal_citation: str | None
    agency_status: str | None
    agreement_status: str | None
    agreement_valid_from: datetime | None
    agreement_valid_until: datetime | None
    agreement_items: Sequence[str] | None
    last_seq: int | None = None


# Labelled, so that a statement may have columns of these names of its own.
FACTS: Final = (
    ConsentRecord.id.label("gate_consent_id"),
    ConsentRecord.subject_id.label("gate_subject_id"),
    ConsentRecord.client_id.label("gate_client_id"),
    ConsentRecord.agency_id.label("gate_agency_id"),
    ConsentRecord.purpose_id.label("gate_purpose_id"),
    ConsentRecord.purpose_version_id.label("gate_purpose_version_id"),
    ConsentRecord.status.label("gate_status"),
    ConsentRecord.granted.label("gate_granted"),
    ConsentRecord.refused.label("gate_refused"),
    ConsentRecord.valid_until.label("gate_valid_until"),
    ConsentRecord.fetch_type.label("gate_fetch_type"),
    ConsentRecord.use_limit.label("gate_use_limit"),
    ConsentRecord.use_window_days.label("gate_use_window_days"),
    ConsentRecord.used.label("gate_used"),
    ConsentRecord.window_started_at.label("gate_window_started_at"),
    ConsentRecord.agreement_version_id.label("gate_agreement_version_id"),
    PurposeVersion.status.label("gate_purpose_status"),
    PurposeVersion.legal_basis.label("gate_legal_basis"),
    PurposeVersion.legal_citation.label("gate_legal_citation"),
    Agency.status.label("gate_agency_status"),
    AgreementVersion.status.label("gate_agreement_status"),
    AgreementVersion.valid_from.label("gate_agreement_valid_from"),
    AgreementVersion.valid_until.label("gate_agreement_valid_until"),
    AgreementVersion.items.label("gate_agreement_items"),
    ConsentRecord.last_seq.label("gate_last_seq"),
)

_Statement = TypeVar("_Statement", bound=Select[*tuple[Any, ...]])


def joined(statement: _Statement) -> _Statement:
    """The statement with the tables that `FACTS` needs besides `ConsentRecord`, which it has already."""
    return (
        statement.outerjoin(PurposeVersion, PurposeVersion.id == ConsentRecord.purpose_version_id)
        .outerjoin(Agency, Agency.id == ConsentRecord.agency_id)
        .outerjoin(AgreementVersion, AgreementVersion.id == ConsentRecord.agreement_version_id)
    )


def facts_of(row: Any, start: int = 0) -> Facts:
    """Reads `FACTS` from a row, beginning at a column."""
    return Facts._make(row[start : start + len(FACTS)])


class Permit(NamedTuple):
    """`items` may flow, by this consent, until `valid_until` at the latest. Each flow is recorded before it leaves.

    `is_limited` tells that uses are counted: the recorder has to count this one before anything is released.
    """

    consent_id: str
    items: frozenset[str]
    purpose_version_id: str
    legal_basis: str
    legal_citation: str
    valid_until: datetime | None
    is_limited: bool


@dataclass(frozen=True, slots=True)
class Deny:
    """Nothing may flow. `missing` are the items that were required and are not granted, where that is the reason."""

    reason: Reason
    sentence: str
    missing: frozenset[str] = frozenset()


# The statuses that permit nothing are named like the reason that they are.
_BY_STATUS: Final = {reason.value: reason for reason in Reason}

Check = Callable[[Question, Facts, datetime], Deny | None]


def is_there(_question: Question, facts: Facts, _now: datetime) -> Deny | None:
    """Somebody decided something."""
    return None if facts.consent_id is not None else Deny(Reason.NO_CONSENT, "the consent is missing")


def is_this_apps(question: Question, facts: Facts, _now: datetime) -> Deny | None:
    """The consent was given to the app that wants to use it."""
    if question.client_id == facts.client_id:
        return None
    return Deny(Reason.OTHER_CLIENT, "the consent is for another app")


def is_this_persons(question: Question, facts: Facts, _now: datetime) -> Deny | None:
    """The consent is of the person whose data would flow."""
    if question.subject_id is None or question.subject_id == facts.subject_id:
        return None
    return Deny(Reason.OTHER_SUBJECT, "the consent is another person's")


def is_this_agencys(question: Question, facts: Facts, _now: datetime) -> Deny | None:
    """The app still belongs to the agency that the person agreed with: an app that is handed on takes nothing along."""
    if question.agency_id is None or question.agency_id == facts.agency_id:
        return None
    return Deny(Reason.OTHER_AGENCY, "the consent is for another agency")


def is_for_this_purpose(question: Question, facts: Facts, _now: datetime) -> Deny | None:
    """The consent is for what the data is wanted for."""
    if question.purpose_id is None or question.purpose_id == facts.purpose_id:
        return None
    return Deny(Reason.OTHER_PURPOSE, "the consent is for another purpose")


def is_given(_question: Question, facts: Facts, _now: datetime) -> Deny | None:
    """The consent is given or renewed: not paused, not ended, not something that nobody has thought of."""
    if facts.status in PERMITTING:
        return None
    return Deny(_BY_STATUS.get(facts.status or "", Reason.UNKNOWN), f"the consent is {facts.status}")


def is_in_time(_question: Question, facts: Facts, now: datetime) -> Deny | None:
    """Its time is not over. Nothing waits for the sweep that writes the end down."""
    if facts.valid_until is None or now < facts.valid_until:
        return None
    return Deny(Reason.EXPIRED, "the consent has expired")


def purpose_goes_on(_question: Question, facts: Facts, _now: datetime) -> Deny | None:
    """What the person agreed to was not ended by its agency or by an authority."""
    if facts.purpose_status in STANDING_VERSIONS:
        return None
    return Deny(Reason.PURPOSE_ENDED, "the purpose has ended")


def agency_is_active(_question: Question, facts: Facts, _now: datetime) -> Deny | None:
    """The agency that would receive the data is not suspended."""
    if facts.agency_status == "active":
        return None
    return Deny(Reason.AGENCY_SUSPENDED, "the agency is suspended")


def agreement_goes_on(_question: Question, facts: Facts, now: datetime) -> Deny | None:
    """If the data flows by an agreement between two agencies, that is in force today."""
    if facts.agreement_version_id is None:
        return None
    begins, ends = facts.agreement_valid_from, facts.agreement_valid_until
    if facts.agreement_status in STANDING_VERSIONS and begins is not None and ends is not None and begins <= now < ends:
        return None
    return Deny(Reason.AGREEMENT_ENDED, "the agreement between the agencies is not in force")


def uses_are_left(question: Question, facts: Facts, now: datetime) -> Deny | None:
    """The data was not used as often as was agreed to. Counting this use is the recorder's, and is what decides."""
    limit = limit_of(facts)
    if not question.is_use or limit is None or used_in_window(facts, now) < limit:
        return None
    return Deny(Reason.USES_SPENT, "the data was used as often as was agreed to")


def items_are_granted(question: Question, facts: Facts, _now: datetime) -> Deny | None:
    """What is required was agreed to."""
    missing = question.required - items_of(facts) if question.required else None
    return Deny(Reason.ITEMS, "not all of this was agreed to", missing) if missing else None


CHECKS: Final[tuple[Check, ...]] = (
    is_there,
    is_this_apps,
    is_this_persons,
    is_this_agencys,
    is_for_this_purpose,
    is_given,
    is_in_time,
    purpose_goes_on,
    agency_is_active,
    agreement_goes_on,
    uses_are_left,
    items_are_granted,
)


def decide(question: Question, facts: Facts, now: datetime) -> Permit | Deny:
    """The one decision. Pure: the same question and facts give the same answer, everywhere."""
    for check in CHECKS:
        denied = check(question, facts, now)
        if denied is not None:
            return denied
    # What the checks have seen to be there.
    assert facts.consent_id is not None
    assert facts.purpose_version_id is not None
    assert facts.legal_basis is not None
    return Permit(
        consent_id=facts.consent_id,
        items=(question.items | question.required) & items_of(facts),
        purpose_version_id=facts.purpose_version_id,
        legal_basis=facts.legal_basis,
        legal_citation=facts.legal_citation or "",
        valid_until=_earlier(facts.valid_until, facts.agreement_valid_until),
        is_limited=limit_of(facts) is not None,
    )


def items_of(facts: Facts) -> frozenset[str]:
    """The items that the consent lets flow: granted, not refused as well, and agreed between the agencies.

    An item in both lists is nobody's honest record: it counts as refused. An agreement is about what comes from another
    agency; what the provider itself knows of a person needs none.
    """
    granted = frozenset(facts.granted or ()).difference(facts.refused or ())
    if facts.agreement_version_id is None:
        return granted
    agreed = frozenset(facts.agreement_items or ())
    return frozenset(item for item in granted if item in agreed or item in ITEMS)


def limit_of(facts: Facts) -> int | None:
    """How often the data may be used (in each window, if there is one). None: as often as needed."""
    return 1 if facts.fetch_type == ONE_TIME else facts.use_limit


def used_in_window(facts: Facts, now: datetime) -> int:
    """How often it was used in the window that `now` is in."""
    started, days = facts.window_started_at, facts.use_window_days
    begins_anew = (
        facts.fetch_type != ONE_TIME and started is not None and days is not None and now >= started + timedelta(days)
    )
    return 0 if begins_anew else facts.used or 0


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return min(one, other)
