"""The public register: what is or was in force, of which agency, on which legal basis, by which agreement.

Drafts, proposals and rejections are nobody's business yet and are not in it; nor are the names of those who reviewed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from consent.agencies import list_agencies
from consent.attributes import ITEMS, DataItem
from consent.models import Agency
from consent.purposes import PurposeVersionView, versions_with_status
from consent.registry.agreements import AgreementVersionView, list_agreements
from consent.registry.attributes import list_attributes
from consent.registry.differences import differences

SCHEMA: Final = "satupintu-register/1"
PUBLIC: Final = ("active", "superseded", "ended")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredPurpose:
    """One purpose: its public versions, newest first, and the agreements that it has data by."""

    versions: tuple[PurposeVersionView, ...]
    agreements: tuple[AgreementVersionView, ...]

    @property
    def newest(self) -> PurposeVersionView:
        """The version in force, or the last one that was."""
        return next((one for one in self.versions if one.status == "active"), self.versions[0])

    @property
    def is_in_force(self) -> bool:
        """Whether people can be asked for it."""
        return self.newest.status == "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """All that the public may read. Purposes by their code."""

    agencies: Mapping[str, Agency]
    purposes: Mapping[str, RegisteredPurpose]
    agreements: tuple[AgreementVersionView, ...]
    attributes: tuple[DataItem, ...]


async def read_register(session: AsyncSession) -> Register:
    """The register as it is now."""
    agencies = await list_agencies(session)
    agreements = tuple(await list_agreements(session, statuses=PUBLIC))
    by_purpose: dict[str, list[PurposeVersionView]] = {}
    for version in await versions_with_status(session, *PUBLIC):
        by_purpose.setdefault(version.code, []).append(version)
    return Register(
        agencies={agency.id: agency for agency in agencies},
        purposes={
            code: RegisteredPurpose(
                versions=tuple(sorted(versions, key=lambda version: -version.version)),
                agreements=tuple(one for one in agreements if one.purpose_code == code),
            )
            for code, versions in sorted(by_purpose.items())
        },
        agreements=agreements,
        attributes=tuple(await list_attributes(session)),
    )


def register_as_json(register: Register) -> dict[str, Any]:
    """The register for machines."""
    return {
        "schema": SCHEMA,
        "agencies": [_agency(agency) for agency in register.agencies.values()],
        "data_items": [_item(item) for item in (*ITEMS.values(), *register.attributes)],
        "purposes": [_purpose(code, purpose) for code, purpose in register.purposes.items()],
        "agreements": [_agreement(agreement) for agreement in register.agreements],
    }


def _agency(agency: Agency) -> dict[str, Any]:
    return {
        "code": agency.code,
        "names": agency.names,
        "status": agency.status,
        "party_type": agency.party_type,
        "address": agency.address,
        "contact": agency.contact,
        "privacy_contact": agency.privacy_contact,
        "email": agency.email,
        "phone": agency.phone,
        "url": agency.website,
    }


def _item(item: DataItem) -> dict[str, Any]:
    return {
        "name": item.claim,
        "labels": {"id": item.id, "en": item.en},
        "category": item.category.value,
        "kind": item.kind,
        "dpv_iri": item.dpv_iri,
        "source": None if item.source is None else item.source.code,
    }


def _purpose(code: str, purpose: RegisteredPurpose) -> dict[str, Any]:
    return {
        "code": code,
        "agency": purpose.newest.agency_code,
        "in_force": purpose.newest.version if purpose.is_in_force else None,
        "versions": [
            version_as_json(version, earlier)
            for version, earlier in zip(purpose.versions, (*purpose.versions[1:], None), strict=True)
        ],
    }


def version_as_json(version: PurposeVersionView, earlier: PurposeVersionView | None) -> dict[str, Any]:
    """A version for machines: what it says, since when, and what it changed of the one before."""
    said = version.as_draft().as_json()
    del said["code"]
    changes: Sequence[Any] = () if earlier is None else differences(earlier.as_draft(), version.as_draft())
    return {
        "id": version.id,
        "version": version.version,
        "status": version.status,
        "activated_at": _moment(version.activated_at),
        "ended_at": _moment(version.ended_at),
        "sha256": version.digest.hex(),
        **said,
        "compatible_with": list(version.compatible_with),
        "changes": [change.as_json() for change in changes],
    }


def _agreement(agreement: AgreementVersionView) -> dict[str, Any]:
    return {
        "code": agreement.code,
        "version": agreement.version,
        "status": agreement.status,
        "provider": agreement.provider_code,
        "recipient": agreement.recipient_code,
        "purpose": agreement.purpose_code,
        "sha256": agreement.digest.hex(),
        **agreement.terms.as_json(),
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds")
