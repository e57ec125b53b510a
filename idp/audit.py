"""What happened at the door: who logged in, who was refused, who changed what. A row to search, a line for the log.

What was typed as a password, and any token, code or cookie, never gets here. Text from outside is escaped, so that no
line break in a name can write a second, forged line.
Spec: OWASP Logging Cheat Sheet; CWE-117.
"""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import structlog
from sqlalchemy import Index, String, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from idp.database import Base
from keys.columns import Id, Json, UtcDateTime
from keys.entropy import Entropy, new_row_id

log = structlog.get_logger("satupintu.audit")

MAX_TEXT: Final = 300
MAX_MEMBERS: Final = 30
MAX_DEPTH: Final = 4

_NEVER_KEPT: Final = frozenset(
    {
        "password",
        "secret",
        "client_secret",
        "token",
        "access_token",
        "refresh_token",
        "id_token",
        "id_token_hint",
        "client_assertion",
        "code",
        "code_verifier",
        "cookie",
        "csrf",
        "authorization",
    }
)


class AuditKind(StrEnum):
    """What can happen, in the past tense."""

    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_REFUSED = "login.refused"
    LOGIN_THROTTLED = "login.throttled"
    LOGGED_OUT = "login.logged_out"
    ACCOUNT_CREATED = "account.created"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    PASSWORD_CHANGED = "account.password_changed"  # noqa: S105 - the name of an event, not a password
    ROLE_GRANTED = "role.granted"
    ROLE_REVOKED = "role.revoked"
    AGENCY_CREATED = "agency.created"
    PURPOSE_CREATED = "purpose.created"
    REGISTRY_CHANGED = "registry.changed"
    CLIENT_CREATED = "client.created"
    CLIENT_DISABLED = "client.disabled"
    CLIENT_CHANGED = "client.changed"
    CLIENT_SUSPENDED = "client.suspended"
    CLIENT_REINSTATED = "client.reinstated"
    CLIENT_SECRET_ROTATED = "client.secret_rotated"  # noqa: S105 - the name of an event, not a secret
    CLIENT_AUTHENTICATION_REFUSED = "client.authentication_refused"
    GRANT_REFUSED = "token.grant_refused"
    CODE_REPLAYED = "token.code_replayed"
    REFRESH_REPLAYED = "token.refresh_replayed"
    CONSENT_GRANTED = "consent.granted"
    CONSENT_REFUSED = "consent.refused"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_CHANGED = "consent.changed"
    STREAM_CHANGED = "events.stream_changed"
    WITHDRAWAL_ESCALATED = "withdrawal.escalated"
    ENDING_PROPOSED = "ending.proposed"
    ENDING_APPROVED = "ending.approved"
    ENDING_REJECTED = "ending.rejected"
    KEYS_ROTATED = "keys.rotated"
    KEY_RETIRED = "keys.retired"
    LOG_RESUMED = "log.resumed"
    ERASURE_REQUESTED = "erasure.requested"
    HOLD_PLACED = "hold.placed"
    HOLD_LIFTED = "hold.lifted"
    LOG_BEGUN_ANEW = "log.begun_anew"


class AuditEvent(Base):
    """One thing that happened. Append-only. `account_id` is the person whom it happened to or who did it."""

    __tablename__ = "idp_audit_events"
    __table_args__ = (
        Index("ix_idp_audit_events_at", "at", "id"),
        Index("ix_idp_audit_events_account_at", "account_id", "at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(60))
    account_id: Mapped[str | None] = mapped_column(Id)
    client_id: Mapped[str | None] = mapped_column(String(200))
    session_id: Mapped[str | None] = mapped_column(Id)
    address: Mapped[str | None] = mapped_column(String(60))
    detail: Mapped[dict[str, Any]] = mapped_column(Json)


async def record(
    session: AsyncSession,
    kind: AuditKind,
    *,
    now: datetime,
    entropy: Entropy,
    account_id: str | None = None,
    client_id: str | None = None,
    session_id: str | None = None,
    address: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> str:
    """Writes an event within the caller's transaction, and a line to the log. Returns the event's id."""
    event_id = new_row_id(entropy, now)
    facts = {
        "account_id": account_id,
        "client_id": clean(client_id)[:200] if client_id is not None else None,
        "session_id": session_id,
        "address": clean(address)[:60] if address is not None else None,
        "detail": clean(dict(detail or {})),
    }
    await session.execute(insert(AuditEvent).values(id=event_id, at=now, kind=kind.value, **facts))
    log.info(kind.value, audit_id=event_id, **{name: fact for name, fact in facts.items() if fact})
    return event_id


def clean(value: Any, *, depth: int = 0) -> Any:
    """A value fit for a log: control and direction-changing characters escaped, long text cut, secrets left out."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        kept = list(value.items())[:MAX_MEMBERS]
        return {
            _clean_text(str(name)): "…" if str(name).lower() in _NEVER_KEPT else clean(member, depth=depth + 1)
            for name, member in kept
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(member, depth=depth + 1) for member in list(value)[:MAX_MEMBERS]]
    return _clean_text(value.isoformat() if isinstance(value, datetime) else str(value))


def _clean_text(text: str) -> str:
    cut = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
    return "".join(_escape(character) for character in cut)


def _escape(character: str) -> str:
    # Cc: control characters, line breaks among them; Cf: direction overrides; Cs: surrogates; Zl, Zp: line separators.
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return character.encode("unicode_escape").decode()
    return character
