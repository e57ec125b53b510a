"""What a server process does for the log by itself."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from consent.log.entries import append, entry_of
from consent.log.entry import Kind
from consent.log.store import head_of, set_halted
from idp.log_process import WITNESSES_LOCK, LogProcess, leading
from idp.provider import Provider
from idp.settings import Settings
from keys.entropy import SystemEntropy, new_row_id
from tests.support.clock import FakeClock
from tests.support.databases import only_postgresql

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As elsewhere, with a log that is in a hurry."""
    return settings.model_copy(update={"log_interval_ms": 20})


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 20
    while not await true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def write_entries(provider: Provider, count: int) -> None:
    now = provider.clock()
    key = provider.database.vault.nobodys
    async with provider.database.transaction() as session:
        ids = [new_row_id(SystemEntropy(), now) for _ in range(count)]
        await append(session, [entry_of(Kind.AGENCY, one, {"id": one}, key, at=now) for one in ids])


async def size_is(provider: Provider, size: int) -> bool:
    async with provider.database.reading() as session:
        head = await head_of(session)
    return head is not None and head.size == size


async def test_what_is_appended_is_in_the_log_a_moment_later(provider: Provider) -> None:
    async with LogProcess(provider):
        await until(lambda: size_is(provider, 0))
        await write_entries(provider, 5)
        await until(lambda: size_is(provider, 5))
        await write_entries(provider, 2)
        await until(lambda: size_is(provider, 7))
    assert (await provider.log.served()).size == 7


async def test_a_log_that_is_stopped_is_told_once_and_goes_on_when_it_is_let(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idp.log_process.STOPPED_PAUSE", 0.02)
    async with LogProcess(provider):
        await until(lambda: size_is(provider, 0))
        async with provider.database.transaction() as session:
            await set_halted(session, "a witness knows more", now=provider.clock())
        with capture_logs() as told:
            await write_entries(provider, 1)
            await asyncio.sleep(0.3)
            async with provider.database.transaction() as session:
                await set_halted(session, None, now=provider.clock())
            await until(lambda: size_is(provider, 1))
    stopped = [one for one in told if one["event"] == "log_stopped"]
    assert len(stopped) == 1
    assert stopped[0]["log_level"] == "critical"
    assert "a witness knows more" in stopped[0]["why"]


async def test_a_database_that_goes_away_for_a_while_ends_no_task(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 0

    async def broken(_provider: Provider, **_options: object) -> None:
        nonlocal failures
        failures += 1
        raise OSError("no route to the database")

    with monkeypatch.context() as patched:
        patched.setattr("idp.log_process.sequence", broken)
        async with LogProcess(provider):
            with capture_logs():
                await until(lambda: asyncio.sleep(0, failures >= 2))
            patched.undo()
            await write_entries(provider, 3)
            await until(lambda: size_is(provider, 3))


@only_postgresql
async def test_one_process_at_a_time_looks_after_the_witnesses(provider: Provider) -> None:
    async with leading(provider) as first:
        assert first is not None
        async with leading(provider) as second:
            assert second is None
    async with leading(provider) as third:
        assert third is not None


@only_postgresql
async def test_whose_connection_dies_leads_no_more_and_knows_it(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idp.log_process.LEADER_PAUSE", 0.02)

    async def lead() -> None:
        async with leading(provider) as still_leading:
            assert still_leading is not None
            await still_leading()

    leader = asyncio.create_task(lead())
    await asyncio.sleep(0.3)
    ended = text(
        "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        " WHERE l.locktype = 'advisory' AND l.objid = :lock AND d.datname = current_database()"
    )
    async with provider.database.reading() as session:
        assert (await session.execute(ended, {"lock": WITNESSES_LOCK})).all()
    with pytest.raises(DBAPIError):
        await leader
    async with leading(provider) as successor:
        assert successor is not None


async def test_an_entry_of_yesterday_gets_its_place_as_well(
    provider: Provider, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn looks at the last hour alone; every now and then one looks at everything."""
    monkeypatch.setattr("idp.log_process.SWEEP_SECONDS", 0.5)
    now = clock()
    async with LogProcess(provider):
        await until(lambda: size_is(provider, 0))
        clock.set(now - timedelta(days=1))
        await write_entries(provider, 2)
        clock.set(now)
        await write_entries(provider, 1)
        await until(lambda: size_is(provider, 3))
