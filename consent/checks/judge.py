"""The answer to a data provider's question: first whether it concerns them at all, and then what the gate says.

Whom it does not concern gets one and the same answer, whether the person exists, agreed, refused or never came: an
agency cannot learn by asking who is a patient of another.
Spec: Law 27/2022 (UU PDP) articles 16, 20 and 35.
"""

from datetime import datetime

from consent import gate
from consent.attributes import REGISTERED
from consent.checks.question import Asked, Asking, Known, Reason, Verdict


def judge(asked: Asked, asking: Asking, known: Known | None, now: datetime) -> Verdict:
    """The verdict. Pure; the facts have been read in one statement."""
    if known is None or not concerns(asking, known):
        return nothing_to_tell(asked, now)
    facts = known.facts
    if asked.purpose not in {None, known.purpose} or asked.sub not in {None, known.sub}:
        return nothing_to_tell(asked, now)
    wanted = facts.granted or () if asked.items is None else asked.items
    given = frozenset(item for item in wanted if gives(asking, known, item))
    question = gate.Question(
        client_id=asked.client_id or facts.client_id or "",
        items=given,
        agency_id=known.recipient_agency_id,
    )
    decided = gate.decide(question, facts, now)
    if isinstance(decided, gate.Deny):
        return _denied(decided.reason, decided.sentence, now)
    if not known.is_served:
        return _not_served(asked, now)
    # What the asking agency does not give is missing like what was not agreed to: it has no business knowing which.
    missing = frozenset(asked.items or ()) - decided.items
    permitted = bool(decided.items) and not missing
    return Verdict(
        checked_at=now,
        permitted=permitted,
        reason=Reason.PERMITTED if permitted else gate.Reason.ITEMS,
        reason_text="the items may be given" if permitted else "not all of this was agreed to",
        items=sorted(decided.items),
        missing=sorted(missing),
        consent_id=decided.consent_id,
        purpose=known.purpose,
        purpose_version=known.version,
        legal_basis=decided.legal_basis,
        fetch_type=facts.fetch_type,
        valid_until=decided.valid_until,
    )


def concerns(asking: Asking, known: Known) -> bool:
    """Whether the agency may know of this consent: it is about its own app, or about data that it gives."""
    facts = known.facts
    if asking.agency_id in {facts.agency_id, known.provider_agency_id}:
        return True
    return any(holds(asking, item) for item in (*(facts.granted or ()), *(facts.refused or ())))


def gives(asking: Asking, known: Known, item: str) -> bool:
    """Whether the agency may know of this item: all of its own apps', those of its agreement, those that it holds."""
    facts = known.facts
    if asking.agency_id == facts.agency_id or holds(asking, item):
        return True
    return asking.agency_id == known.provider_agency_id and item in (facts.agreement_items or ())


def holds(asking: Asking, item: str) -> bool:
    """Whether the item comes from this agency: its name says so, and never changes."""
    return item.startswith(f"{REGISTERED}{asking.agency_code}:")


def nothing_to_tell(asked: Asked, now: datetime) -> Verdict:
    """The answer about nobody, and about everybody whom the asker has no business with."""
    if asked.token is not None:
        return _not_served(asked, now)
    return _denied(gate.Reason.NO_CONSENT, "the consent is missing", now)


def _not_served(asked: Asked, now: datetime) -> Verdict:
    if asked.token is not None:
        return _denied(Reason.TOKEN_NOT_VALID, "the access token is not valid here", now)
    return _denied(Reason.NOT_SERVED, "the app or the person is not served now", now)


def _denied(reason: str, text: str, now: datetime) -> Verdict:
    return Verdict(checked_at=now, permitted=False, reason=reason, reason_text=text)
