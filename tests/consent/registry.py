"""Agencies, purposes, notices and decisions for tests, with whatever a test wants to be different."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from consent.agencies import create_agency
from consent.decisions import Decision, grant
from consent.notice import Notice, compose
from consent.purposes import PurposeVersionView
from keys.entropy import Entropy
from tests.support.purposes import active_purpose

SITI = str(UUID(int=1, version=4))
BUDI = str(UUID(int=2, version=4))
APP = "sehat"


def item(claim: str, *, required: bool = False) -> dict[str, Any]:
    """An item of a purpose."""
    return {"claim": claim, "required": required, "why": {"id": f"Untuk {claim}", "en": f"For {claim}"}}


def a_purpose(**changes: Any) -> dict[str, Any]:
    """What `active_purpose` takes, apart from the agency."""
    purpose: dict[str, Any] = {
        "code": "kunjungan",
        "texts": {
            "id": {"name": "Kunjungan", "description": "Mendaftar kunjungan.", "refusal": "Datang ke loket."},
            "en": {"name": "A visit", "description": "To register a visit.", "refusal": "Come to the desk."},
        },
        "items": [item("name", required=True), item("email"), item("gender")],
        "legal_basis": "consent",
        "legal_citation": "UU 27/2022 pasal 20 ayat (2) huruf a",
        "retention_days": 365,
        "validity_days": 90,
    }
    return {**purpose, **changes}


async def write_agency(session: AsyncSession, *, now: datetime, entropy: Entropy, code: str = "kesehatan") -> str:
    """Registers an agency and returns its id."""
    agency = await create_agency(
        session,
        code=code,
        names={"id": f"Kementerian {code}", "en": f"Ministry of {code}"},
        contact="Jalan Contoh 1",
        privacy_contact=f"pdp@{code}.example",
        address="Jalan Contoh 1, Jakarta",
        now=now,
        entropy=entropy,
    )
    return agency.id


async def write_registry(
    session: AsyncSession, *, now: datetime, entropy: Entropy, agency: str = "kesehatan", **changes: Any
) -> PurposeVersionView:
    """Registers an agency and a purpose of it, in force."""
    agency_id = await write_agency(session, now=now, entropy=entropy, code=agency)
    return await active_purpose(session, agency_id=agency_id, **a_purpose(**changes), now=now, entropy=entropy)


def notice_of(
    version: PurposeVersionView,
    *,
    asked: Collection[str] | None = None,
    offline_access: bool = False,
    language: str = "id",
    client_id: str = APP,
) -> Notice:
    """The notice of all of a version's items, or of those asked."""
    return compose(
        version,
        client_id=client_id,
        client_name="Sehat Bersama",
        client_is_verified=True,
        language=language,
        asked=version.claims if asked is None else asked,
        offline_access=offline_access,
    )


def decision(version: PurposeVersionView, **changes: Any) -> Decision:
    """Siti's decision about the version, in Indonesian."""
    values: dict[str, Any] = {
        "subject_id": SITI,
        "client_id": APP,
        "agency_id": version.agency_id,
        "purpose_id": version.purpose_id,
        "purpose_version_id": version.id,
        "language": "id",
        "acr": "password",
    }
    return Decision(**{**values, **changes})


async def grant_to(
    session: AsyncSession,
    version: PurposeVersionView,
    *,
    now: datetime,
    entropy: Entropy,
    granted: Collection[str] = ("name", "email"),
    subject_id: str = SITI,
    client_id: str = APP,
    offline_access: bool = False,
) -> str:
    """A grant of some items, the others refused."""
    return await grant(
        session,
        who=decision(version, subject_id=subject_id, client_id=client_id),
        granted=granted,
        refused=version.claims - frozenset(granted),
        offline_access=offline_access,
        notice=notice_of(version, offline_access=offline_access, client_id=client_id),
        now=now,
        entropy=entropy,
    )
