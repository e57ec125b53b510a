"""Purposes: why data is asked for, in versions that never change. This is how they are read.

Changing a word makes a new version, and a person who agreed to the old one is asked again, unless the new one was
approved as compatible: what was agreed to is what was read. How a version comes to be is `consent.registry.versions`.

Spec: Law 27/2022 (UU PDP) articles 20(2) and 21(1); ISO/IEC TS 27560 (purpose, lawful basis, retention period).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Select, case, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.attributes import ITEMS, DataItem
from consent.errors import UnknownPurpose
from consent.identifiers import is_id
from consent.models import Agency, Purpose, PurposeVersion
from consent.purpose_draft import Draft, PurposeItem
from consent.registry.attributes import attributes_named
from consent.registry.terms import Terms
from keys.encoding import canonical_json


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeVersionView:
    """One version of a purpose and whose it is, as everyone reads it. `texts` is as in `PurposeVersion`.

    What a version says never changes; `status` and its times are as they were when this was read, and two views of one
    version are equal whenever they were read. `compatible_version_ids` are the earlier versions whose consents hold
    for this one too; `attributes` has the items that come from other agencies.
    """

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
    created_by: str = ""
    fetch_type: str = "periodic"
    use_limit: int | None = None
    use_window_days: int | None = None
    terms: Terms = field(default_factory=Terms)
    compatible_with: tuple[int, ...] = ()
    compatible_version_ids: frozenset[str] = frozenset()
    attributes: Mapping[str, DataItem] = field(default_factory=dict)
    status: str = field(default="active", compare=False)
    activated_at: datetime | None = field(default=None, compare=False)
    ended_at: datetime | None = field(default=None, compare=False)

    def item(self, claim: str) -> DataItem:
        """What a person is told of one of its items: name, category, source. Error: `KeyError` for any other claim."""
        return self.attributes[claim] if claim in self.attributes else ITEMS[claim]

    @property
    def sources(self) -> Mapping[str, frozenset[str]]:
        """The claims that come from agencies, by the agency's id. What comes from the account here is not in it."""
        found: dict[str, frozenset[str]] = {}
        for claim, item in self.attributes.items():
            if item.source is not None:
                found[item.source.agency_id] = found.get(item.source.agency_id, frozenset()) | {claim}
        return found

    def as_draft(self) -> Draft:
        """What it says, as it was written down."""
        return Draft(
            code=self.code,
            texts=self.texts,
            items=self.items,
            legal_basis=self.legal_basis,
            legal_citation=self.legal_citation,
            retention_days=self.retention_days,
            validity_days=self.validity_days,
            fetch_type=self.fetch_type,
            use_limit=self.use_limit,
            use_window_days=self.use_window_days,
            terms=self.terms,
        )

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


def digest_of(draft: Draft, *, agency_id: str) -> bytes:
    """The SHA-256 of all that a version says: equal if and only if a person would read the same."""
    return hashlib.sha256(canonical_json({"agency_id": agency_id, **draft.as_json()})).digest()


async def list_purposes(session: AsyncSession) -> list[PurposeVersionView]:
    """The version of every purpose that is in force, or else its newest one; by code."""
    # The versions in force first, then the newest.
    in_force = case((PurposeVersion.status == "active", 0), else_=1)
    rows = await session.execute(_versions().order_by(None).order_by(in_force, PurposeVersion.version.desc()))
    chosen: dict[str, Row[Any]] = {}
    for row in rows:
        chosen.setdefault(row.purpose_id, row)
    return sorted(await _views(session, list(chosen.values())), key=lambda view: view.code)


async def versions_of(session: AsyncSession, code: str) -> list[PurposeVersionView]:
    """Every version of a purpose, newest first. Error: `UnknownPurpose`."""
    rows = (await session.execute(_versions().where(Purpose.code == code))).all()
    if not rows:
        raise UnknownPurpose(f"there is no purpose with the code {code}")
    return await _views(session, rows)


