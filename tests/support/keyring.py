"""Signing keys for tests: made once by each worker, because RSA keys take their time, and copied into each database."""

import functools
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Table, insert, select

from idp.clock import system_clock
from idp.database import Database
from idp.migrate import upgrade
from idp.settings import Settings
from idp.setup import prepare_keys
from keys.entropy import SystemEntropy
from keys.models import Base
from tests.support.databases import sqlite_url
from tests.support.postgres import run_apart
from tests.support.settings import a_vault, settings_for

Rows = list[tuple[Table, list[dict[str, Any]]]]


async def install_keys_at(url: str) -> None:
    """Puts the worker's keys into a migrated database that has none."""
    database = Database(url, vault=a_vault(), pool_size=1)
    try:
        async with database.transaction() as session:
            for table, values in prepared_rows():
                if values:
                    await session.execute(insert(table), values)
    finally:
        await database.dispose()


@functools.cache
def prepared_rows() -> Rows:
    """Every row that `satupintu db upgrade` makes in the tables of `keys`."""
    with tempfile.TemporaryDirectory() as folder:
        return run_apart(lambda: _prepare(settings_for(sqlite_url(Path(folder) / "keys.db"), Path(folder))))


async def _prepare(settings: Settings) -> Rows:
    await upgrade(settings.url)
    database = Database(settings.url, vault=a_vault())
    try:
        await prepare_keys(database, settings, now=system_clock(), entropy=SystemEntropy())
        async with database.reading() as session:
            return [
                (table, [dict(row) for row in (await session.execute(select(table))).mappings()])
                for table in Base.metadata.sorted_tables
            ]
    finally:
        await database.dispose()
