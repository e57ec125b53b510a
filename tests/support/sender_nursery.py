"""Senders of the outbox as processes of their own, forked from one that has imported the provider: born in no time.

with SenderNursery(settings, lease_seconds=1) as nursery:
    sender = nursery.fork()      # sends from now on
    sender.kill()                # SIGKILL, between any two instructions
"""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from idp.settings import Settings
from tests.support.server import ROOT, environment_of


@dataclass
class ForkedSender:
    """One process that sends until it is killed."""

    descriptor: int

    def kill(self) -> None:
        """Ends it, and waits until it is gone."""
        signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
        select.select([self.descriptor], [], [])
        os.close(self.descriptor)


class SenderNursery:
    """The process that forks. It ends, and its senders with it, when its standard input ends."""

    def __init__(self, settings: Settings, *, lease_seconds: float, log: Path) -> None:
        order = {"environment": environment_of(settings), "lease": lease_seconds, "log": str(log)}
        self._order = json.dumps(order).encode() + b"\n"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.sender_nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.communicate()

    def fork(self) -> ForkedSender:
        """Starts a sender."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(self._order)
        self._process.stdin.flush()
        return ForkedSender(os.pidfd_open(int(self._process.stdout.readline())))


async def send_for_ever(lease_seconds: float) -> None:
    """What the sender of a server does, without the server."""
    from datetime import timedelta  # noqa: PLC0415 - in the forked process only

    from idp.deliveries import Sender  # noqa: PLC0415 - likewise
    from idp.provider import Provider  # noqa: PLC0415 - likewise

    provider = await Provider.open(Settings.from_environment())
    sender = Sender(provider, lease=timedelta(seconds=lease_seconds))
    while True:
        await sender.send_due()
        await asyncio.sleep(0.02)


async def warm_up() -> None:
    """Opens a provider once, so that everything is imported that a sender needs."""
    from idp.provider import Provider  # noqa: PLC0415 - once there is an environment

    await (await Provider.open(Settings.from_environment())).close()


def main() -> None:
    """Forks a sender for each line that is read. The kernel reaps them."""
    import idp.deliveries  # noqa: F401, PLC0415 - this import is what the nursery is for

    warm = False
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    children = []
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if not warm:
            os.environ.clear()
            os.environ.update(order["environment"])
            asyncio.run(warm_up())
            warm = True
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (log, 1), (log, 2)):
                os.dup2(source, target)
            asyncio.run(send_for_ever(order["lease"]))
            os._exit(0)
        children.append(os.pidfd_open(child))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for descriptor in children:
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
