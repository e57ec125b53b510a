"""What is measured, and how: requests sent by wrk from one core, CPU time read from the server's on the other."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOAD = Path(__file__).with_name("load.lua")
SPENT_BY_USE = frozenset({"code", "refresh"})
GOOD = frozenset({"200", "302", "303"})
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Request:
    """One HTTP request; headers are `Name: value` lines."""

    method: str
    path: str
    headers: tuple[str, ...] = ()
    body: str = ""

    def line(self) -> str:
        """As load.lua reads it."""
        return "\t".join((self.method, self.path, "|".join(self.headers), self.body))


@dataclass(frozen=True)
class Measured:
    """One operation's figures. `per_core_second` counts good answers per second of the server's own CPU time."""

    answers: int
    refused: int
    per_core_second: float
    cpu_micros: float
    database_cpu_micros: float
    p50_ms: float
    p99_ms: float


def cpu_seconds(*pids: int) -> float:
    """User and system time that these processes have used so far."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def measure(
    name: str,
    requests: Sequence[Request],
    *,
    url: str,
    pid: int,
    database_pids: Sequence[int],
    folder: Path,
    core: int,
    seconds: float = 4,
    connections: int = 16,
) -> Measured:
    """Runs one operation. What is spent by use is sent once; the rest goes around for some seconds."""
    file = folder / f"{name}.requests"
    file.write_text("".join(request.line() + "\n" for request in requests), encoding="utf-8")
    once = name in SPENT_BY_USE
    # wrk stays for the whole time that it was given, also when all is spent.
    lasting = max(3, len(requests) // 200) if once else max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{lasting}s", "--timeout", "10s"]
    command += ["-s", str(LOAD), url, "--", str(file), "once" if once else "around"]
    before, before_database = cpu_seconds(pid), cpu_seconds(*database_pids)
    run = subprocess.run(["taskset", "-c", str(core), *command], capture_output=True, text=True, check=True)
    spent, spent_database = cpu_seconds(pid) - before, cpu_seconds(*database_pids) - before_database
    lines = [line for line in run.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise RuntimeError(f"{name}: wrk said nothing: {run.stdout} {run.stderr}")
    said = json.loads(lines[0].removeprefix("RESULT "))
    good = sum(count for status, count in said["statuses"].items() if status in GOOD)
    answers = sum(said["statuses"].values())
    return Measured(
        answers=answers,
        refused=answers - good,
        per_core_second=good / spent if spent else 0.0,
        cpu_micros=spent / good * 1e6 if good else 0.0,
        database_cpu_micros=spent_database / good * 1e6 if good else 0.0,
        p50_ms=said["p50_ms"],
        p99_ms=said["p99_ms"],
    )
