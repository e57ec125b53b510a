"""A throw-away PostgreSQL server for one test session, shared by its workers and never left running.

`TEST_POSTGRESQL_URL` names a server to use instead (its user must be allowed to create databases).
"""

import asyncio
import fcntl
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
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
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "synchronous_commit": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "timezone": "UTC",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


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
    user = unprivileged_user()
    # A short path, for the name of a unix socket may be 107 bytes long and pytest's folders are deep.
    cluster = Path(tempfile.mkdtemp(prefix="satupintu-pg-", dir="/tmp"))
    read_end = os.open(pipe_path, os.O_RDONLY | os.O_NONBLOCK)
    write_end = os.open(pipe_path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        port = _start_server(binaries, cluster, user=user, durable=durable)
        subprocess.run(
            [
                *(sys.executable, "-m", "tests.support.postgres_keeper"),
                *(str(read_end), str(shared / "lock"), str(cluster)),
                *(str(os.getuid() if user is None else user.pw_uid), str(binaries / "pg_ctl")),
            ],
            cwd=Path(__file__).parents[2],
            pass_fds=(read_end,),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        (shared / "port").write_text(str(port), encoding="ascii")
    except BaseException:
        os.close(write_end)
        if (cluster / "data" / "postmaster.pid").exists():
            _run([binaries / "pg_ctl", "stop", "-D", cluster / "data", "-m", "immediate", "-w"], user=user)
        shutil.rmtree(cluster, ignore_errors=True)
        raise
    finally:
        os.close(read_end)
    return write_end


def _start_server(
    binaries: Path, cluster: Path, *, user: pwd.struct_passwd | None, durable: bool, attempts: int = 5
) -> int:
    data = cluster / "data"
    if user is not None:
        os.chown(cluster, user.pw_uid, user.pw_gid)
    _run(
        [
            *(binaries / "initdb", "--pgdata", data, "--username", SUPERUSER, "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C", "--no-instructions"),
            *(() if durable else ("--no-sync",)),
        ],
        user=user,
    )
    settings = {**SETTINGS, **({} if durable else NOT_DURABLE), "unix_socket_directories": str(cluster)}
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    for attempt in range(attempts):
        port = free_port()
        try:
            _run(
                [
                    *(binaries / "pg_ctl", "start", "--pgdata", data, "--wait", "--timeout", "60"),
                    *("--log", cluster / "server.log", "--options", f"{options} -p {port}"),
                ],
                user=user,
            )
        except RuntimeError:
            # Somebody else took the port between our look and our start.
            if attempt == attempts - 1:
                raise
        else:
            return port
    raise AssertionError("unreachable")


def _run(command: list[Any], *, user: pwd.struct_passwd | None) -> None:
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(part) for part in command],
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            # A file and not a pipe: the server would keep a pipe open, and reading it would never end.
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{command[0]} failed: {output.read().decode(errors='replace')}")


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


def unprivileged_user() -> pwd.struct_passwd | None:
    """Whom the server runs as. PostgreSQL refuses to run as root; anybody else runs it as themselves."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def free_port() -> int:
    """A port of this machine that nobody listens on just now, and that no outgoing connection is given."""
    while True:
        port = 20000 + secrets.randbelow(12000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def unique_name(prefix: str) -> str:
    """A database name that no other test, worker or session uses."""
    return f"{prefix}_{uuid.uuid4().hex[:12]}"
