"""The tables that migrations make are the tables that the code expects, on both databases, up and down."""

import asyncio
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import CheckConstraint, MetaData, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase

import consent
import idp
import keys
from idp import migrate
from idp.schema import METADATA

pytestmark = pytest.mark.anyio

PACKAGES = {"keys": keys, "consent": consent, "idp": idp}


async def tables(url: str) -> set[str]:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()
    return set(names)


async def checks(url: str) -> dict[str, set[str | None]]:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = await connection.run_sync(
            lambda sync: {
                table: {check["name"] for check in inspect(sync).get_check_constraints(table)}
                for table in inspect(sync).get_table_names()
            }
        )
    await engine.dispose()
    return found


async def test_a_migrated_database_is_what_the_code_expects(database_url: str) -> None:
    assert await migrate.check(database_url) == []


async def test_migrating_twice_changes_nothing(database_url: str) -> None:
    before = await tables(database_url)
    assert await migrate.upgrade(database_url) == (await migrate.current(database_url))[0]
    assert await tables(database_url) == before


async def test_every_revision_goes_up_and_down_again(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url)
    assert {table for metadata in METADATA for table in metadata.tables} <= await tables(empty_database_url)
    await migrate.downgrade(empty_database_url)
    assert await tables(empty_database_url) == {"alembic_version"}
    await migrate.upgrade(empty_database_url)
    assert await migrate.check(empty_database_url) == []


async def test_an_empty_database_is_reported_as_behind(empty_database_url: str) -> None:
    assert "nothing" in (await migrate.check(empty_database_url))[0]


async def test_a_column_that_the_code_does_not_know_is_reported(database_url: str) -> None:
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE idp_accounts ADD COLUMN stray INTEGER"))
    await engine.dispose()
    assert "stray" in " ".join(await migrate.check(database_url))


async def test_the_database_refuses_the_same_values_as_the_code(database_url: str) -> None:
    """Alembic's comparison leaves CHECK constraints out, so they are compared here by name."""
    found = await checks(database_url)
    for metadata in METADATA:
        for table in metadata.sorted_tables:
            expected = {one.name for one in table.constraints if isinstance(one, CheckConstraint)}
            assert found[table.name] == expected, table.name


async def test_a_failed_migration_leaves_nothing_behind(empty_database_url: str) -> None:
    """One transaction on SQLite too, where Alembic by itself would not have one."""
    last = METADATA[-1].sorted_tables[-1].name
    engine = create_async_engine(empty_database_url)
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE TABLE {last} (id INTEGER)"))
    await engine.dispose()
    with pytest.raises(DBAPIError, match="already exists"):
        await migrate.upgrade(empty_database_url)
    assert await tables(empty_database_url) == {last}


async def test_processes_that_migrate_at_once_wait_for_each_other(empty_database_url: str) -> None:
    await asyncio.gather(*(migrate.upgrade(empty_database_url) for _ in range(4)))
    assert await migrate.check(empty_database_url) == []


@pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)
def test_no_table_is_forgotten_in_the_schema(package: ModuleType) -> None:
    """Every module of the package is imported, and no table turns up that `idp.schema` did not already know."""
    known = {id(table) for metadata in METADATA for table in metadata.tables.values()}
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    bases = [
        base for base in DeclarativeBase.__subclasses__() if base.__module__.split(".")[0] in {"keys", "consent", "idp"}
    ]
    metadata: list[MetaData] = [base.metadata for base in bases]
    assert {id(table) for one in metadata for table in one.tables.values()} == known


def test_no_consent_table_points_at_an_account() -> None:
    """Evidence outlives accounts, and the consent registry can be moved to a database of its own."""
    _keys, consent_metadata, idp_metadata = METADATA
    targets = {
        key.target_fullname.split(".")[0] for table in consent_metadata.tables.values() for key in table.foreign_keys
    }
    assert targets.isdisjoint(idp_metadata.tables)


def test_revisions_form_one_line() -> None:
    """Two heads would let two releases disagree about what comes next."""
    folder = Path(migrate.__file__).parents[1] / "migrations" / "versions"
    numbers = sorted(path.name[:4] for path in folder.glob("*.py"))
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
