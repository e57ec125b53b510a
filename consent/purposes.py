"""Purposes: why data is asked for, in versions that never change.

Changing a word makes a new version, and a person who agreed to the old one is asked again: what was agreed to is what
was read. Rules for a version are in `CHECKS`.

Spec: Law 27/2022 (UU PDP) articles 20(2) and 21(1); ISO/IEC TS 27560 (purpose, lawful basis, retention period).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import PurposeRefused, UnknownAgency, UnknownPurpose
from consent.locking import hold
from consent.models import Agency, Purpose, PurposeVersion
from consent.purpose_checks import check_draft
from consent.purpose_draft import Draft, PurposeItem
from keys.encoding import canonical_json
from keys.entropy import Entropy, new_row_id


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeVersionView:
    """One version of a purpose and whose it is, as everyone reads it. `texts` is as in `PurposeVersion`."""

    id: str
    purpose_id: str
    agency_id: str
    agency_code: str
    agency_names: Mapping[str, str]
    privacy_contact: str
    code: str
    version: int
    texts: Mapping[str, Mapping[str, str]]
    items: tuple[PurposeItem, ...]
    legal_basis: str
    legal_citation: str
    retention_days: int
    validity_days: int
    digest: bytes
    created_at: datetime

    @property
    def claims(self) -> frozenset[str]:
        """Every claim that this version may ask for."""
        return frozenset(item.claim for item in self.items)

    @property
    def required(self) -> frozenset[str]:
        """The claims without which the purpose cannot be served."""
        return frozenset(item.claim for item in self.items if item.required)

    @property
    def is_choice(self) -> bool:
        """Whether the person may truly say no: only where the legal basis is consent."""
        return self.legal_basis == "consent"


async def create_purpose(
    session: AsyncSession,
    *,
    agency_id: str,
    code: str,
    texts: Mapping[str, Mapping[str, str]],
    items: Sequence[PurposeItem | Mapping[str, Any]],
    legal_basis: str,
    legal_citation: str,
    retention_days: int,
    validity_days: int,
    created_by: str,
    now: datetime,
    entropy: Entropy,
) -> PurposeVersionView:
    """Writes a new purpose, or the next version of the agency's existing one with that code.

    Errors: `UnknownAgency`; `PurposeRefused` when a check fails, nothing differs from the newest version, or the code
    is another agency's.
    """
    draft = Draft.read(
        code=code,
        texts=texts,
        items=items,
        legal_basis=legal_basis,
        legal_citation=legal_citation,
        retention_days=retention_days,
        validity_days=validity_days,
    )
    check_draft(draft)
    if await session.get(Agency, agency_id) is None:
        raise UnknownAgency(f"there is no agency {agency_id}")
    await hold(session, f"purpose {code}")
    newest = (await session.execute(_versions().where(Purpose.code == code).limit(1))).one_or_none()
    digest = digest_of(draft, agency_id=agency_id)
    if newest is not None and newest.agency_id != agency_id:
        raise PurposeRefused(f"the code {code} belongs to another agency")
    if newest is not None and newest.digest == digest:
        raise PurposeRefused(f"version {newest.version} of {code} says exactly this already")
    purpose_id = newest.purpose_id if newest is not None else new_row_id(entropy, now)
    if newest is None:
        await session.execute(insert(Purpose).values(id=purpose_id, agency_id=agency_id, code=code, created_at=now))
    version_id = new_row_id(entropy, now)
    said = draft.as_json()
    del said["code"]
    await session.execute(
        insert(PurposeVersion).values(
            id=version_id,
            purpose_id=purpose_id,
            version=1 if newest is None else newest.version + 1,
            **said,
            digest=digest,
            created_at=now,
            created_by=created_by,
        )
    )
    return await purpose_version(session, version_id)


def digest_of(draft: Draft, *, agency_id: str) -> bytes:
    """The SHA-256 of all that a version says: equal if and only if a person would read the same."""
    return hashlib.sha256(canonical_json({"agency_id": agency_id, **draft.as_json()})).digest()


async def list_purposes(session: AsyncSession) -> list[PurposeVersionView]:
    """The newest version of every purpose, by code."""
    newest: dict[str, PurposeVersionView] = {}
    for row in await session.execute(_versions()):
        newest.setdefault(row.purpose_id, _view(row))
    return sorted(newest.values(), key=lambda view: view.code)


async def purpose_version(session: AsyncSession, version_id: str) -> PurposeVersionView:
    """One version. Error: `UnknownPurpose`."""
    row = (await session.execute(_versions().where(PurposeVersion.id == version_id))).one_or_none()
    if row is None:
        raise UnknownPurpose(f"there is no purpose version {version_id}")
    return _view(row)


class PurposeCatalogue:
    """Purpose versions, kept in memory: they never change. Which one is newest is read again every few seconds."""

    def __init__(self, newest_for_seconds: float = 5.0) -> None:
        self._newest_for_seconds = newest_for_seconds
        self._versions: dict[str, PurposeVersionView] = {}
        self._newest: dict[str, tuple[datetime, PurposeVersionView]] = {}

    async def newest(self, session: AsyncSession, code: str, *, now: datetime) -> PurposeVersionView | None:
        """The newest version of a purpose, at most a few seconds stale; None if unknown or its agency is suspended."""
        kept = self.remembered(code, now=now)
        if kept is not None:
            return kept
        statement = _versions().where(Purpose.code == code, Agency.status == "active").limit(1)
        row = (await session.execute(statement)).one_or_none()
        if row is None:
            # An unknown code is not remembered: anyone can send one, and memory would grow with every guess.
            self._newest.pop(code, None)
            return None
        view = _view(row)
        self._newest[code] = (now, view)
        self._versions[view.id] = view
        return view

    def remembered(self, code: str, *, now: datetime) -> PurposeVersionView | None:
        """The newest version of a purpose, if it was read in the last few seconds."""
        kept = self._newest.get(code)
        if kept is None or not 0 <= (now - kept[0]).total_seconds() < self._newest_for_seconds:
            return None
        return kept[1]

    async def version(self, session: AsyncSession, version_id: str) -> PurposeVersionView:
        """One version. Error: `UnknownPurpose`."""
        kept = self._versions.get(version_id)
        if kept is None:
            kept = await purpose_version(session, version_id)
            self._versions[version_id] = kept
        return kept


def _versions() -> Select[Any]:
    return (
        select(
            PurposeVersion.id,
            PurposeVersion.purpose_id,
            PurposeVersion.version,
            PurposeVersion.texts,
            PurposeVersion.items,
            PurposeVersion.legal_basis,
            PurposeVersion.legal_citation,
            PurposeVersion.retention_days,
            PurposeVersion.validity_days,
            PurposeVersion.digest,
            PurposeVersion.created_at,
            Purpose.code,
            Purpose.agency_id,
            Agency.code.label("agency_code"),
            Agency.names.label("agency_names"),
            Agency.privacy_contact,
        )
        .join(Purpose, Purpose.id == PurposeVersion.purpose_id)
        .join(Agency, Agency.id == Purpose.agency_id)
        .order_by(PurposeVersion.version.desc())
    )


def _view(row: Row[Any]) -> PurposeVersionView:
    values = dict(row._mapping)
    values["items"] = tuple(PurposeItem(**item) for item in values["items"])
    return PurposeVersionView(**values)
