"""What every test may ask for: a migrated database of its own, a clock to set, the provider, its app and a client."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from xdist.remote import Producer

from idp.app import create_app
from idp.database import Database
from idp.migrate import upgrade
from idp.provider import Provider
from idp.settings import Settings
from keys.entropy import Entropy, SystemEntropy
from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.databases import BOTH, copy_sqlite, postgresql_template, sqlite_template
from tests.support.keyring import install_keys_at
from tests.support.ports import free_port
from tests.support.postgres import PostgresqlServer, postgresql_server, run_apart, unique_name
from tests.support.scheduling import GroupScheduling
from tests.support.server import ServerProcess
from tests.support.server_nursery import ServerNursery
from tests.support.service import Service, run_service
from tests.support.settings import a_vault, settings_for
from tests.support.world import World, make_world


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling | None:
    """Tests of one group go to one worker."""
    return GroupScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


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
    opened = Database(database_url, vault=a_vault(), pool_size=5)
    yield opened
    await opened.dispose()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test lets time pass."""
    return FakeClock()


@pytest.fixture
def entropy() -> Entropy:
    """The system's randomness: what tests assert must not depend on its values."""
    return SystemEntropy()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """The settings of a provider at `https://idp.test`. A test module may override this fixture."""
    return settings_for(database_url, tmp_path)


@pytest.fixture
async def provider(settings: Settings, clock: FakeClock, entropy: Entropy) -> AsyncIterator[Provider]:
    """The provider over the test's database, with signing keys, on the test's clock."""
    await install_keys_at(settings.url)
    opened = await Provider.open(settings, clock=clock, entropy=entropy)
    yield opened
    await opened.close()


@pytest.fixture
def app(settings: Settings, provider: Provider) -> FastAPI:
    """The whole application around `provider`, without the tasks that run by the wall clock."""
    made = create_app(settings, clock=provider.clock, entropy=provider.entropy)
    made.state.provider = provider
    return made


@pytest.fixture
async def client(app: FastAPI, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client of the app with a cookie jar, over no network. A fault in the app is the test's failure."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=settings.issuer) as opened:
        yield opened


@pytest.fixture
async def new_user(app: FastAPI, settings: Settings) -> AsyncIterator[Callable[[], BrowserUser]]:
    """Makes people's browsers: each call another one, with an empty cookie jar."""
    async with AsyncExitStack() as opened:
        made: list[BrowserUser] = []

        def make() -> BrowserUser:
            made.append(BrowserUser.over(httpx2.ASGITransport(app), issuer=settings.issuer))
            opened.push_async_exit(made[-1])
            return made[-1]

        yield make


@pytest.fixture
def user(new_user: Callable[[], BrowserUser]) -> BrowserUser:
    """One person's browser."""
    return new_user()


@pytest.fixture
async def world(app: FastAPI, provider: Provider, clock: FakeClock) -> AsyncIterator[World]:
    """Two ministries with an app each, two citizens and a privacy officer, at the in-process app."""
    async with await make_world(
        provider.database,
        issuer=provider.settings.issuer,
        now=clock(),
        entropy=provider.entropy,
        transport=httpx2.ASGITransport(app),
        clock=clock,
    ) as made:
        yield made


# --- real processes --------------------------------------------------------------------------------------------------


@pytest.fixture
def served_settings(database_url: str, tmp_path: Path) -> Settings:
    """The settings of real server processes: an issuer on loopback. A test module may override this fixture."""
    return settings_for(database_url, tmp_path, issuer=f"http://localhost:{free_port()}")


@pytest.fixture
def served_keys(served_settings: Settings) -> None:
    """Signing keys in the database that servers are about to use."""
    run_apart(lambda: install_keys_at(served_settings.url))


@pytest.fixture
def server(served_settings: Settings, served_keys: None, tmp_path: Path) -> Iterator[ServerProcess]:
    """One real server process, at its issuer's port."""
    port = httpx2.URL(served_settings.issuer).port
    assert port is not None
    with ServerProcess(served_settings, port=port, log=tmp_path / "server.log") as running:
        yield running


@pytest.fixture
def two_processes(
    server: ServerProcess, served_settings: Settings, tmp_path: Path
) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two server processes on one PostgreSQL database; the first is at the issuer's port. Mark: `only_postgresql`."""
    assert not served_settings.url.startswith("sqlite"), "SQLite is for one process: mark the test only_postgresql"
    with ServerProcess(served_settings, port=free_port(), log=tmp_path / "second.log") as second:
        yield server, second


@pytest.fixture(scope="session")
def nursery() -> Iterator[ServerNursery]:
    """Where servers are born quickly: for tests that start and kill many."""
    with ServerNursery() as running:
        yield running


@pytest.fixture
async def service(nursery: ServerNursery, served_settings: Settings, tmp_path: Path) -> AsyncIterator[Service]:
    """Two server processes (on SQLite one) of the nursery on one database, with the little country in it."""
    processes = 1 if served_settings.url.startswith("sqlite") else 2
    async with run_service(nursery, served_settings, tmp_path, processes=processes) as running:
        yield running


@pytest.fixture(scope="module")
async def shared_service(
    nursery: ServerNursery,
    postgresql: PostgresqlServer,
    session_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Service]:
    """Two server processes on one PostgreSQL for all tests of a module, each of which brings citizens of its own."""
    folder = tmp_path_factory.mktemp("shared")
    name = unique_name("shared")
    url = postgresql.create_database(name, template=postgresql_template(postgresql, session_folder, migrated))
    settings = settings_for(url, folder, issuer=f"http://localhost:{free_port()}")
    async with run_service(nursery, settings, folder) as running:
        yield running
    postgresql.drop_database(name)
