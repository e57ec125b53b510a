"""`satupintu` as an operator types it, beside running servers and on their database."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from idp.settings import Settings
from tests.support.server import ROOT, environment_of


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    error: str

    @property
    def told(self) -> Any:
        """What it answered to programs. Error: `AssertionError` with what it complained of."""
        assert self.code == 0, self.error
        return json.loads(self.out)


async def satupintu(settings: Settings, *arguments: str) -> Said:
    """Runs a command with these settings."""

    def run() -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "idp", *arguments],
            cwd=ROOT,
            env=environment_of(settings),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return await anyio.to_thread.run_sync(run)
