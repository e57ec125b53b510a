"""What a person decides, written down: grant, refuse, withdraw; and what time does to it: expire.

Nothing here commits. The caller's transaction carries the record, its event and whatever depends on them, so that no
code exists without its consent and no consent without its event.

Spec: Law 27/2022 (UU PDP) articles 9, 20(2), 22 and 24.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, case, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.coverage import Standing
from consent.decision_checks import Shown, check_grant, check_refusal
from consent.errors import NothingToWithdraw, NotYours
from consent.event_store import append_endings, append_first, keep_text
from consent.identifiers import is_id
from consent.locking import dialect_of, hold
from consent.models import ConsentRecord
from consent.notice import Notice
from consent.purposes import purpose_version
from keys.entropy import Entropy, new_row_id

SYSTEM: Final = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who decides about which app's purpose, and how they were asked.

    `actor` is `subject` for the person, or who acted for them; `acr` is how surely the person was known.
    """

    subject_id: str
    client_id: str
    agency_id: str
    purpose_id: str
    purpose_version_id: str
    language: str
    channel: str = "web"
    acr: str | None = None
    actor: str = "subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A consent was withdrawn: whoever holds data by it must now stop."""

    consent_id: str
    subject_id: str
    client_id: str
    agency_id: str
    purpose_id: str
    at: datetime


# Where a person stands, as columns and as an order: the consent in force first, or else the last decision.
STANDING: Final = (
    ConsentRecord.id.label("consent_id"),
    ConsentRecord.status,
    ConsentRecord.purpose_version_id,
    ConsentRecord.granted,
    ConsentRecord.refused,
    ConsentRecord.offline_access,
    ConsentRecord.valid_until,
)
STANDING_ORDER: Final = (
    case((ConsentRecord.status == "given", 0), else_=1),
    ConsentRecord.decided_at.desc(),
    ConsentRecord.id.desc(),
)
_STANDING_OF: Final = (
    select(*STANDING)
    .where(
        ConsentRecord.subject_id == bindparam("subject"),
        ConsentRecord.client_id == bindparam("client"),
        ConsentRecord.purpose_id == bindparam("purpose"),
    )
    .order_by(*STANDING_ORDER)
    .limit(1)
)


async def standing(session: AsyncSession, *, subject_id: str, client_id: str, purpose_id: str) -> Standing | None:
    """Where the person stands: their consent in force if there is one, or else their last decision."""
    asked = {"subject": subject_id, "client": client_id, "purpose": purpose_id}
    row = (await session.execute(_STANDING_OF, asked)).one_or_none()
    return read_standing(row) if row is not None else None


def read_standing(row: Any) -> Standing | None:
    """What a row with the columns of `STANDING` says; nothing when no decision was joined to it."""
    if row.consent_id is None:
        return None
    return Standing(
        consent_id=row.consent_id,
        status=row.status,
        purpose_version_id=row.purpose_version_id,
        granted=frozenset(row.granted),
        refused=frozenset(row.refused),
        offline_access=row.offline_access,
        valid_until=row.valid_until,
    )


async def grant(
    session: AsyncSession,
    *,
    who: Decision,
    granted: Collection[str],
    refused: Collection[str],
    offline_access: bool,
    notice: Notice,
    now: datetime,
    entropy: Entropy,
) -> str:
    """Records that the person agreed to `granted` and refused `refused` of what `notice` showed.

    Returns the consent's id. An earlier consent of theirs for the same app and purpose is superseded.
    Error: `DecisionRefused`.
    """
    version = await purpose_version(session, who.purpose_version_id)
    check_grant(
        Shown(version=version, notice=notice, who=who),
        granted=frozenset(granted),
        refused=frozenset(refused),
        offline_access=offline_access,
    )
    # Two grants at once (a double click, two tabs) would both find nothing to supersede, and both insert.
    await hold(session, f"consent {who.subject_id} {who.client_id} {who.purpose_id}")
    consent_id = new_row_id(entropy, now)
    await _supersede(session, who=who, successor=consent_id, now=now, entropy=entropy)
    await _write(
        session,
        consent_id=consent_id,
        kind="granted",
        who=who,
        granted=granted,
        refused=refused,
        offline_access=offline_access,
        valid_until=now + timedelta(days=version.validity_days),
        notice=notice,
        now=now,
        entropy=entropy,
    )
    return consent_id


async def refuse(
    session: AsyncSession,
    *,
    who: Decision,
    refused: Collection[str],
    notice: Notice,
    now: datetime,
    entropy: Entropy,
) -> str:
    """Records that the person refused what `notice` showed. Returns the record's id.

    A consent of theirs that is in force stays so: refusing to give more takes nothing back. Error: `DecisionRefused`.
    """
    version = await purpose_version(session, who.purpose_version_id)
    check_refusal(Shown(version=version, notice=notice, who=who), refused=frozenset(refused))
    consent_id = new_row_id(entropy, now)
    await _write(
        session,
        consent_id=consent_id,
        kind="refused",
        who=who,
        granted=(),
        refused=refused,
        offline_access=False,
        valid_until=None,
        notice=notice,
        now=now,
        entropy=entropy,
    )
    return consent_id


