"""Whoever checks a receipt without us: both verifiers, in processes that die if they want a network or a database."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.server import ROOT

SECOND: Final = ROOT / "docs" / "integrate" / "verify_receipt.py"
_ALONE: Final = """
import runpy, sys

def refuse(event, arguments):
    if event.startswith(("socket.", "sqlite3.")):
        raise SystemExit(f"it wanted {event}")

sys.addaudithook(refuse)
_, kind, name, *sys.argv[1:] = sys.argv
sys.argv[0] = name
runpy.run_module(name, run_name="__main__") if kind == "module" else runpy.run_path(name, run_name="__main__")
"""


@dataclass(frozen=True)
class Verdict:
    """What one verifier said. `code`: 0 it holds, 1 refused, 3 not in the log yet."""

    code: int
    said: str

    @property
    def told(self) -> dict[str, Any]:
        """What it found, when it holds."""
        assert self.code == 0, self.said
        found: dict[str, Any] = json.loads(self.said)
        return found


def verdicts(receipt: dict[str, Any], trust: dict[str, Any], folder: Path) -> list[Verdict]:
    """What both verifiers say: ours first, then the page of Python that shares no line with it."""
    file, keys = folder / "receipt.json", folder / "trust.json"
    file.write_text(json.dumps(receipt, ensure_ascii=False), encoding="utf-8")
    keys.write_text(json.dumps(trust), encoding="utf-8")
    ours = ("module", "consent.log.verify", str(file), "--trust", str(keys), "--json")
    theirs = ("path", str(SECOND), str(file), str(keys))
    return [_run(*ours), _run(*theirs)]


def _run(*arguments: str) -> Verdict:
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Verdict(done.returncode, done.stdout + done.stderr)
