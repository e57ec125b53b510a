"""A throw-away PostgreSQL server for one test session, shared by its workers and never left running.

`TEST_POSTGRESQL_URL` names a server to use instead (its user must be allowed to create databases).
"""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.engine import URL, make_url

Result = TypeVar("Result")

SUPERUSER = "satupintu"


class PostgresqlMissing(Exception):
    """No PostgreSQL server programs on this machine."""


@dataclass(frozen=True)
class PostgresqlServer:
    """A running server. Databases are made from a template, which takes tens of milliseconds."""

    maintenance: URL

    def url(self, database: str) -> str:
        """The address of a database, for `Settings.database_url`."""
        return self.maintenance.set(database=database).render_as_string(hide_password=False)

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """Makes a database and returns its address."""
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drops a database, whoever is still connected."""
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def has_database(self, name: str) -> bool:
        """Whether the database exists."""
        return bool(self._execute("SELECT 1 FROM pg_database WHERE datname = $1", name))

    def _execute(self, statement: str, *arguments: str) -> list[Any]:
        async def run() -> list[Any]:
            address = self.maintenance.set(drivername="postgresql").render_as_string(hide_password=False)
            connection = await asyncpg.connect(address)
            try:
                return list(await connection.fetch(statement, *arguments))
            finally:
                await connection.close()

        return run_apart(run)


def run_apart(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Runs a coroutine to its end in a thread of its own, so that it does not matter whether a loop runs here."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(asyncio.run(work()))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=target, name="run-apart")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def postgresql_server(shared: Path, *, durable: bool = False) -> Iterator[PostgresqlServer]:
    """A server for as long as the block lasts, the same one for every process that names the same folder.

    `durable` keeps fsync on, for tests that pull the plug. Error: `PostgresqlMissing`.
    """
    if given := os.environ.get("TEST_POSTGRESQL_URL"):
        yield PostgresqlServer(make_url(given).set(drivername="postgresql+asyncpg"))
        return
    shared.mkdir(parents=True, exist_ok=True)
    pipe = _join_or_start(shared, durable=durable)
    try:
        port = int((shared / "port").read_text(encoding="ascii"))
        yield PostgresqlServer(
            URL.create("postgresql+asyncpg", SUPERUSER, host="127.0.0.1", port=port, database="postgres")
        )
    finally:
        os.close(pipe)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process of the session at a time."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _join_or_start(shared: Path, *, durable: bool) -> int:
    with locked(shared / "lock"):
        pipe_path = shared / "users"
        if not pipe_path.exists():
            os.mkfifo(pipe_path, 0o600)
        try:
            # Without a keeper at its other end this fails: then there is no server either.
            return os.open(pipe_path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return _start(shared, pipe_path, durable=durable)


def _start(shared: Path, pipe_path: Path, *, durable: bool) -> int:
    binaries = server_binaries()
    read_end = os.open(pipe_path, os.O_RDONLY | os.O_NONBLOCK)
    write_end = os.open(pipe_path, os.O_WRONLY | os.O_NONBLOCK)
    command = [sys.executable, "-m", "tests.support.postgres_keeper", str(read_end), str(shared.resolve())]
    try:
        started = subprocess.run(
            [*command, str(binaries), "durable" if durable else "fast"],
            cwd=Path(__file__).parents[2],
            pass_fds=(read_end,),
            # Of its own session, so that Ctrl-C ends the tests first and the server after them.
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    finally:
        os.close(read_end)
    if started.returncode != 0:
        os.close(write_end)
        raise RuntimeError(started.stdout)
    return write_end


def server_binaries() -> Path:
    """The folder with `initdb`, `postgres` and `pg_ctl`, the newest when there are several.

    Error: `PostgresqlMissing`.
    """
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    for folder in reversed(folders):
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise PostgresqlMissing("PostgreSQL is missing: run .ci/system-packages, or set TEST_POSTGRESQL_URL")


def unique_name(prefix: str) -> str:
    """A database name that no other test, worker or session uses."""
    return f"{prefix}_{uuid.uuid4().hex[:12]}"
