"""One `satupintu witness` for a log that a test has, in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from consent.log.vkey import VerifierKey
from tests.support.ports import free_port
from tests.support.server import ROOT


class WitnessProcess:
    """The witness, for as long as the `with` block lasts; `stop` and `start` in between keep its memory."""

    def __init__(self, folder: Path, *, log: VerifierKey, name: str) -> None:
        self.folder = folder / name.replace("/", "-")
        self.url = f"http://127.0.0.1:{free_port()}"
        self.keys: list[VerifierKey] = []
        self._log = log
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it and waits until it serves."""
        assert self._process is None
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "idp", "witness", "--port", self.url.rpartition(":")[2]),
                    *("--log", str(self._log), "--name", self._name),
                    *("--state", str(self.folder / "state"), "--key", str(self.folder / "key")),
                ],
                cwd=ROOT,
                stdout=out,
                stderr=err,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
            )
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            try:
                if httpx2.get(f"{self.url}/x/checkpoint").status_code == 404:
                    break
            except httpx2.TransportError:
                assert self._process.poll() is None, (self.folder / "err").read_text()
                time.sleep(0.05)
        lines = (self.folder / "out").read_text(encoding="utf-8").splitlines()
        self.keys = [VerifierKey.parse(line) for line in lines]

    def stop(self) -> None:
        """Ends it between two instructions."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)
            self._process = None

    @property
    def policy_lines(self) -> str:
        """Its keys as lines of a policy, named `<name>-1`, `<name>-2`."""
        return "".join(
            f"witness {self.folder.name}-{number} {key} {self.url}\n" for number, key in enumerate(self.keys, start=1)
        )
