"""What is done by the clock, by one process at a time: keys advance, consents expire, what is spent is deleted.

Each step is a transaction of its own, bounded, and harmless to repeat; a crash between two leaves nothing half done.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy import CursorResult, and_, delete, exists, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from consent.decisions import expire_due
from consent.erasure.person import advance_erasure
from consent.erasure.retention import RULES, Rule, apply_rule
from consent.log.store import thin_out
from consent.uses.reconciliation import forget_expected
from idp.database import Base
from idp.erasure import periods_of
from idp.interaction.models import Interaction
from idp.provider import Provider
from idp.replay import UsedOnce
from idp.sessions.models import LoginSession
from idp.status_list.models import StatusBlock
from idp.throttle import Throttle
from idp.tokens.models import AccessToken, Authorization, RefreshToken
from idp.withdrawals import compare_attestations, end_tokens, run_endings, strike_the_clock, wake_deliveries
from keys.ring import advance

log = structlog.get_logger()

EVERY_SECONDS = 60.0
BATCH = 1000
MOST_BATCHES = 200  # a step's share of one sweep: what is left waits for the next
KEEP_SPENT = timedelta(days=1)
LEADER_LOCK = 0x5A70_0001

Step = Callable[[Provider, AsyncSession], Awaitable[int]]


async def advance_keys(provider: Provider, session: AsyncSession) -> int:
    """Moves each signing key one state on when its time has come."""
    settings = provider.settings
    done = await advance(
        session,
        now=provider.clock(),
        publish_for=timedelta(seconds=settings.jwks_max_age + 2 * settings.key_refresh_seconds),
        # As long as a session lives, so that its ID tokens still do as hints.
        verify_for=timedelta(seconds=settings.session_absolute_lifetime + 120),
    )
    return len(done.promoted) + len(done.retired)


async def expire_consents(provider: Provider, session: AsyncSession) -> int:
    """Writes the end of consents whose time is over, and ends what rests on them."""
    now = provider.clock()
    expired = await expire_due(session, now=now, entropy=provider.entropy, limit=BATCH)
    await end_tokens(session, expired, now)
    return len(expired)


async def thin_out_checkpoints(provider: Provider, session: AsyncSession) -> int:
    """Deletes signed checkpoints older than a day, all but one an hour."""
    return await thin_out(session, now=provider.clock(), limit=BATCH)


def delete_expired(
    table: type[Base], key: InstrumentedAttribute[object], expires: InstrumentedAttribute[object]
) -> Step:
    """A step that deletes a batch of rows that expired a day ago or earlier."""

    async def step(provider: Provider, session: AsyncSession) -> int:
        past = provider.clock() - KEEP_SPENT
        batch = select(key).where(expires < past).limit(BATCH).scalar_subquery()
        done = await session.execute(delete(table).where(key.in_(batch), expires < past))
        assert isinstance(done, CursorResult)
        return done.rowcount

    step.__name__ = f"delete_expired_{table.__tablename__}"
    return step


async def erase_people(provider: Provider, session: AsyncSession) -> int:
    """Takes a step of the erasure whose turn it is. While there is one, its batch counts as a full one."""
    done = await advance_erasure(session, now=provider.clock(), entropy=provider.entropy, limit=BATCH)
    return BATCH if done else 0


def by_rule(rule: Rule) -> Step:
    """A step that erases a batch of what a rule of retention says."""

    async def step(provider: Provider, session: AsyncSession) -> int:
        periods = periods_of(provider.settings)
        # Deleting a person's last row deletes their key too, so a batch may come to more than it was asked for.
        return await apply_rule(session, rule, periods, now=provider.clock(), entropy=provider.entropy, limit=BATCH)

    step.__name__ = f"retention_{rule.name}"
    return step


async def delete_dead_authorizations(provider: Provider, session: AsyncSession) -> int:
    """Deletes a batch of authorizations from which nothing can come any more, once their tokens' rows are gone.

    Without offline access that is as soon as the last access token has expired. What was agreed to stays, in `consent`.
    """
    now = provider.clock()
    settings = provider.settings
    last_code = now - KEEP_SPENT - timedelta(seconds=settings.code_lifetime + settings.access_token_lifetime)
    over = or_(
        Authorization.refresh_expires_at < now - KEEP_SPENT,
        and_(Authorization.created_at < last_code, or_(~Authorization.offline, Authorization.redeemed_at.is_(None))),
    )
    has_tokens = or_(
        exists().where(AccessToken.authorization_id == Authorization.id),
        exists().where(RefreshToken.authorization_id == Authorization.id),
    )
    batch = select(Authorization.id).where(over, ~has_tokens).limit(BATCH).scalar_subquery()
    done = await session.execute(delete(Authorization).where(Authorization.id.in_(batch)))
    assert isinstance(done, CursorResult)
    return done.rowcount


async def forget_expected_uses(provider: Provider, session: AsyncSession) -> int:
    """Deletes a batch of what agencies were expected to report, once it is too late to."""
    return await forget_expected(session, now=provider.clock(), limit=BATCH)


STEPS: tuple[Step, ...] = (
    advance_keys,
    expire_consents,
    run_endings,
    strike_the_clock,
    compare_attestations,
    wake_deliveries,
    delete_expired(Interaction, Interaction.id, Interaction.expires_at),
    delete_expired(Throttle, Throttle.bucket, Throttle.window_started_at),
    delete_expired(UsedOnce, UsedOnce.identifier, UsedOnce.expires_at),
    delete_expired(AccessToken, AccessToken.jti, AccessToken.expires_at),
    delete_expired(StatusBlock, StatusBlock.id, StatusBlock.expires_at),
    delete_expired(RefreshToken, RefreshToken.token_sha256, RefreshToken.expires_at),
    delete_dead_authorizations,
    forget_expected_uses,
    thin_out_checkpoints,
    erase_people,
    *map(by_rule, RULES),
    delete_expired(LoginSession, LoginSession.id, LoginSession.expires_at),
)


class Housekeeping:
    """Runs the steps once a minute while the process lives; and keeps this process's view of the keys fresh."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._sweep()), asyncio.create_task(self._watch_keys())]
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await sweep(self._provider)
            except Exception:  # the next minute tries again; a dead sweeper would help nobody
                log.exception("housekeeping_failed")

    async def _watch_keys(self) -> None:
        while True:
            await asyncio.sleep(self._provider.settings.key_refresh_seconds)
            try:
                await self._provider.ring.refresh_if_stale(
                    self._provider.database.reading, now=self._provider.clock(), max_age=timedelta(0)
                )
            except Exception:  # go on signing with the keys at hand
                log.exception("key_refresh_failed")


async def sweep(provider: Provider) -> dict[str, int]:
    """Every step once, unless another process is at it."""
    done: dict[str, int] = {}
    for step in STEPS:
        for _ in range(MOST_BATCHES):
            async with provider.database.transaction() as session, leadership(provider, session) as leads:
                if not leads:
                    break
                changed = await step(provider, session)
            name = getattr(step, "__name__", "step")
            done[name] = done.get(name, 0) + changed
            if changed < BATCH:
                break
    return done


@asynccontextmanager
async def leadership(provider: Provider, session: AsyncSession) -> AsyncIterator[bool]:
    """Whether this transaction sweeps. The lock goes with the transaction, so a killed holder frees it."""
    if provider.database.is_sqlite:
        yield True
        return
    yield bool(await session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": LEADER_LOCK}))
