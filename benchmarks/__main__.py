"""`make bench`: our figures beside a peer's, in one run, on one machine, on one PostgreSQL with durable commits.

Each server runs alone on its turn, pinned to one core; the load and PostgreSQL come from another. What counts is good
answers per second of the server's own CPU time: the machine's mood hardly moves it.
"""

import argparse
import asyncio
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks import gate, log, ours, peer
from benchmarks.operations import Measured, Request, measure
from tests.support.ports import free_port
from tests.support.postgres import PostgresqlServer, postgresql_server

ORDER = (
    "discovery",
    "jwks",
    "client_credentials",
    "code",
    "refresh",
    "introspection",
    "userinfo",
    "authorize",
    "check",
    "check_noted",
)
Figures = dict[str, Measured]


@dataclass(frozen=True)
class Bench:
    """The place that both sides are measured in: one PostgreSQL, one core for the server, one for everything else."""

    server: PostgresqlServer
    folder: Path
    count: int
    seconds: float
    server_core: int
    load_core: int

    def postgresql_pids(self) -> list[int]:
        """The PostgreSQL server's processes: the one that listens, and those that it started."""
        port = self.server.maintenance.port
        listening = [
            one.pid
            for one in psutil.net_connections("tcp")
            if one.pid and one.status == psutil.CONN_LISTEN and one.laddr.port == port
        ]
        return [child for pid in listening for child in (pid, *(c.pid for c in psutil.Process(pid).children()))]

    def pin(self, pid: int) -> None:
        """Keeps a measured server alone on its core, and PostgreSQL off it."""
        psutil.Process(pid).cpu_affinity([self.server_core])
        for database in self.postgresql_pids():
            psutil.Process(database).cpu_affinity([self.load_core])

    def run_all(self, requests: dict[str, list[Request]], *, url: str, pid: int) -> Figures:
        """Each operation once."""
        self.pin(pid)
        return {
            name: measure(
                name,
                requests[name],
                url=url,
                pid=pid,
                database_pids=self.postgresql_pids(),
                folder=self.folder,
                core=self.load_core,
                seconds=self.seconds,
            )
            for name in ORDER
            if name in requests
        }

    def ours(self) -> tuple[Figures, float]:
        """Our figures, and our memory at rest in MiB."""
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        database_url = self.server.create_database("ours")
        with ours.serving(database_url, self.folder, port=port) as (process, prepared):
            memory = psutil.Process(process.pid).memory_info().rss / 2**20
            making = ours.operations(
                base, f"http://localhost:{port}", prepared, count=self.count, database_url=database_url
            )
            requests = asyncio.run(making)
            return self.run_all(requests, url=base, pid=process.pid), memory

    def peers(self) -> Figures:
        """The peer's figures; none when it does not run on this machine."""
        if not peer.is_possible():
            return {}
        port = free_port()
        try:
            with peer.serving(self.server.create_database("peer"), self.folder, port=port, count=self.count) as peers:
                pid, requests = peers
                return self.run_all(requests, url=f"http://127.0.0.1:{port}", pid=pid)
        except peer.PeerFailed as failed:
            print(f"the peer is left out: {failed}")
            return {}


def main() -> None:
    """Runs both sides and prints the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=3000, help="codes and refresh tokens to spend")
    options.add_argument("--seconds", type=float, default=4, help="for each operation that can go round and round")
    options.add_argument("--log-count", type=int, default=50_000, help="uses to put into the log and to replay")
    options.add_argument("--json", type=Path, help="write the figures to this file as well")
    chosen = options.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        with postgresql_server(folder, durable=True) as server:
            bench = Bench(server, folder, chosen.count, chosen.seconds, server_core=cores[0], load_core=cores[-1])
            our_figures, memory = bench.ours()
            peer_figures = bench.peers()
            # A log of its own has a state file of its own: else it would be an older copy of the other's.
            apart = folder / "log"
            apart.mkdir()
            log_figures = log.measure(server, apart, count=chosen.log_count, pids=bench.postgresql_pids)
    print(table(our_figures, peer_figures, memory=memory))
    print(log.table(log_figures))
    decisions = gate.measure()
    print(gate.line(decisions))
    if chosen.json:
        sides: dict[str, dict[str, Any]] = {
            "ours": our_figures,
            "peer": peer_figures,
            "log": {row.name: row for row in log_figures},
        }
        figures: dict[str, Any] = {
            side: {name: asdict(one) for name, one in rows.items()} for side, rows in sides.items()
        }
        chosen.json.write_bytes(orjson.dumps(figures | {"gate": {"decisions_per_second": decisions}}))


def table(our: dict[str, Measured], peers: dict[str, Measured], *, memory: float) -> str:
    """The figures as a table that people read."""
    lines = [
        "per second of the server's CPU; ES256, durable commits; peer: npm oidc-provider on the same PostgreSQL",
        f"{'operation':<20}{'ours':>9}{'peer':>9}{'ratio':>7}{'µs':>7}{'db µs':>7}"
        f"{'p50 ms':>8}{'p99 ms':>8}{'refused':>9}",
    ]
    for name, one in our.items():
        other = peers.get(name)
        ratio = f"{one.per_core_second / other.per_core_second:.2f}" if other and other.per_core_second else "–"
        lines.append(
            f"{name:<20}{one.per_core_second:>9.0f}{f'{other.per_core_second:.0f}' if other else '–':>9}{ratio:>7}"
            f"{one.cpu_micros:>7.0f}{one.database_cpu_micros:>7.0f}{one.p50_ms:>8.1f}{one.p99_ms:>8.1f}{one.refused:>9}"
        )
    lines.append(f"memory at rest: {memory:.0f} MiB")
    refused = {name: one.refused for name, one in peers.items() if one.refused}
    if refused:
        lines.append(f"answers that the peer refused: {refused}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
