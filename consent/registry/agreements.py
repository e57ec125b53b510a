"""Sharing agreements: that one agency may give data to another, for one purpose of the other. How they are read.

An agreement has versions that never change; how one comes to be is `consent.registry.agreement_versions`.
Spec: DEPA fair use (fetch type, frequency, data life); Estonia's consent service (Service, Purpose Declaration).
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from consent.errors import UnknownAgreement
from consent.identifiers import is_id
from consent.models import Agency, Purpose
from consent.purposes import PurposeVersionView
from consent.registry.models import Agreement, AgreementVersion
from keys.encoding import canonical_json

_Provider = aliased(Agency)
_Recipient = aliased(Agency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """The document that both agencies signed: a cooperation agreement, a decree, a law."""

    kind: str
    number: str
    title: str
    date: str
    url: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """The instrument in plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementTerms:
    """What a version says. `use_limit` uses in `use_window_days` days at most; None: no limit."""

    instrument: Instrument
    items: tuple[str, ...]
    valid_from: datetime
    valid_until: datetime
    fetch_type: str
    use_limit: int | None
    use_window_days: int | None
    data_life_days: int

    def as_json(self) -> dict[str, Any]:
        """The terms in plain JSON values, times in UTC."""
        return {
            "instrument": self.instrument.as_json(),
            "items": list(self.items),
            "valid_from": self.valid_from.astimezone(UTC).isoformat(timespec="microseconds"),
            "valid_until": self.valid_until.astimezone(UTC).isoformat(timespec="microseconds"),
            "fetch_type": self.fetch_type,
            "use_limit": self.use_limit,
            "use_window_days": self.use_window_days,
            "data_life_days": self.data_life_days,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementVersionView:
    """One version of an agreement and whose it is. `status` is as it was when this was read."""

    id: str
    agreement_id: str
    code: str
    version: int
    provider_agency_id: str
    provider_code: str
    provider_names: Mapping[str, str]
    recipient_agency_id: str
    recipient_code: str
    recipient_names: Mapping[str, str]
    purpose_id: str
    purpose_code: str
    terms: AgreementTerms
    digest: bytes
    created_at: datetime
    created_by: str
    status: str = field(compare=False)

    def is_in_force(self, now: datetime) -> bool:
        """Whether data may flow by it today."""
        return self.status == "active" and self.terms.valid_from <= now < self.terms.valid_until


def digest_of_agreement(
    code: str, provider_id: str, recipient_id: str, purpose_id: str, terms: AgreementTerms
) -> bytes:
    """The SHA-256 of all that a version says."""
    said = {
        "code": code,
        "provider_agency_id": provider_id,
        "recipient_agency_id": recipient_id,
        "purpose_id": purpose_id,
        **terms.as_json(),
    }
    return hashlib.sha256(canonical_json(said)).digest()


async def agreement_version(session: AsyncSession, version_id: str) -> AgreementVersionView:
    """One version. Error: `UnknownAgreement`."""
    found = None
    if is_id(version_id):
        found = (await session.execute(_versions().where(AgreementVersion.id == version_id))).one_or_none()
    if found is None:
        raise UnknownAgreement(f"there is no agreement version {version_id}")
    return _view(found)


async def agreement_versions_of(session: AsyncSession, code: str) -> list[AgreementVersionView]:
    """Every version of an agreement, newest first. Error: `UnknownAgreement`."""
    found = [_view(row) for row in await session.execute(_versions().where(Agreement.code == code))]
    if not found:
        raise UnknownAgreement(f"there is no agreement with the code {code}")
    return found


async def list_agreements(
    session: AsyncSession, *, statuses: Collection[str] | None = None, purpose_id: str | None = None
) -> list[AgreementVersionView]:
    """The versions of all agreements (with one of these statuses, for one purpose), by code, newest first."""
    statement = _versions().order_by(None).order_by(Agreement.code, AgreementVersion.version.desc())
    if statuses is not None:
        statement = statement.where(AgreementVersion.status.in_(statuses))
    if purpose_id is not None:
        statement = statement.where(Agreement.purpose_id == purpose_id)
    return [_view(row) for row in await session.execute(statement)]


async def agreement_for(
    session: AsyncSession, version: PurposeVersionView, *, source_agency_id: str, now: datetime
) -> AgreementVersionView | None:
    """The agreement by which a purpose version may have the items of a source agency, if one is in force and covers it.

    An agency needs none for what it holds itself.
    """
    for agreement in await list_agreements(session, statuses=("active",), purpose_id=version.purpose_id):
        if agreement.provider_agency_id != source_agency_id or not agreement.is_in_force(now):
            continue
        if uncovered(version, agreement) is None:
            return agreement
    return None


async def agreement_of(
    session: AsyncSession, version: PurposeVersionView, *, now: datetime
) -> AgreementVersionView | None:
    """The agreement that a consent to this version rests on; None where no other agency gives anything, or none covers.

    `needs_agreement` tells the two apart.
    """
    source = needs_agreement(version)
    if source is None:
        return None
    return await agreement_for(session, version, source_agency_id=source, now=now)


def needs_agreement(version: PurposeVersionView) -> str | None:
    """The id of the agency besides its own that a purpose version has items from, if there is one."""
    return next((agency_id for agency_id in sorted(version.sources) if agency_id != version.agency_id), None)


def uncovered(version: PurposeVersionView, agreement: AgreementVersionView) -> str | None:
    """What a purpose version wants that an agreement does not allow; None if it allows all."""
    terms = agreement.terms
    beyond = version.sources.get(agreement.provider_agency_id, frozenset()) - set(terms.items)
    if agreement.purpose_id != version.purpose_id or agreement.recipient_agency_id != version.agency_id:
        return f"the agreement {agreement.code} is for another purpose"
    if beyond:
        return f"the agreement {agreement.code} does not cover {min(beyond)}"
    if version.retention_days > terms.data_life_days:
        return f"the agreement {agreement.code} lets data be kept for {terms.data_life_days} days only"
    if terms.fetch_type == "onetime" and version.fetch_type != "onetime":
        return f"the agreement {agreement.code} lets data be fetched once only"
    if _is_more_often(version, terms):
        often = f"{terms.use_limit} times in {terms.use_window_days} days"
        return f"the agreement {agreement.code} lets data be fetched {often}"
    return None


def _is_more_often(version: PurposeVersionView, terms: AgreementTerms) -> bool:
    if version.fetch_type == "onetime" or terms.use_limit is None or terms.use_window_days is None:
        return False
    if version.use_limit is None or version.use_window_days is None:
        return True
    return version.use_limit > terms.use_limit or (
        version.use_limit * terms.use_window_days > terms.use_limit * version.use_window_days
    )


def _versions() -> Select[*tuple[Any, ...]]:
    return (
        select(
            AgreementVersion,
            Agreement.code,
            Agreement.provider_agency_id,
            Agreement.recipient_agency_id,
            Agreement.purpose_id,
            _Provider.code.label("provider_code"),
            _Provider.names.label("provider_names"),
            _Recipient.code.label("recipient_code"),
            _Recipient.names.label("recipient_names"),
            Purpose.code.label("purpose_code"),
        )
        .join(Agreement, Agreement.id == AgreementVersion.agreement_id)
        .join(_Provider, _Provider.id == Agreement.provider_agency_id)
        .join(_Recipient, _Recipient.id == Agreement.recipient_agency_id)
        .join(Purpose, Purpose.id == Agreement.purpose_id)
        .order_by(AgreementVersion.version.desc())
        .execution_options(populate_existing=True)
    )


def _view(row: Row[Any]) -> AgreementVersionView:
    version: AgreementVersion = row.AgreementVersion
    return AgreementVersionView(
        id=version.id,
        agreement_id=version.agreement_id,
        code=row.code,
        version=version.version,
        provider_agency_id=row.provider_agency_id,
        provider_code=row.provider_code,
        provider_names=row.provider_names,
        recipient_agency_id=row.recipient_agency_id,
        recipient_code=row.recipient_code,
        recipient_names=row.recipient_names,
        purpose_id=row.purpose_id,
        purpose_code=row.purpose_code,
        terms=AgreementTerms(
            instrument=Instrument(**version.instrument),
            items=tuple(version.items),
            valid_from=version.valid_from,
            valid_until=version.valid_until,
            fetch_type=version.fetch_type,
            use_limit=version.use_limit,
            use_window_days=version.use_window_days,
            data_life_days=version.data_life_days,
        ),
        digest=version.digest,
        created_at=version.created_at,
        created_by=version.created_by,
        status=version.status,
    )
