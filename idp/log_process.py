"""What each server process does for the log while it lives: it tries to sequence, and to have the witnesses cosign.

Every process tries, and one at a time succeeds. What that one holds goes with its database connection, so the others
take over as soon as it is gone, however it went.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

import structlog
from sqlalchemy import text

from consent.erasure.retention import first_id_of
from consent.http.witness_client import witness_wire
from consent.log.errors import LogError
from consent.log.sequencer import BATCH, LostRace, Sequenced, sequence_once
from consent.log.witnessing import Witnessing
from idp.provider import Provider

log = structlog.get_logger()

WITNESSES_LOCK: Final = 0x5A70_0003
LONGEST_PAUSE: Final = 30.0
STOPPED_PAUSE: Final = 10.0
LEADER_PAUSE: Final = 1.0
RECENT: Final = timedelta(hours=1)
SWEEP_SECONDS: Final = 300.0


class LogProcess:
    """The log's tasks, for as long as the process lives."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._interval = provider.settings.log_interval_ms / 1000
        self._next_sweep = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        work: list[Callable[[], Awaitable[float]]] = [self._sequence]
        if any(witness.url is not None for witness in self._provider.log.rules.policy.witnesses):
            work.append(self._have_cosigned)
        self._tasks = [asyncio.create_task(self._again_and_again(step)) for step in work]
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _again_and_again(self, step: Callable[[], Awaitable[float]]) -> None:
        """Runs a step for ever; the step says how long to wait. What stops the log is said once, and loudly."""
        said, failures = "", 0
        while True:
            try:
                pause = await step()
                said, failures = "", 0
            except LostRace:
                pause = self._interval
            except LogError as stopped:
                pause = STOPPED_PAUSE
                if stopped.why != said:
                    said = stopped.why
                    log.critical("log_stopped", why=said)
            except Exception:  # the database will come back; a task that has ended would help nobody
                log.exception("log_step_failed", step=getattr(step, "__name__", ""))
                pause = min(LONGEST_PAUSE, self._interval * 2**failures)
                failures = min(failures + 1, 10)
            await asyncio.sleep(pause)

    async def _sequence(self) -> float:
        # What was sequenced stays in the index of what waits until that is vacuumed: hours of dead entries to step
        # over before the first living one, twice a second. So a turn looks at the ids of the last hour, and now and
        # then at all of them, for whatever a transaction of yesterday may have left.
        now = time.monotonic()
        all_of_them = now >= self._next_sweep
        since = None if all_of_them else first_id_of(self._provider.clock() - RECENT)
        done = await sequence(self._provider, since=since)
        full = done is not None and done.entries == BATCH
        if all_of_them and not full:
            self._next_sweep = now + SWEEP_SECONDS
        return 0.0 if full else self._interval

    async def _have_cosigned(self) -> float:
        provider = self._provider
        async with leading(provider) as still_leading:
            if still_leading is None:
                return LEADER_PAUSE
            witnessing = Witnessing(
                published=provider.log,
                wire=witness_wire,
                transaction=provider.database.transaction,
                clock=provider.clock,
                interval=self._interval,
            )
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(witnessing.run())
                    group.create_task(still_leading())
            except* LogError as several:
                raise _first(several) from None
        return LEADER_PAUSE


def _first(group: BaseExceptionGroup[LogError]) -> LogError:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


async def sequence(provider: Provider, *, since: str | None = None) -> Sequenced | None:
    """One turn of the sequencer; None when nothing waited or another process is at it."""
    return await sequence_once(
        transaction=provider.database.transaction, log=provider.log, clock=provider.clock, since=since
    )


@asynccontextmanager
async def leading(provider: Provider) -> AsyncIterator[Callable[[], Coroutine[None, None, None]] | None]:
    """Whether this process looks after the witnesses; what it yields then runs until that is no longer so.

    The lock belongs to a connection and to no transaction: a dead process, or a dead connection, frees it. Two that
    both believed to lead would ask the witnesses twice, which harms nothing.
    """
    if provider.database.is_sqlite:
        yield _for_ever
        return
    async with provider.database.reading() as session:
        if not await session.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": WITNESSES_LOCK}):
            yield None
            return

        async def until_the_connection_dies() -> None:
            while True:
                await session.execute(text("SELECT 1"))
                await asyncio.sleep(LEADER_PAUSE)

        try:
            yield until_the_connection_dies
        except BaseException:
            # It may be dead, or in the middle of a statement: closing it frees the lock for certain.
            await session.invalidate()
            raise
        # Or the lock would go back into the pool with the connection.
        await session.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": WITNESSES_LOCK})


async def _for_ever() -> None:
    await asyncio.Event().wait()