async def versions_with_status(session: AsyncSession, *statuses: str) -> list[PurposeVersionView]:
    """Every version that has one of these statuses, newest first."""
    statement = _versions().where(PurposeVersion.status.in_(statuses)).order_by(PurposeVersion.id.desc())
    return await _views(session, (await session.execute(statement)).all())


async def purpose_version(session: AsyncSession, version_id: str) -> PurposeVersionView:
    """One version. Error: `UnknownPurpose`."""
    rows = (
        (await session.execute(_versions().where(PurposeVersion.id == version_id))).all() if is_id(version_id) else []
    )
    if not rows:
        raise UnknownPurpose(f"there is no purpose version {version_id}")
    return (await _views(session, rows))[0]


class PurposeCatalogue:
    """Purpose versions, kept in memory: they never change. Which one is in force is read again every few seconds."""

    def __init__(self, newest_for_seconds: float = 5.0) -> None:
        self._newest_for_seconds = newest_for_seconds
        self._versions: dict[str, PurposeVersionView] = {}
        self._newest: dict[str, tuple[datetime, PurposeVersionView]] = {}

    async def newest(self, session: AsyncSession, code: str, *, now: datetime) -> PurposeVersionView | None:
        """The version of a purpose that is in force, at most a few seconds stale; None if there is none.

        There is none before one was approved, after it was ended, and while its agency is suspended.
        """
        kept = self.remembered(code, now=now)
        if kept is not None:
            return kept
        statement = _versions().where(
            Purpose.code == code, PurposeVersion.status == "active", Agency.status == "active"
        )
        views = await _views(session, (await session.execute(statement.limit(1))).all())
        if not views:
            # An unknown code is not remembered: anyone can send one, and memory would grow with every guess.
            self._newest.pop(code, None)
            return None
        self._newest[code] = (now, views[0])
        self._versions[views[0].id] = views[0]
        return views[0]

    def remembered(self, code: str, *, now: datetime) -> PurposeVersionView | None:
        """The version in force of a purpose, if it was read in the last few seconds."""
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
            PurposeVersion.created_by,
            PurposeVersion.fetch_type,
            PurposeVersion.use_limit,
            PurposeVersion.use_window_days,
            PurposeVersion.terms,
            PurposeVersion.compatible_with,
            PurposeVersion.status,
            PurposeVersion.activated_at,
            PurposeVersion.ended_at,
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


async def _views(session: AsyncSession, rows: Sequence[Row[Any]]) -> list[PurposeVersionView]:
    """The versions of these rows, each with what it says of other rows. One statement more for each kind, if any."""
    views = [_view(row) for row in rows]
    elsewhere = {claim for view in views for claim in view.claims if claim not in ITEMS}
    items = await attributes_named(session, elsewhere) if elsewhere else {}
    earlier = {view.purpose_id for view in views if view.compatible_with}
    ids = await _ids_of_versions(session, earlier) if earlier else {}
    return [
        replace(
            view,
            attributes=MappingProxyType({claim: items[claim] for claim in sorted(view.claims & items.keys())}),
            compatible_version_ids=frozenset(ids[view.purpose_id, number] for number in view.compatible_with),
        )
        for view in views
    ]


async def _ids_of_versions(session: AsyncSession, purpose_ids: set[str]) -> dict[tuple[str, int], str]:
    rows = await session.execute(
        select(PurposeVersion.id, PurposeVersion.purpose_id, PurposeVersion.version).where(
            PurposeVersion.purpose_id.in_(purpose_ids)
        )
    )
    return {(row.purpose_id, row.version): row.id for row in rows}


def _view(row: Row[Any]) -> PurposeVersionView:
    values = dict(row._mapping)
    values["items"] = tuple(PurposeItem(**item) for item in values["items"])
    values["terms"] = Terms.read(values["terms"])
    values["compatible_with"] = tuple(values["compatible_with"])
    return PurposeVersionView(**values)
