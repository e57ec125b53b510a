"""The verifier as a stranger runs it: nothing is installed but the standard library and `cryptography`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.consent.log.receipts import ReceiptFile, trust_data

ROOT = Path(__file__).parents[3]

# Everything but these is as if it were not installed.
ALONE = """
import runpy, sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in {"cryptography", "_cffi_backend", "cffi"}:
            return None
        if name in {"keys", "keys.encoding", "keys.errors", "consent", "consent.log"}:
            return None
        if name.startswith("consent.log."):
            return None
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nothing())
module, *arguments = sys.argv[1:]
sys.argv = [module, *arguments]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""

PURE = [
    "checkpoint",
    "encoding",
    "entry",
    "errors",
    "merkle",
    "note",
    "policy",
    "proof",
    "receipt_jws",
    "signers",
    "tiles",
    "vkey",
    "witness",
    "witness_client",
    "witness_keys",
    "witness_state",
]


def alone(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a module where nothing else can be imported."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE, module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def trust(tmp_path: Path) -> str:
    """A trust file."""
    path = tmp_path / "trust.json"
    path.write_bytes(trust_data())
    return str(path)


def written(tmp_path: Path, data: bytes) -> str:
    """A receipt file."""
    path = tmp_path / "receipt.json"
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("module", PURE)
def test_the_formats_need_nothing_but_the_standard_library_and_cryptography(module: str) -> None:
    result = alone(f"consent.log.{module}")
    assert (result.returncode, result.stderr) == (0, "")


def test_the_blocked_process_really_finds_nothing_else() -> None:
    result = alone("keys.jws")
    assert result.returncode == 1
    assert "No module named 'keys.jws'" in result.stderr
    assert "ModuleNotFoundError" in alone("pydantic").stderr


def test_a_stranger_verifies_a_receipt(tmp_path: Path, trust: str) -> None:
    result = alone("consent.log.verify", written(tmp_path, ReceiptFile().data()), "--trust", trust)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("result: verified\nlog: log.example/consent\nindex: 4\n")
    assert 'witnesses: ["bpk", "uni"]' in result.stdout


def test_programs_get_json(tmp_path: Path, trust: str) -> None:
    result = alone("consent.log.verify", written(tmp_path, ReceiptFile().data()), "--trust", trust, "--json")
    told = json.loads(result.stdout)
    assert (result.returncode, told["result"], told["event"]["purpose"]) == (0, "verified", "bansos@3")


def test_a_refusal_says_which_step_failed(tmp_path: Path, trust: str) -> None:
    file = written(tmp_path, ReceiptFile().data(event={"edited": 1}))
    result = alone("consent.log.verify", file, "--trust", trust)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.startswith("result: refused\nstep: the event\nwhy: ")


def test_a_receipt_that_waits_has_its_own_exit_code(tmp_path: Path, trust: str) -> None:
    result = alone("consent.log.verify", written(tmp_path, ReceiptFile().data(proof=None)), "--trust", trust)
    assert (result.returncode, result.stderr) == (3, "")
    assert result.stdout.startswith("result: signed, not yet in the log\n")


def test_a_wrong_question_has_its_own_exit_code(tmp_path: Path, trust: str) -> None:
    file = written(tmp_path, ReceiptFile().data())
    assert alone("consent.log.verify", file).returncode == 2
    assert alone("consent.log.verify", file, "--trust", str(tmp_path / "none")).returncode == 2
    assert alone("consent.log.verify", str(tmp_path / "none"), "--trust", trust).returncode == 2
    assert alone("consent.log.verify", file, "--trust", file).returncode == 2
