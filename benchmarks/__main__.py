"""`make bench`: our figures beside a peer's, in one run, on one machine, on one PostgreSQL with durable commits.

Each server runs alone on its turn, pinned to one core; the load and PostgreSQL come from another. What counts is good
answers per second of the server's own CPU time: the machine's mood hardly moves it.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import orjson
import psutil

from benchmarks import ours, peer
from benchmarks.operations import Measured, Request, measure
from tests.support.ports import free_port
from tests.support.postgres import postgresql_server

ORDER = ("discovery", "jwks", "client_credentials", "code", "refresh", "introspection", "userinfo", "authorize")


def postgresql_pids() -> list[int]:
    """Every process of PostgreSQL servers on this machine."""
    return [one.pid for one in psutil.process_iter(["name"]) if one.info["name"] == "postgres"]


def run_all(requests: dict[str, list[Request]], run: Callable[[str, list[Request]], Measured]) -> dict[str, Measured]:
    """Each operation once, the small ones warmed up first."""
    results = {}
    for name in ORDER:
        if name in requests:
            results[name] = run(name, requests[name])
    return results


def pin(pid: int, core: int) -> None:
    """Keeps a process and its threads on one core."""
    psutil.Process(pid).cpu_affinity([core])


def main() -> None:
    """Runs both sides and prints the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=3000, help="codes and refresh tokens to spend")
    options.add_argument("--seconds", type=float, default=4, help="for each operation that can go round and round")
    options.add_argument("--json", type=Path, help="write the figures to this file as well")
    chosen = options.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    server_core, load_core = cores[0], cores[-1]
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        with postgresql_server(folder, durable=True) as server:
            for pid in postgresql_pids():
                pin(pid, load_core)

            def measuring(url: str, pid: int) -> Callable[[str, list[Request]], Measured]:
                def run(name: str, requests: list[Request]) -> Measured:
                    return measure(
                        name,
                        requests,
                        url=url,
                        pid=pid,
                        database_pids=postgresql_pids(),
                        folder=folder,
                        core=load_core,
                        seconds=chosen.seconds,
                    )

                return run

            port = free_port()
            with ours.serving(server.create_database("ours"), folder, port=port) as (process, prepared):
                base, issuer = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
                requests = asyncio.run(ours.operations(base, issuer, prepared, count=chosen.count))
                pin(process.pid, server_core)
                memory = psutil.Process(process.pid).memory_info().rss / 2**20
                our_results = run_all(requests, measuring(base, process.pid))
            peer_results: dict[str, Measured] = {}
            if peer.is_possible():
                port = free_port()
                with peer.serving(server.create_database("peer"), folder, port=port, count=chosen.count) as (
                    pid,
                    asked,
                ):
                    pin(pid, server_core)
                    peer_results = run_all(asked, measuring(f"http://127.0.0.1:{port}", pid))
    print(table(our_results, peer_results, memory=memory))
    if chosen.json:
        figures = {"ours": our_results, "peer": peer_results}
        chosen.json.write_bytes(
            orjson.dumps({side: {name: asdict(one) for name, one in rows.items()} for side, rows in figures.items()})
        )


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
