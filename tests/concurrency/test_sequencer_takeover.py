"""The log in real server processes: it grows by itself, is cosigned, and goes on when its sequencer is killed."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from consent.log.keys import LogKeys
from consent.log.note import open_checkpoint
from consent.log.verify import Trust
from idp.database import Database
from idp.settings import Settings
from keys.sealing import MasterKey
from keys.secrets import load_secrets
from tests.consent.log.running import RunningLog, check_all, open_log
from tests.consent.log.tile_client import TileClient
from tests.consent.log.witness_process import WitnessProcess
from tests.support.clock import FakeClock
from tests.support.databases import only_postgresql
from tests.support.ports import free_port
from tests.support.server import ServerProcess
from tests.support.settings import MASTER_KEY

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]


@pytest.fixture
async def log_keys(database: Database, served_settings: Settings, served_keys: None) -> LogKeys:
    """The keys that the servers will sign with."""
    async with database.reading() as session:
        secrets = await load_secrets(session, MasterKey.from_base64(MASTER_KEY))
    return LogKeys.open(served_settings.log_name, secrets.__getitem__)


@pytest.fixture
def witness(log_keys: LogKeys, tmp_path: Path) -> Iterator[WitnessProcess]:
    with WitnessProcess(tmp_path, log=log_keys.ed25519.vkey, name="university.test/w1") as running:
        yield running


@only_postgresql
async def test_whoever_is_killed_another_process_goes_on_sequencing_and_asking_the_witness(
    served_settings: Settings,
    database: Database,
    log_keys: LogKeys,
    witness: WitnessProcess,
    tmp_path: Path,
    clock: FakeClock,
) -> None:
    policy = tmp_path / "policy"
    policy.write_text(f"{witness.policy_lines}quorum {witness.folder.name}-1\n")
    environment = {
        "SATUPINTU_LOG_POLICY_FILE": str(policy),
        "SATUPINTU_LOG_INTERVAL_MS": "50",
        "SATUPINTU_LOG_WITNESSES": json.dumps([]),
    }
    writer = open_log(database, tmp_path / "unused", clock)
    servers = [
        ServerProcess(served_settings, port=port, log=tmp_path / f"{port}.log", environment=environment)
        for port in (httpx2.URL(served_settings.issuer).port or 0, free_port())
    ]
    total = 0
    try:
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))
        for round_ in range(2):
            total += len(await writer.append(30))
            living = servers[round_ % 2]
            shown = await shown_at(living, log_keys, witness, at_least=total)
            assert shown <= 5 or round_ == 0, "seconds, and no more"
            # The other one is killed, whichever of the two leads.
            victim = servers[(round_ + 1) % 2]
            await asyncio.to_thread(victim.kill)
            total += len(await writer.append(5))
            assert await shown_at(living, log_keys, witness, at_least=total) <= 5
            await asyncio.to_thread(victim.start)
        async with httpx2.AsyncClient(base_url=servers[0].url()) as http:
            checkpoint = await TileClient(http, log_keys.ed25519.vkey).check()
            assert checkpoint.size == total
            document = (await http.get("/log/trust.json")).json()
            if document["receipts"]["keys"]:
                assert Trust.parse(json.dumps(document).encode()).log == log_keys.ed25519.vkey
    finally:
        for server in servers:
            server.kill()
    assert await check_all(database) == total
    assert (tmp_path / "log-head").exists()


async def shown_at(server: ServerProcess, keys: LogKeys, witness: WitnessProcess, *, at_least: int) -> float:
    """How many seconds until the server shows a checkpoint of that size, cosigned by the witness."""
    begun = time.monotonic()
    async with httpx2.AsyncClient(base_url=server.url()) as http:
        while True:
            answer = await http.get("/log/checkpoint")
            if answer.status_code == 200:
                opened = open_checkpoint(answer.content, log_keys=set(keys.vkeys), witness_keys=set(witness.keys))
                if opened.checkpoint.size >= at_least:
                    assert witness.keys[0] in {verified.key for verified in opened.verified}
                    return time.monotonic() - begun
            assert time.monotonic() - begun < 20, f"{answer.status_code} {answer.text} {server.log[-3000:]}"
            await asyncio.sleep(0.05)


@only_postgresql
async def test_a_server_on_a_restored_backup_does_not_start(
    served_settings: Settings, served_keys: None, database: Database, tmp_path: Path, clock: FakeClock
) -> None:
    log: RunningLog = open_log(database, tmp_path, clock)
    log.published.keys = LogKeys.open(served_settings.log_name, lambda name: name.encode().ljust(32, b"."))
    await log.grow(5)
    log.published.guard.advance(log.published.keys.sign(size=9, root=bytes(32), now=clock()))
    port = httpx2.URL(served_settings.issuer).port
    assert port is not None
    server = ServerProcess(served_settings, port=port, log=tmp_path / "server.log")
    with pytest.raises(AssertionError, match="the database is an older copy"):
        await asyncio.to_thread(server.start)
    assert log.published.guard.path.read_text().split("\n")[1] == "9", "nothing was overwritten"
