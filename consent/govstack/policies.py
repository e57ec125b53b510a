"""The life of a policy: written, revised, deleted; every revision stays.

Spec: GovStack Consent Building Block 1.1 (Policy, Revision).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import UnknownPolicy
from consent.govstack.models import PolicyRevision
from consent.identifiers import is_id
from consent.locking import hold
from keys.encoding import canonical_json
from keys.entropy import Entropy, new_row_id

_COLUMNS = PolicyRevision.__table__.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """One revision of a policy."""

    id: str
    policy_id: str
    agency_id: str
    number: int
    content: Mapping[str, Any]
    is_deleted: bool
    at: datetime
    by: str
    previous_digest: bytes | None
    digest: bytes = b""

    def snapshot(self) -> dict[str, Any]:
        """What the digest is taken of."""
        return {
            "schemaName": "policy",
            "objectId": self.policy_id,
            "number": self.number,
            "objectData": dict(self.content),
            "isDeleted": self.is_deleted,
            "timestamp": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "authorizedByOther": self.by,
            "predecessorHash": self.previous_digest.hex() if self.previous_digest is not None else None,
        }


async def write_policy(
    session: AsyncSession, *, agency_id: str, content: Mapping[str, Any], by: str, now: datetime, entropy: Entropy
) -> PolicyView:
    """The first revision of a new policy."""
    policy_id = new_row_id(entropy, now)
    return await _append(session, None, policy_id, agency_id, content, by=by, deleted=False, now=now, entropy=entropy)


async def revise_policy(
    session: AsyncSession,
    policy_id: str,
    *,
    agency_id: str,
    content: Mapping[str, Any] | None,
    by: str,
    now: datetime,
    entropy: Entropy,
) -> PolicyView:
    """The next revision; without `content` the one that says that it is deleted. Error: `UnknownPolicy`."""
    await hold(session, f"policy {policy_id}")
    newest = await policy(session, policy_id, agency_id=agency_id)
    said = newest.content if content is None else content
    return await _append(
        session, newest, policy_id, agency_id, said, by=by, deleted=content is None, now=now, entropy=entropy
    )


async def policy(
    session: AsyncSession, policy_id: str, *, agency_id: str, revision_id: str | None = None
) -> PolicyView:
    """The newest revision of an agency's policy, or a named one. Error: `UnknownPolicy`, also for a deleted one."""
    wanted = [policy_id] if revision_id is None else [policy_id, revision_id]
    if not all(map(is_id, wanted)):
        raise UnknownPolicy("there is no such policy")
    statement = select(*_COLUMNS).where(PolicyRevision.policy_id == policy_id, PolicyRevision.agency_id == agency_id)
    if revision_id is not None:
        statement = statement.where(PolicyRevision.id == revision_id)
    row = (await session.execute(statement.order_by(PolicyRevision.number.desc()).limit(1))).one_or_none()
    if row is None or (row.is_deleted and revision_id is None):
        raise UnknownPolicy("there is no such policy")
    return PolicyView(**row._mapping)


async def revisions_of(
    session: AsyncSession, policy_id: str, *, agency_id: str, offset: int, limit: int
) -> list[PolicyView]:
    """A policy's revisions, newest first, also the last one of a deleted policy."""
    if not is_id(policy_id):
        raise UnknownPolicy("there is no such policy")
    rows = await session.execute(
        select(*_COLUMNS)
        .where(PolicyRevision.policy_id == policy_id, PolicyRevision.agency_id == agency_id)
        .order_by(PolicyRevision.number.desc())
        .offset(offset)
        .limit(limit)
    )
    return [PolicyView(**row._mapping) for row in rows]


async def list_policies(session: AsyncSession, *, agency_id: str, offset: int, limit: int) -> list[PolicyView]:
    """The newest revision of each of an agency's policies, oldest policy first, without the deleted ones."""
    later = select(*_COLUMNS).where(PolicyRevision.agency_id == agency_id).subquery("later")
    rows = await session.execute(
        select(*_COLUMNS)
        .outerjoin(
            later, (later.c.policy_id == PolicyRevision.policy_id) & (later.c.number == PolicyRevision.number + 1)
        )
        .where(PolicyRevision.agency_id == agency_id, later.c.id.is_(None), ~PolicyRevision.is_deleted)
        .order_by(PolicyRevision.policy_id)
        .offset(offset)
        .limit(limit)
    )
    return [PolicyView(**row._mapping) for row in rows]


async def _append(
    session: AsyncSession,
    before: PolicyView | None,
    policy_id: str,
    agency_id: str,
    content: Mapping[str, Any],
    *,
    by: str,
    deleted: bool,
    now: datetime,
    entropy: Entropy,
) -> PolicyView:
    view = PolicyView(
        id=new_row_id(entropy, now),
        policy_id=policy_id,
        agency_id=agency_id,
        number=1 if before is None else before.number + 1,
        content=dict(content),
        is_deleted=deleted,
        at=now,
        by=by,
        previous_digest=None if before is None else before.digest,
    )
    digest = hashlib.sha256(canonical_json(view.snapshot())).digest()
    values = {name: getattr(view, name) for name in view.__dataclass_fields__}
    await session.execute(insert(PolicyRevision).values({**values, "digest": digest}))
    return PolicyView(**{**values, "digest": digest})
