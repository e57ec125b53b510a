"""What was decided, read back: a person's consents in a list, and one of them with all that happened to it.

Spec: Law 27/2022 (UU PDP) articles 24 and 32.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.cursor import Cursor, older_than
from consent.decisions import ASSISTED
from consent.errors import NotYours, UnknownConsent
from consent.event_store import events_of
from consent.events import Broken, Event, Intact, verify_chain
from consent.identifiers import is_id
from consent.models import Agency, ConsentEvent, ConsentRecord, Purpose, PurposeVersion, ShownText
from consent.statuses import CURRENT, DECIDING, PERMITTING
from keys.entropy import sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentSummary:
    """One consent in a person's list. `texts` and `items` are those of the version that was agreed to."""

    id: str
    subject_id: str
    subject_ref: str | None
    client_id: str
    agency_id: str
    agency_code: str
    agency_names: Mapping[str, str]
    privacy_contact: str
    purpose_id: str
    purpose_code: str
    purpose_version_id: str
    purpose_version: int
    texts: Mapping[str, Mapping[str, str]]
    items: tuple[Mapping[str, Any], ...]
    legal_basis: str
    legal_citation: str
    retention_days: int
    agreement_version_id: str | None
    status: str
    granted: tuple[str, ...]
    refused: tuple[str, ...]
    offline_access: bool
    fetch_type: str
    use_limit: int | None
    use_window_days: int | None
    used: int
    window_started_at: datetime | None
    representative_id: str | None
    mandate_id: str | None
    decided_at: datetime
    valid_until: datetime | None
    ended_at: datetime | None
    last_seq: int
    erased_at: datetime | None

    @property
    def is_choice(self) -> bool:
        """Whether the person had a choice: only where the legal basis is consent. Else they were told."""
        return self.legal_basis == "consent"

    def in_force(self, now: datetime) -> bool:
        """Whether it lets data through at this moment."""
        return self.status in PERMITTING and not self.is_over(now)

    def is_current(self, now: datetime) -> bool:
        """Whether it is in force, or paused."""
        return self.status in CURRENT and not self.is_over(now)

    def is_over(self, now: datetime) -> bool:
        """Whether its time is up; for a refusal, whether it is not remembered any more."""
        return self.valid_until is not None and self.valid_until <= now


@dataclass(frozen=True, slots=True)
class ConsentsPage:
    """Some of a person's consents, newest first; `next` is where to go on, None at the end."""

    consents: tuple[ConsentSummary, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptText:
    """A text as it was shown: the canonical JSON of a `Notice`. `intact` is False when it is not what was hashed."""

    sha256: bytes
    language: str
    body: str
    first_shown_at: datetime
    intact: bool


@dataclass(frozen=True, slots=True)
class ConsentDetail:
    """One consent, its events (oldest first), the texts that were shown (by SHA-256), and whether the chain holds."""

    consent: ConsentSummary
    events: tuple[Event, ...]
    texts: Mapping[bytes, KeptText]
    chain: Intact | Broken


async def consents_of(
    session: AsyncSession,
    *,
    subject_id: str,
    current_at: datetime | None = None,
    after: Cursor | None = None,
    limit: int = 100,
) -> ConsentsPage:
    """A person's consents and refusals, newest first; with `current_at` only those in force, or paused, then."""
    statement = summaries().where(ConsentRecord.subject_id == subject_id)
    if current_at is not None:
        statement = statement.where(
            ConsentRecord.status.in_(sorted(CURRENT)),
            or_(ConsentRecord.valid_until.is_(None), ConsentRecord.valid_until > current_at),
        )
    if after is not None:
        statement = statement.where(older_than(ConsentRecord.decided_at, ConsentRecord.id, after))
    statement = statement.order_by(ConsentRecord.decided_at.desc(), ConsentRecord.id.desc())
    rows = (await session.execute(statement.limit(limit + 1))).all()
    consents = tuple(summary_of(row) for row in rows[:limit])
    more = len(rows) > limit
    return ConsentsPage(consents, Cursor(consents[-1].decided_at, consents[-1].id) if more else None)


async def assisted_among(session: AsyncSession, consents: Iterable[ConsentSummary]) -> Mapping[str, str]:
    """Those of these consents that an officer wrote down for the person, and by which channel they were given."""
    rows = await session.execute(
        select(ConsentEvent.consent_id, ConsentEvent.channel)
        .where(
            ConsentEvent.consent_id.in_([consent.id for consent in consents]),
            ConsentEvent.channel.in_(sorted(ASSISTED)),
            ConsentEvent.kind.in_(sorted(DECIDING)),
        )
        .order_by(ConsentEvent.seq)
    )
    return {row.consent_id: row.channel for row in rows}


async def consent_of(session: AsyncSession, *, consent_id: str, subject_id: str) -> ConsentDetail:
    """One of the person's own consents. Error: `NotYours`, also when there is no such consent."""
    try:
        detail = await consent_by_id(session, consent_id)
    except UnknownConsent:
        detail = None
    if detail is None or detail.consent.subject_id != subject_id:
        raise NotYours("you have no such consent")
    return detail


async def consent_by_id(session: AsyncSession, consent_id: str) -> ConsentDetail:
    """One consent, for an officer. Error: `UnknownConsent`."""
    if not is_id(consent_id):
        raise UnknownConsent("there is no such consent")
    row = (await session.execute(summaries().where(ConsentRecord.id == consent_id))).one_or_none()
    if row is None:
        raise UnknownConsent("there is no such consent")
    consent = summary_of(row)
    events = await events_of(session, consent_id)
    digests = [event.text_sha256 for event in events if event.text_sha256 is not None]
    texts = await session.execute(select(*ShownText.__table__.columns).where(ShownText.sha256.in_(digests)))
    kept = {
        text.sha256: KeptText(
            sha256=text.sha256,
            language=text.language,
            body=text.body,
            first_shown_at=text.first_shown_at,
            intact=sha256(text.body.encode()) == text.sha256,
        )
        for text in texts
    }
    chain = verify_chain(events, expected_last_seq=consent.last_seq, expected_erased=consent.erased_at is not None)
    return ConsentDetail(consent, events, kept, chain)


def summaries() -> Select[Any]:
    """Reads consents with what they are about; for `summary_of`."""
    return (
        select(
            *ConsentRecord.__table__.columns,
            Agency.code.label("agency_code"),
            Agency.names.label("agency_names"),
            Agency.privacy_contact,
            Purpose.code.label("purpose_code"),
            PurposeVersion.version.label("purpose_version"),
            PurposeVersion.texts,
            PurposeVersion.items,
            PurposeVersion.legal_basis,
            PurposeVersion.legal_citation,
            PurposeVersion.retention_days,
        )
        .join(PurposeVersion, PurposeVersion.id == ConsentRecord.purpose_version_id)
        .join(Purpose, Purpose.id == ConsentRecord.purpose_id)
        .join(Agency, Agency.id == ConsentRecord.agency_id)
    )


def summary_of(row: Row[Any]) -> ConsentSummary:
    """A row of `summaries`."""
    values = dict(row._mapping)
    for name in ("items", "granted", "refused"):
        values[name] = tuple(values[name])
    return ConsentSummary(**values)
