"""Real server processes of the provider, on loopback, ended by their process id.

async def test_…(two_processes: tuple[ServerProcess, ServerProcess], database: Database) -> None:
    first, second = two_processes          # the same database, the same issuer, two ports
    httpx2.post(second.url("/token"), …)
    first.kill()                           # SIGKILL, between any two instructions
    first.start()                          # and again, on the same port
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from idp.settings import Settings
from tests.support.settings import MASTER_KEY

ROOT = Path(__file__).parents[2]
READY_WITHIN_SECONDS = 40
ENDS_WITHIN_SECONDS = 15


class ServerProcess:
    """One `satupintu serve`, for as long as the `with` block lasts."""

    def __init__(self, settings: Settings, *, port: int, log: Path, environment: dict[str, str] | None = None) -> None:
        self.settings = settings
        self.port = port
        self._log = log
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, path: str = "") -> str:
        """An address at this very process, whatever the issuer is."""
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def pid(self) -> int:
        """The running process's id."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not ended since."""
        return self._process is not None

    @property
    def log(self) -> str:
        """Everything that the process has said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Starts the process and waits until it answers that it is ready."""
        assert self._process is None, "it runs already"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "idp",
                    "serve",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(self.port),
                    "--workers",
                    "1",
                ],
                cwd=ROOT,
                env=environment_of(self.settings) | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ends the process as an operator would, and by force if it does not listen."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end on SIGTERM: {self.log[-2000:]}") from None
        self._process = None

    def kill(self) -> None:
        """Ends the process between two instructions, as a crash or a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _has_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        # No certificates are read for plain http: that would cost more than the answer.
        with httpx2.Client(verify=False, timeout=5) as asking:
            while time.monotonic() < deadline:
                if self._has_ended():
                    raise AssertionError(f"the server has ended: {self.log[-4000:]}")
                try:
                    if asking.get(self.url("/health/ready")).status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                time.sleep(0.03)
        raise AssertionError(f"the server is not ready: {self.log[-4000:]}")


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, and nothing of ours that could change them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SATUPINTU_")}
    named = settings.model_dump(mode="json", exclude={"master_key"}, exclude_unset=True)
    values = {
        f"SATUPINTU_{name.upper()}": json.dumps(value) if isinstance(value, list | dict) else str(value)
        for name, value in named.items()
    }
    return {**kept, **values, "SATUPINTU_MASTER_KEY": MASTER_KEY, "PYTHONUNBUFFERED": "1"}
