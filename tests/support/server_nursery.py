"""Server processes that are born quickly: forked from one that has imported the provider, and done nothing else.

What runs is `satupintu serve`, in a process of its own, in an environment of its own; only the second or two of
importing is done once for all. Tests that kill a server dozens of times start their servers here.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from idp.settings import Settings
from tests.support.server import ROOT, ServerProcess, environment_of


class ServerNursery:
    """The process that forks. It ends, and its servers with it, when its standard input ends, however that happens."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.server_nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.communicate()

    def fork(self, settings: Settings, *, port: int, log: Path) -> int:
        """Starts a server and returns its process id. It is not ready yet."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"environment": environment_of(settings), "port": port, "log": str(log)}
        with self._one_at_a_time:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())


class NurseryServer(ServerProcess):
    """A server of the nursery, with the manners of any other."""

    def __init__(self, nursery: ServerNursery, settings: Settings, *, port: int, log: Path) -> None:
        super().__init__(settings, port=port, log=log)
        self._nursery = nursery
        self._pid: int | None = None
        self._pidfd = -1

    @property
    def pid(self) -> int:
        """The running process's id."""
        assert self._pid is not None
        return self._pid

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not ended since."""
        return self._pid is not None

    def start(self) -> None:
        """Starts the process and waits until it answers that it is ready."""
        assert self._pid is None, "it runs already"
        self._pid = self._nursery.fork(self.settings, port=self.port, log=self._log)
        self._pidfd = os.pidfd_open(self._pid)
        try:
            self._await_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ends the process. Whether a server heeds SIGTERM is another test's question."""
        self.kill()

    def kill(self) -> None:
        """Ends the process between two instructions, and waits until it is gone."""
        if self._pid is None:
            return
        if not self._has_ended():
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            select.select([self._pidfd], [], [])
        os.close(self._pidfd)
        self._pid = None

    def _has_ended(self) -> bool:
        # The descriptor of a process becomes readable with its end; its number may be somebody else's by then.
        return bool(select.select([self._pidfd], [], [], 0)[0])


def main() -> None:
    """Forks a server for each line that is read. The kernel reaps them, so that a process id that is gone is gone."""
    import idp.asgi  # noqa: F401, PLC0415 - this import is what the nursery is for
    from idp.cli.serve import serve  # noqa: PLC0415 - likewise

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    children = []
    for line in sys.stdin.buffer:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.environ.clear()
            os.environ.update(order["environment"])
            log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (log, 1), (log, 2)):
                os.dup2(source, target)
            serve(host="127.0.0.1", port=order["port"], workers=1)
            os._exit(0)
        children.append(os.pidfd_open(child))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for child in children:
        try:
            signal.pidfd_send_signal(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