async def withdraw(
    session: AsyncSession,
    *,
    consent_id: str,
    subject_id: str,
    actor: str = "subject",
    now: datetime,
    entropy: Entropy,
    reason: str | None = None,
    channel: str = "web",
) -> Withdrawn:
    """Takes a consent back. Effective with the commit of the caller's transaction.

    Errors: `NotYours` when it is not `subject_id`'s; `NothingToWithdraw` when it is not in force.
    """
    if not is_id(consent_id):
        raise NotYours("you have no such consent")
    ended = (
        await session.execute(
            update(ConsentRecord)
            .where(
                ConsentRecord.id == consent_id,
                ConsentRecord.subject_id == subject_id,
                ConsentRecord.status == "given",
            )
            .values(status="withdrawn", ended_at=now, last_seq=ConsentRecord.last_seq + 1)
            .returning(*ConsentRecord.__table__.columns)
        )
    ).one_or_none()
    if ended is None:
        status = await session.scalar(
            select(ConsentRecord.status).where(ConsentRecord.id == consent_id, ConsentRecord.subject_id == subject_id)
        )
        if status is None:
            raise NotYours("you have no such consent")
        raise NothingToWithdraw(consent_id, status)
    await append_endings(session, [ended], actor=actor, channel=channel, reason=reason, now=now, entropy=entropy)
    return Withdrawn(
        consent_id=ended.id,
        subject_id=ended.subject_id,
        client_id=ended.client_id,
        agency_id=ended.agency_id,
        purpose_id=ended.purpose_id,
        at=now,
    )


async def expire_due(session: AsyncSession, *, now: datetime, entropy: Entropy, limit: int = 500) -> list[str]:
    """Ends at most `limit` consents whose time is up, oldest first, and returns their ids. Call again while it is full.

    Nothing waits for this, for coverage reads `valid_until` itself: it makes the history say what happened.
    """
    due = (
        select(ConsentRecord.id)
        .where(ConsentRecord.status == "given", ConsentRecord.valid_until <= now)
        .order_by(ConsentRecord.valid_until)
        .limit(limit)
    )
    if dialect_of(session) == "postgresql":
        # Two sweepers share the work instead of waiting for each other. SQLite has one writer anyway.
        due = due.with_for_update(skip_locked=True)
    ids = (await session.scalars(due)).all()
    if not ids:
        return []
    ended = (
        await session.execute(
            update(ConsentRecord)
            .where(ConsentRecord.id.in_(ids), ConsentRecord.status == "given")
            .values(status="expired", ended_at=now, last_seq=ConsentRecord.last_seq + 1)
            .returning(*ConsentRecord.__table__.columns)
        )
    ).all()
    await append_endings(session, ended, actor=SYSTEM, channel=SYSTEM, reason=None, now=now, entropy=entropy)
    return [row.id for row in ended]


async def _supersede(session: AsyncSession, *, who: Decision, successor: str, now: datetime, entropy: Entropy) -> None:
    """Ends the consent in force, if any: as expired if its time was up, so that the history stays true."""
    ended = (
        await session.execute(
            update(ConsentRecord)
            .where(
                ConsentRecord.subject_id == who.subject_id,
                ConsentRecord.client_id == who.client_id,
                ConsentRecord.purpose_id == who.purpose_id,
                ConsentRecord.status == "given",
            )
            .values(
                status=case((ConsentRecord.valid_until <= now, "expired"), else_="superseded"),
                ended_at=now,
                last_seq=ConsentRecord.last_seq + 1,
            )
            .returning(*ConsentRecord.__table__.columns)
        )
    ).all()
    await append_endings(
        session,
        ended,
        actor=who.actor,
        channel=who.channel,
        reason=f"replaced by {successor}",
        now=now,
        entropy=entropy,
    )


async def _write(
    session: AsyncSession,
    *,
    consent_id: str,
    kind: str,
    who: Decision,
    granted: Collection[str],
    refused: Collection[str],
    offline_access: bool,
    valid_until: datetime | None,
    notice: Notice,
    now: datetime,
    entropy: Entropy,
) -> None:
    text_sha256 = await keep_text(session, notice, now=now)
    record = {
        "subject_id": who.subject_id,
        "client_id": who.client_id,
        "agency_id": who.agency_id,
        "purpose_id": who.purpose_id,
        "purpose_version_id": who.purpose_version_id,
        "granted": sorted(granted),
        "refused": sorted(refused),
        "offline_access": offline_access,
        "valid_until": valid_until,
    }
    await session.execute(
        insert(ConsentRecord).values(
            id=consent_id,
            status="given" if kind == "granted" else "refused",
            decided_at=now,
            ended_at=None,
            last_seq=1,
            **record,
        )
    )
    await append_first(
        session,
        consent_id=consent_id,
        kind=kind,
        record=record,
        actor=who.actor,
        language=who.language,
        text_sha256=text_sha256,
        channel=who.channel,
        acr=who.acr,
        now=now,
        entropy=entropy,
    )
