"""`satupintu witness` as its keeper runs it: a process of its own, killed at any moment."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from consent.log.errors import FormatRefused
from consent.log.note import open_checkpoint
from consent.log.vkey import KeyType, VerifierKey, has_ml_dsa
from consent.log.witness import NOTHING_SEEN, Seen, Submission
from consent.log.witness_keys import make_witness_keys, read_witness_keys
from consent.log.witness_state import SqliteWitnessState
from tests.consent.log.growing import LOG, ORIGIN, GrowingLog, numbered_leaves, seed
from tests.support.ports import free_port

ROOT = Path(__file__).parents[3]

WRITER = """
import sys
from pathlib import Path
from consent.log.witness import Seen
from consent.log.witness_state import SqliteWitnessState

state = SqliteWitnessState(Path(sys.argv[1]))
while True:
    seen = state.latest("log")
    new = Seen(seen.size + 1, (seen.size + 1).to_bytes(32, "big"))
    assert state.advance("log", expected=seen, seen=new, note=str(new.size))
    sys.stdout.write(f"{new.size}\\n")
    sys.stdout.flush()
"""


@pytest.mark.processes
def test_a_witness_killed_at_any_moment_remembers_whatever_it_has_cosigned(tmp_path: Path) -> None:
    path = tmp_path / "witness.sqlite"
    acknowledged = 0
    for round_ in range(12):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            acknowledged = int(writer.stdout.readline())
            time.sleep(0.003 * round_)
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout.read().splitlines():
                acknowledged = int(line)
        state = SqliteWitnessState(path)
        seen = state.latest("log")
        state.close()
        # The one step that was under way may have been taken, too.
        assert seen.size in {acknowledged, acknowledged + 1}
        assert seen.root == seen.size.to_bytes(32, "big")


class RunningWitness:
    """One `satupintu witness`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def start(self) -> list[VerifierKey]:
        """Starts it, waits until it serves, and returns the vkeys that it printed."""
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "idp", "witness", "--port", str(self.port), "--log", str(LOG.vkey)),
                    *("--state", str(self.folder / "state"), "--key", str(self.folder / "key")),
                    *("--name", "w.example/1"),
                ],
                cwd=ROOT,
                stdout=out,
                stderr=err,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
            )
        for _ in range(400):
            try:
                if httpx2.get(f"http://127.0.0.1:{self.port}/x/checkpoint").status_code == 404:
                    break
            except httpx2.TransportError:
                assert self.process.poll() is None, (self.folder / "err").read_text()
                time.sleep(0.05)
        return [VerifierKey.parse(line) for line in (self.folder / "out").read_text().splitlines()]

    def submit(self, log: GrowingLog, old: int, new: int) -> httpx2.Response:
        """Submits a checkpoint."""
        sent = Submission(old, tuple(log.consistency(old, new)) if old else (), log.checkpoint(new))
        return httpx2.post(f"http://127.0.0.1:{self.port}/add-checkpoint", content=sent.body())

    def end(self, how: signal.Signals) -> int:
        """Ends it."""
        self.process.send_signal(how)
        return self.process.wait(20)


@pytest.mark.processes
def test_the_witness_serves_prints_its_keys_and_goes_on_after_being_killed(tmp_path: Path) -> None:
    log = GrowingLog().append(*numbered_leaves(20))
    witness = RunningWitness(tmp_path)
    keys = witness.start()
    try:
        assert [key.name for key in keys] == ["w.example/1"] * len(keys)
        assert keys[0].type is KeyType.COSIGNATURE
        assert has_ml_dsa() is (KeyType.ML_DSA_44 in {key.type for key in keys})
        answer = witness.submit(log, 0, 7)
        assert answer.status_code == 200
        opened = open_checkpoint(str(log.checkpoint(7)) + answer.text, log_keys=[LOG.vkey], witness_keys=keys)
        assert len(opened.verified) == 1 + len(keys)
    finally:
        witness.end(signal.SIGKILL)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert witness.start() == keys
    try:
        known = witness.submit(log, 0, 20)
        assert (known.status_code, known.text) == (409, "7\n")
        assert witness.submit(log, 7, 20).status_code == 200
    finally:
        assert witness.end(signal.SIGTERM) in {0, -signal.SIGTERM}
    state = SqliteWitnessState(tmp_path / "state")
    assert state.latest(ORIGIN) == Seen(20, log.root())
    assert state.latest("another") == NOTHING_SEEN
    state.close()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--log", "nonsense"], "vkey"),
        (["--log", str(LOG.vkey), "--key", "shared"], "can be read by others"),
        (["--log", str(LOG.vkey), "--state", "text"], "not a witness's memory"),
        (["--log", str(LOG.vkey), "--state", "missing/state"], "unable to open"),
    ],
)
def test_a_witness_that_cannot_start_says_why_in_one_line(tmp_path: Path, options: list[str], why: str) -> None:
    (tmp_path / "shared").write_text("x")
    (tmp_path / "shared").chmod(0o644)
    (tmp_path / "text").write_text("a letter" * 200)
    given = ["--state", "state", "--key", "key", *options]
    result = subprocess.run(
        [sys.executable, "-m", "idp", "witness", "--port", str(free_port()), *given],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert why in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_keys_are_made_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = make_witness_keys(path, name=None, seeds=(seed("a"), seed("b")))
    assert [signer.vkey for signer in read_witness_keys(path)] == [signer.vkey for signer in made]
    assert made[0].vkey.name.startswith("witness-")
    with pytest.raises(FileExistsError):
        make_witness_keys(path, name=None, seeds=(seed("c"), seed("d")))
    assert [signer.vkey for signer in read_witness_keys(path)] == [signer.vkey for signer in made]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "a letter\n",
        lambda text: text.replace("PRIVATE+KEY+witness-", "PRIVATE+KEY+witnes-"),
        lambda text: text[:-9] + "\n",
        # golang.org/x/mod, sumdb/note/note_test.go: a log's key, and no witness's
        lambda text: "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz\n",
    ],
)
def test_a_key_file_that_was_altered_is_refused(tmp_path: Path, change: object) -> None:
    path = tmp_path / "key"
    make_witness_keys(path, name=None, seeds=(seed("a"), seed("b")))
    path.write_text(change(path.read_text()))  # type: ignore[operator]  # one of the functions above
    with pytest.raises(FormatRefused):
        read_witness_keys(path)
