"""Stops a PostgreSQL transaction exactly at one of its writes, or in the middle of its COMMIT, from outside.

A trigger waits for a lock that the test holds. Nothing in the product knows of it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

LOCK = 5309
COMMIT = "commit"
WITHIN_SECONDS = 20

_FUNCTION = f"""
CREATE OR REPLACE FUNCTION stall_here() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN NEW; END $$
"""
_WAITING = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND NOT granted"
_STILL_THERE = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1::int[])"


class Stall:
    """Whoever writes to the table waits, until `let_go`."""

    def __init__(self, connection: Any, table: str) -> None:
        self._connection = connection
        self._table = table
        self._held: list[int] = []

    async def reached(self, work: asyncio.Task[Any]) -> None:
        """Waits until somebody waits. Error: `AssertionError` when `work` ended without writing to the table."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while not self._held:
            assert not work.done(), f"{self._table} was not written: {work!r}"
            assert time.monotonic() < deadline, f"nobody came to write to {self._table}"
            await asyncio.sleep(0.01)
            self._held = [row["pid"] for row in await self._connection.fetch(_WAITING)]

    async def let_go(self) -> None:
        """Lets the database go on with what is left of a killed server's work, and waits until that is over."""
        await self._connection.execute("SELECT pg_advisory_unlock_all()")
        deadline = time.monotonic() + WITHIN_SECONDS
        while await self._connection.fetchval(_STILL_THERE, self._held):
            assert time.monotonic() < deadline, "the killed server's connection did not end"
            await asyncio.sleep(0.01)


@asynccontextmanager
async def stalling(url: str, table: str, *, at_commit: bool = False) -> AsyncIterator[Stall]:
    """Stalls writes to a table, each before it happens; or `at_commit`, when all of the transaction is written."""
    connection = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        await connection.execute(_FUNCTION)
        await connection.execute(f"SELECT pg_advisory_lock({LOCK})")
        when = "AFTER INSERT OR UPDATE" if at_commit else "BEFORE INSERT OR UPDATE"
        kind, deferred = ("CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED") if at_commit else ("TRIGGER", "")
        await connection.execute(
            f"CREATE {kind} stall {when} ON {table} {deferred} FOR EACH ROW EXECUTE FUNCTION stall_here()"
        )
        try:
            yield Stall(connection, table)
        finally:
            await connection.execute("SELECT pg_advisory_unlock_all()")
            await connection.execute(f"DROP TRIGGER stall ON {table}")
    finally:
        await connection.close()


@asynccontextmanager
async def failing(url: str, table: str, *, at_commit: bool = True) -> AsyncIterator[None]:
    """Makes the COMMIT of every transaction that wrote to the table fail; or else the write itself."""
    connection = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        await connection.execute(
            "CREATE OR REPLACE FUNCTION fail_here() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'; END $$"
        )
        kind, deferred = ("CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED") if at_commit else ("TRIGGER", "")
        await connection.execute(
            f"CREATE {kind} fail AFTER INSERT OR UPDATE ON {table} {deferred} FOR EACH ROW EXECUTE FUNCTION fail_here()"
        )
        try:
            yield
        finally:
            await connection.execute(f"DROP TRIGGER fail ON {table}")
    finally:
        await connection.close()
