"""A use that an agency reports, and whether it had a basis: a consent that stood then, or a law that it cites.

What had neither is refused, and kept all the same: that an agency gave data without a basis is what the person has most
right to know, and a report that could not be made would only teach agencies to be silent.
Spec: Law 27/2022 (UU PDP) articles 20, 31 and 32; GovStack Consent Building Block (audit).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from consent import gate
from consent.attributes import ITEMS
from consent.checks.judge import concerns, gives, holds
from consent.checks.question import Asking, Known
from consent.events import Event

OTHER_BASES: Final = ("contract", "legal_obligation", "vital_interest", "public_task", "legitimate_interest")
NO_BASIS: Final = "none"
# A clock may be a little ahead of ours; a report may be late, and not for ever.
AHEAD: Final = timedelta(minutes=2)
LATE: Final = timedelta(days=90)
MOST_DELAY: Final = timedelta(days=180)


class Fault(StrEnum):
    """Why a reported use is refused."""

    UNKNOWN = "unknown_person"
    NOT_THEN = "invalid_time"
    NOT_YOURS = "not_your_items"
    NO_CONSENT = "no_consent"
    DELAY = "invalid_delay"
    CONFLICT = "reference_conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """That the person is to see the use only from a moment on, by a named law."""

    until: datetime
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedUse:
    """What an agency says that it did. The person is named as the app that received knows them."""

    reference: str
    sub: str
    client_id: str
    at: datetime
    action: str
    items: tuple[str, ...]
    consent_id: str | None = None
    purpose: str | None = None
    legal_basis: str | None = None
    legal_citation: str | None = None
    token_id: str | None = None
    check: str | None = None
    system: str | None = None
    officer: str | None = None
    reason: str | None = None
    delay: Delay | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A consent of the person for the app, with all that happened to it, oldest first."""

    known: Known
    events: tuple[Event, ...]

    def as_of(self, at: datetime) -> Known | None:
        """What was on record at a moment. Nothing when it had not begun, or cannot be read any more."""
        last = next((event for event in reversed(self.events) if event.at <= at), None)
        if last is None or last.opening is None:
            return None
        # What ended since then ended this consent too, by an event: it did not stand in the way at that moment.
        facts = self.known.facts._replace(
            status=last.status,
            granted=last.granted,
            refused=last.refused,
            valid_until=last.valid_until,
            purpose_status="active",
            agency_status="active",
            agreement_status="active",
        )
        return self.known._replace(facts=facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a report amounts to. `fault` says why it is refused; what had no basis is kept nevertheless (`keeps`)."""

    subject_id: str | None = None
    agency_id: str | None = None
    consent_id: str | None = None
    purpose_version_id: str | None = None
    legal_basis: str = NO_BASIS
    legal_citation: str | None = None
    fault: Fault | None = None
    sentence: str = ""

    @property
    def keeps(self) -> bool:
        """Whether the use is written down."""
        return self.fault in {None, Fault.NO_CONSENT} and self.subject_id is not None


def judge(said: ReportedUse, asking: Asking, candidates: Sequence[Candidate], now: datetime) -> Judged:
    """Whether the use had a basis. Pure; `candidates` are the person's consents for the app, newest first."""
    fault = _fault_of(said, now)
    if fault is not None:
        return fault
    if said.legal_basis in OTHER_BASES:
        return _by_law(said, asking, candidates)
    return _by_consent(said, asking, candidates)


def _fault_of(said: ReportedUse, now: datetime) -> Judged | None:
    if not now - LATE <= said.at <= now + AHEAD:
        return Judged(fault=Fault.NOT_THEN, sentence="the use is not of the last 90 days")
    if said.delay is None:
        return None
    if said.legal_basis not in OTHER_BASES:
        return Judged(fault=Fault.DELAY, sentence="what the person agreed to is not hidden from them")
    if not now < said.delay.until <= now + MOST_DELAY:
        return Judged(fault=Fault.DELAY, sentence="a delay ends within 180 days, and can be renewed then")
    return None


def _by_law(said: ReportedUse, asking: Asking, candidates: Sequence[Candidate]) -> Judged:
    """By a law that the agency cites: it answers for it, and the person sees it."""
    if not candidates:
        return _unknown()
    if not all(holds(asking, item) or item in ITEMS for item in said.items):
        return Judged(fault=Fault.NOT_YOURS, sentence="an agency reports what it gives itself")
    known = candidates[0].known.facts
    return Judged(
        subject_id=known.subject_id,
        agency_id=known.agency_id,
        legal_basis=said.legal_basis or NO_BASIS,
        legal_citation=said.legal_citation,
    )


def _by_consent(said: ReportedUse, asking: Asking, candidates: Sequence[Candidate]) -> Judged:
    named = [one for one in candidates if _is_named(said, one) and concerns(asking, one.known)]
    if not named:
        # The same for another's person and for nobody.
        return _unknown()
    denied = gate.Deny(gate.Reason.NO_CONSENT, "the consent is missing")
    for one in named:
        then = one.as_of(said.at)
        if then is None:
            continue
        if not all(gives(asking, one.known, item) for item in said.items):
            return Judged(fault=Fault.NOT_YOURS, sentence="an agency reports what it gives itself")
        question = gate.Question(client_id=said.client_id, required=frozenset(said.items), is_use=False)
        answer = gate.decide(question, then.facts, said.at)
        if isinstance(answer, gate.Permit):
            return Judged(
                subject_id=then.facts.subject_id,
                agency_id=then.facts.agency_id,
                consent_id=answer.consent_id,
                purpose_version_id=answer.purpose_version_id,
                legal_basis=answer.legal_basis,
                legal_citation=answer.legal_citation,
            )
        denied = answer
    facts = named[0].known.facts
    return Judged(
        subject_id=facts.subject_id,
        agency_id=facts.agency_id,
        consent_id=facts.consent_id,
        purpose_version_id=facts.purpose_version_id,
        fault=Fault.NO_CONSENT,
        sentence=f"{denied.sentence}, and no other basis is cited",
    )


def _is_named(said: ReportedUse, candidate: Candidate) -> bool:
    known = candidate.known
    return said.consent_id in {None, known.facts.consent_id} and said.purpose in {None, known.purpose}


def _unknown() -> Judged:
    return Judged(fault=Fault.UNKNOWN, sentence="no such person is known to this app, or not with this")
