"""Brings a database's tables up to date, checks that they are, and takes them down again.

Alembic is configured here and nowhere else; there is no `alembic.ini`. Every change is one transaction on both
databases, and one process at a time makes it: the others wait, and then find nothing left to do.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

import migrations
from idp.schema import METADATA
from keys.columns import Id, Json, UtcDateTime

LOCK = 0x5A7D_0001


async def upgrade(url: str, *, to: str = "head") -> str:
    """Brings the database to a revision, by default the newest, and returns which. Makes SQLite's folder too."""
    _make_folder(url)
    await _run(url, lambda config: command.upgrade(config, to))
    return ", ".join(await current(url))


async def current(url: str) -> tuple[str, ...]:
    """The database's revisions: none when it is empty, one otherwise."""
    async with _connected(url) as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_heads())


async def downgrade(url: str, *, to: str = "base") -> None:
    """Takes the database back to a revision, by default to nothing. Data in dropped tables is lost."""
    await _run(url, lambda config: command.downgrade(config, to))


async def revise(url: str, *, message: str, revision_id: str) -> None:
    """Writes a new revision from the difference between the database and the metadata; to be read before use."""

    def write(config: Config) -> None:
        command.revision(config, message, autogenerate=True, rev_id=revision_id)

    await _run(url, write)


async def check(url: str) -> list[str]:
    """In which ways the database is not what the code expects: nothing when all is well."""
    async with _connected(url) as connection:
        return await connection.run_sync(_differences)


async def check_revision(url: str) -> str:
    """How the database's revision is not the code's; empty when it is. Cheap enough for every start of a server."""
    async with _connected(url) as connection:
        return await connection.run_sync(lambda sync: _behind(MigrationContext.configure(sync)))


def _differences(connection: Connection) -> list[str]:
    context = MigrationContext.configure(connection, opts=comparison(connection))
    if behind := _behind(context):
        return [behind]
    # Alembic takes several metadata objects here as everywhere; its annotation says one.
    return [repr(difference) for difference in compare_metadata(context, cast("MetaData", list(METADATA)))]


def _behind(context: MigrationContext) -> str:
    expected = ScriptDirectory.from_config(_config()).get_heads()
    found = context.get_current_heads()
    if set(found) == set(expected):
        return ""
    return f"the database is at {', '.join(found) or 'nothing'}, the code expects {', '.join(expected)}"


def comparison(connection: Connection) -> dict[str, Any]:
    """How tables are compared and changed, the same for checking and for migrating."""
    return {
        "target_metadata": list(METADATA),
        "compare_type": True,
        "compare_server_default": True,
        # SQLite cannot alter a column: its tables are copied instead.
        "render_as_batch": connection.dialect.name == "sqlite",
        # Alembic believes that SQLite has no transactional DDL. It has, when the driver does not commit by itself.
        "transactional_ddl": True,
        "render_item": _render_type,
    }


def _render_type(kind: str, item: object, context: AutogenContext) -> str | Literal[False]:
    """Writes the project's own column types by their names, so that a revision means the same on both databases."""
    if kind == "type":
        for name, matches in (
            ("Id", item is Id),
            ("Json", item is Json),
            ("UtcDateTime", isinstance(item, UtcDateTime)),
        ):
            if matches:
                context.imports.add(f"from keys.columns import {name}")
                return name
    return False


async def _run(url: str, work: Callable[[Config], None]) -> None:
    async with _connected(url) as connection:
        await connection.run_sync(lambda sync: work(_config(sync)))


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[AsyncConnection]:
    engine = _engine(url)
    try:
        async with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield connection
    finally:
        await engine.dispose()


def _engine(url: str) -> AsyncEngine:
    engine = create_async_engine(url)
    if not url.startswith("sqlite"):
        return engine

    @event.listens_for(engine.sync_engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        # Copying a table drops the old one, which would cascade to the rows that point at it.
        for pragma in ("journal_mode=WAL", "foreign_keys=OFF", "busy_timeout=30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _make_folder(url: str) -> None:
    prefix, _, path = url.partition(":///")
    if prefix.startswith("sqlite") and path and not path.startswith(":memory:"):
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
