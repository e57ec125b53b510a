"""Owns a throw-away PostgreSQL server: starts it, and stops it once nobody uses it any more, however its users ended.

Every process that uses the server holds the write end of one named pipe. The kernel closes that end when the process
ends, also by SIGKILL, so "end of file" here means: no user is left. No list of process ids, nothing to poll. Should the
keeper itself be killed, the kernel tells the server to quit.
"""

import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, BinaryIO

from tests.support.ports import free_port

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
READY = "ready"
ATTEMPTS = 5
READY_WITHIN_SECONDS = 60
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Arguments: the pipe's descriptor, the shared folder, the programs' folder, `durable` or `fast`.

    The parent ends when the server is ready (its port is in the shared folder) or has failed (and says why).
    """
    pipe, shared, binaries, manner = int(arguments[0]), Path(arguments[1]), Path(arguments[2]), arguments[3]
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        answer = os.fdopen(told, "rb").read().decode()
        sys.exit(0 if answer == READY else answer or "the keeper ended early")
    os.close(told)
    # Opened now: the folder may be gone when the last user is.
    with (shared / "lock").open("rb") as lock:
        server = Server(binaries, durable=manner == "durable")
        try:
            try:
                server.start()
                (shared / "port").write_text(str(server.port), encoding="ascii")
            except Exception as error:
                os.write(tell, f"PostgreSQL did not start: {error}".encode())
                raise
            os.write(tell, READY.encode())
            os.close(tell)
            _silence()
            wait_until_unused(pipe, lock)
        finally:
            server.stop()


def wait_until_unused(pipe: int, lock: BinaryIO) -> None:
    """Returns with the lock held, so that nobody joins a server that is about to stop."""
    while True:
        os.set_blocking(pipe, True)
        while os.read(pipe, 512):
            pass
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_blocking(pipe, False)
        try:
            if not os.read(pipe, 512):
                os.close(pipe)
                return
        except BlockingIOError:
            pass  # Somebody came meanwhile.
        fcntl.flock(lock, fcntl.LOCK_UN)


def _silence() -> None:
    """Lets go of the session's output, which would otherwise stay open as long as the server runs."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


class Server:
    """One cluster in a folder of its own, and the server on it."""

    def __init__(self, binaries: Path, *, durable: bool) -> None:
        self.port = 0
        self._binaries = binaries
        self._durable = durable
        self._user = unprivileged_user()
        # A short path, for the name of a unix socket may be 107 bytes long and pytest's folders are deep.
        self._folder = Path(tempfile.mkdtemp(prefix="satupintu-pg-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Makes the cluster and starts the server. Error: `RuntimeError` with what PostgreSQL said."""
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        made = subprocess.run(
            [
                *(str(self._binaries / "initdb"), "--pgdata", str(self._folder / "data"), "--username", SUPERUSER),
                *("--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-instructions"),
                *(() if self._durable else ("--no-sync",)),
            ],
            **self._apart(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if made.returncode != 0:
            raise RuntimeError(made.stdout.decode(errors="replace"))
        for _ in range(ATTEMPTS):
            self.port = free_port()
            if self._started():
                return
        raise RuntimeError(self._log().read_text(encoding="utf-8", errors="replace")[-3000:])

    def stop(self) -> None:
        """Ends the server at once and deletes the cluster: nothing in it is worth a checkpoint."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _started(self) -> bool:
        settings = {
            **SETTINGS,
            **({} if self._durable else NOT_DURABLE),
            "port": str(self.port),
            "unix_socket_directories": str(self._folder),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log().open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), *options],
                **self._apart(),
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=quit_with_parent,  # noqa: PLW1509 - the keeper has one thread
            )
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                # Most likely somebody else took the port between our look and our start.
                self._process = None
                return False
            if self._is_ready():
                return True
            time.sleep(0.01)
        raise RuntimeError("PostgreSQL is not ready in time")

    def _is_ready(self) -> bool:
        try:
            lines = (self._folder / "data" / "postmaster.pid").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return False
        # The eighth line is what pg_ctl itself waits for.
        return len(lines) > 7 and lines[7].strip() == "ready"

    def _log(self) -> Path:
        return self._folder / "server.log"

    def _apart(self) -> dict[str, Any]:
        user = self._user
        return {
            "user": None if user is None else user.pw_uid,
            "group": None if user is None else user.pw_gid,
            "extra_groups": None if user is None else [],
            "cwd": "/",
            "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            "stdin": subprocess.DEVNULL,
        }


def unprivileged_user() -> pwd.struct_passwd | None:
    """Whom the server runs as. PostgreSQL refuses to run as root; anybody else runs it as themselves."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def quit_with_parent() -> None:
    """In the server's process, before it is one: has the kernel quit it when the keeper dies. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


if __name__ == "__main__":
    main(sys.argv[1:])
