"""What every test may ask for: a migrated database of its own, a clock to set, the provider, its app and a client.

Imports of the product wait until a fixture needs them: a test of `keys` runs without the rest.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.clock import FakeClock
from tests.support.databases import BOTH, copy_sqlite, postgresql_template, sqlite_template
from tests.support.postgres import PostgresqlServer, postgresql_server, unique_name

if TYPE_CHECKING:
    from fastapi import FastAPI

    from idp.database import Database
    from idp.provider import Provider
    from idp.settings import Settings
    from keys.entropy import Entropy


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def postgresql(session_folder: Path) -> Iterator[PostgresqlServer]:
    """The session's PostgreSQL server, started when the first test needs it."""
    with postgresql_server(session_folder / "postgresql") as server:
        yield server


async def migrated(url: str) -> None:
    """What a template holds: the newest schema, no rows."""
    from idp.migrate import upgrade

    await upgrade(url)


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, session_folder: Path, tmp_path: Path) -> Iterator[str]:
    """A freshly migrated database of the test's own, on SQLite and then on PostgreSQL.

    `tests.support.databases` has `only_sqlite` and `only_postgresql` for tests that make sense on one.
    """
    if request.param == "sqlite":
        yield copy_sqlite(sqlite_template(session_folder, migrated), tmp_path)
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    name = unique_name("test")
    yield server.create_database(name, template=postgresql_template(server, session_folder, migrated))
    server.drop_database(name)


@pytest.fixture(params=BOTH)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a single table, on SQLite and then on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    name = unique_name("empty")
    yield server.create_database(name)
    server.drop_database(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The test's database, opened."""
    from idp.database import Database

    opened = Database(database_url, pool_size=5)
    yield opened
    await opened.dispose()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test lets time pass."""
    return FakeClock()


@pytest.fixture
def entropy() -> Entropy:
    """The system's randomness: what tests assert must not depend on its values."""
    from keys.entropy import SystemEntropy

    return SystemEntropy()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """The settings of a provider at `https://idp.test`. A test module may override this fixture."""
    from tests.support.settings import settings_for

    return settings_for(database_url, tmp_path)


@pytest.fixture
async def provider(settings: Settings, clock: FakeClock, entropy: Entropy) -> AsyncIterator[Provider]:
    """The provider over the test's database, with signing keys, on the test's clock."""
    from idp.database import Database
    from idp.provider import Provider
    from tests.support.keyring import install_keys

    preparing = Database(settings.url, pool_size=1)
    await install_keys(preparing)
    await preparing.dispose()
    opened = await Provider.open(settings, clock=clock, entropy=entropy)
    yield opened
    await opened.close()


@pytest.fixture
def app(settings: Settings, provider: Provider) -> FastAPI:
    """The whole application around `provider`, without the tasks that run by the wall clock."""
    from idp.app import create_app

    made = create_app(settings, clock=provider.clock, entropy=provider.entropy)
    made.state.provider = provider
    return made


@pytest.fixture
async def client(app: FastAPI, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client of the app with a cookie jar, over no network. A fault in the app is the test's failure."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=settings.issuer) as opened:
        yield opened
