"""Sequencers in processes of their own, forked from one that has imported everything. Made to be killed."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.clock import FakeClock
from tests.support.server import ROOT


class Sequencers:
    """The process that forks them. It ends, and they with it, when its standard input ends, however that happens."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.concurrency.sequencers", self._url],
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

    def start(self, folder: Path, *, limit: int = 64, dies: str = "") -> "Sequencer":
        """One more sequencer, whose guard's file is in `folder`. `dies` names a step at which it kills itself."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"folder": str(folder), "limit": limit, "dies": dies}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return Sequencer(int(self._process.stdout.readline()), folder)


class Sequencer:
    """One running sequencer."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pidfd = os.pidfd_open(pid)
        self._at_work = folder / f"at-work-{pid}"

    def kill(self) -> None:
        """Ends it between two instructions, and waits until it is gone."""
        if not self.has_ended():
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            select.select([self._pidfd], [], [])

    def has_ended(self) -> bool:
        """Whether it is gone."""
        return bool(select.select([self._pidfd], [], [], 0)[0])

    async def works(self) -> None:
        """Waits until it has reached the database, and so is about to sequence."""
        deadline = time.monotonic() + 20
        while not self._at_work.exists():
            assert time.monotonic() < deadline, "it does not begin"
            await asyncio.sleep(0.002)

    async def end(self, *, within: float = 20) -> None:
        """Waits until it is gone."""
        deadline = time.monotonic() + within
        while not self.has_ended():
            assert time.monotonic() < deadline, "it lives on"
            await asyncio.sleep(0.01)

    def __del__(self) -> None:
        os.close(self._pidfd)


def die(*_: Any) -> None:
    """What a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(step: str) -> None:
    """Arms one step outside the database. Those inside it are the database's to stop at."""
    from consent.log.guard import Guard  # noqa: PLC0415 - in the child alone

    written = Guard._write

    def written_and_dead(guard: Guard, content: bytes) -> None:
        written(guard, content)
        die()

    steps: dict[str, Callable[[], None]] = {
        "before the file": lambda: setattr(Guard, "advance", die),
        "in the file": lambda: setattr(os, "fsync", die),
        "before the rename": lambda: setattr(Path, "replace", die),
        "after the file": lambda: setattr(Guard, "_write", written_and_dead),
    }
    steps[step]()


class WallClock(FakeClock):
    """The true time."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


def _at_work(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"at-work-{os.getpid()}").touch()


async def _run(url: str, folder: Path, limit: int) -> None:
    from consent.log.errors import LogError  # noqa: PLC0415 - imported before the fork, by `main`
    from consent.log.store import head_of  # noqa: PLC0415 - likewise
    from idp.database import Database  # noqa: PLC0415 - likewise
    from tests.consent.log.running import open_log  # noqa: PLC0415 - likewise
    from tests.support.settings import a_vault  # noqa: PLC0415 - likewise

    log = open_log(Database(url, vault=a_vault(), pool_size=2), folder, WallClock())
    async with log.published.reading() as session:
        await head_of(session)
    await asyncio.to_thread(_at_work, folder)
    while True:
        try:
            if await log.sequence(limit=limit) is None:
                await asyncio.sleep(0.002)
        except LogError as refused:
            sys.stderr.write(f"sequencer: {refused}\n")
            await asyncio.sleep(0.01)


def main() -> None:
    """Forks a sequencer for each line that is read."""
    import idp.running_log  # noqa: F401, PLC0415 - what the children would each import for a second
    import tests.consent.log.running  # noqa: F401, PLC0415 - likewise

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    children = []
    for line in sys.stdin.buffer:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            if order["dies"]:
                _die_at(order["dies"])
            asyncio.run(_run(sys.argv[1], Path(order["folder"]), order["limit"]))
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
