"""What a provider's check reads: the gate's facts and who gives by which agreement, in columns for one statement."""

from typing import Any, Final, TypeVar

from sqlalchemy import Select, case

from consent import gate
from consent.checks.question import Known
from consent.models import ConsentRecord, Purpose, PurposeVersion
from consent.registry.models import Agreement, AgreementVersion

COLUMNS: Final = (
    *gate.FACTS,
    ConsentRecord.subject_ref.label("check_sub"),
    Purpose.code.label("check_purpose"),
    PurposeVersion.version.label("check_purpose_version"),
    Agreement.provider_agency_id.label("check_provider_agency_id"),
)
# Of all that a person decided about one app's purpose: what stands or may stand again, or else what came last.
ORDER: Final = (
    case(*((ConsentRecord.status == status, 0) for status in ("given", "renewed", "paused")), else_=1),
    ConsentRecord.decided_at.desc(),
    ConsentRecord.id.desc(),
)

_Statement = TypeVar("_Statement", bound=Select[*tuple[Any, ...]])


def joined(statement: _Statement) -> _Statement:
    """The statement with the tables that `COLUMNS` needs besides `ConsentRecord`, which it has already."""
    return (
        gate.joined(statement)
        .join(Purpose, Purpose.id == ConsentRecord.purpose_id)
        .outerjoin(Agreement, Agreement.id == AgreementVersion.agreement_id)
    )


def known_of(row: Any, start: int, *, recipient_agency_id: str | None, is_served: bool) -> Known | None:
    """Reads `COLUMNS` from a row, beginning at a column. Nothing when no record was found."""
    facts = gate.facts_of(row, start)
    if facts.consent_id is None:
        return None
    end = start + len(gate.FACTS)
    sub, purpose, version, provider_agency_id = row[end : end + 4]
    return Known(
        facts=facts,
        sub=sub,
        purpose=purpose,
        version=version,
        provider_agency_id=provider_agency_id,
        recipient_agency_id=recipient_agency_id,
        is_served=is_served,
    )
