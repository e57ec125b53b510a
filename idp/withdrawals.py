"""What the clock does about withdrawals, with what the provider brings to it: apps that are shut, tokens that die.

Steps of housekeeping: bounded, each a transaction, harmless to repeat.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from consent.withdrawal import endings
from consent.withdrawal.contradictions import compare_next, compare_reported
from consent.withdrawal.escalation import Raised, Suspends, escalate
from consent.withdrawal.streams import wake_forgotten
from idp.audit import AuditKind, record
from idp.clients.management import ClientRefused, disable_client, show_client
from idp.provider import Provider
from idp.tokens.revoke import revoke_resting_on
from keys.entropy import Entropy

BATCH: Final = 1000


async def strike_the_clock(provider: Provider, session: AsyncSession) -> int:
    """Amber, red, breach: for each an audit event; at breach the app is suspended, where that is the rule."""
    raised = await escalate(
        session,
        suspend=suspends(provider),
        now=provider.clock(),
        entropy=provider.entropy,
        limit=BATCH,
    )
    await _write_down(provider, session, raised)
    return len(raised)


async def compare_attestations(provider: Provider, session: AsyncSession) -> int:
    """Looks whether those who said that they stopped did."""
    compared, raised = await compare_next(
        session,
        suspend=suspends(provider),
        most=provider.settings.withdrawal_contradictions,
        now=provider.clock(),
        entropy=provider.entropy,
        limit=BATCH,
    )
    await _write_down(provider, session, raised)
    return compared


async def compare_with_report(provider: Provider, session: AsyncSession, consent_ids: Sequence[str]) -> int:
    """The same at once, for what an agency just reported under these consents. Returns how many were found out."""
    raised = await compare_reported(
        session,
        consent_ids,
        suspend=suspends(provider),
        most=provider.settings.withdrawal_contradictions,
        now=provider.clock(),
        entropy=provider.entropy,
    )
    await _write_down(provider, session, raised)
    return len(raised)


async def run_endings(provider: Provider, session: AsyncSession) -> int:
    """Goes on with what was approved to end."""
    return await endings.run_endings(
        session, end_tokens=end_tokens, now=provider.clock(), entropy=provider.entropy, limit=BATCH
    )


async def wake_deliveries(provider: Provider, session: AsyncSession) -> int:
    """Queues what was written while its recipient's endpoint was being registered."""
    return await wake_forgotten(session, now=provider.clock(), limit=BATCH)


async def end_tokens(session: AsyncSession, consent_ids: Sequence[str], now: datetime) -> None:
    """Everything that rests on these consents ends with them."""
    await revoke_resting_on(session, consent_ids, because="consent_ended", now=now)


def suspends(provider: Provider) -> Suspends | None:
    """How an app is suspended by rule; None where the rule is off."""
    return shut_client(provider.entropy, by="rule") if provider.settings.withdrawal_suspends else None


def shut_client(entropy: Entropy, *, by: str) -> Suspends:
    """How an app is shut: its tokens are dead with the commit, and the audit says why."""

    async def suspend(session: AsyncSession, client_id: str, reason: str, now: datetime) -> bool:
        try:
            client = await show_client(session, client_id)
        except ClientRefused:
            return False  # evidence outlives apps
        if client.status != "live":
            return False
        await disable_client(session, client_id, now=now)
        await record(
            session,
            AuditKind.CLIENT_SUSPENDED,
            now=now,
            entropy=entropy,
            client_id=client_id,
            detail={"by": by, "reason": reason},
        )
        return True

    return suspend


async def _write_down(provider: Provider, session: AsyncSession, raised: Sequence[Raised]) -> None:
    for one in raised:
        await record(
            session,
            AuditKind.WITHDRAWAL_ESCALATED,
            now=provider.clock(),
            entropy=provider.entropy,
            client_id=one.client_id or None,
            detail={
                "level": one.level,
                "delivery_id": one.delivery_id,
                "consent_id": one.consent_id,
                "agency_id": one.agency_id,
                "role": one.role,
                "kind": one.kind,
                "due_at": one.due_at,
                "suspended": one.suspended,
            },
        )
