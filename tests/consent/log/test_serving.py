import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from consent.http.log import LogPorts, routes
from consent.log.entry import Kind, commit, leaf_data
from consent.log.policy import Policy
from consent.log.proof import LogProof, verify_proof
from consent.log.prove import NoSuchEntry, NotYet, consistency, proof_for
from consent.log.verify import Trust
from idp.database import Database
from tests.consent.log.running import RunningLog, open_log
from tests.consent.log.tile_client import TileClient
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.statements import statements

pytestmark = pytest.mark.anyio

RECEIPT_KEYS = {
    "keys": [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "kid": "r1",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "alg": "EdDSA",
        }
    ]
}


@pytest.fixture
def log(database: Database, tmp_path: Path, clock: FakeClock) -> RunningLog:
    return open_log(database, tmp_path, clock)


async def receipt_keys() -> dict[str, Any]:
    return RECEIPT_KEYS


@pytest.fixture
async def reader(log: RunningLog) -> AsyncIterator[TileClient]:
    app = Starlette(routes=[*routes(LogPorts(log=lambda: log.published, receipt_keys=receipt_keys))])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://idp.test") as http:
        yield TileClient(http, log.published.keys.ed25519.vkey)


async def test_before_the_first_checkpoint_there_is_nothing_to_show(log: RunningLog, reader: TileClient) -> None:
    await reader.get("checkpoint", status=404)
    await reader.get("tile/0/000", status=404)
    await log.sequence()
    assert (await reader.checkpoint()).size == 0


async def test_a_stranger_recomputes_the_log_from_its_tiles(log: RunningLog, reader: TileClient) -> None:
    await log.grow(1)
    first = await reader.check()
    await log.grow(255)
    second = await reader.check()
    await log.grow(300, 44)
    third = await reader.check()
    assert [one.size for one in (first, second, third)] == [1, 256, 600]
    await reader.check_consistency(first, second)
    await reader.check_consistency(second, third)
    assert {"tile/0/000", "tile/1/000.p/2", "tile/0/002.p/88", "tile/entries/002.p/88"} <= set(reader.fetched)


async def test_what_a_cache_may_keep(log: RunningLog, reader: TileClient) -> None:
    await log.grow(258)
    checkpoint = await reader.get("checkpoint")
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"
    assert checkpoint.headers["cache-control"] == "public, max-age=2"
    for path in ("tile/0/000", "tile/0/001.p/2", "tile/entries/000", "tile/entries/001.p/1", "tile/1/000.p/1"):
        tile = await reader.get(path)
        assert tile.headers["content-type"] == "application/octet-stream"
        assert tile.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert tile.headers["access-control-allow-origin"] == "*"


async def test_partial_tiles_of_earlier_checkpoints_stay(log: RunningLog, reader: TileClient) -> None:
    await log.grow(3)
    narrow = (await reader.get("tile/0/000.p/3")).content
    bundle = (await reader.get("tile/entries/000.p/3")).content
    await log.grow(300)
    assert (await reader.get("tile/0/000.p/3")).content == narrow
    assert (await reader.get("tile/entries/000.p/3")).content == bundle
    assert (await reader.get("tile/0/000")).content[: len(narrow)] == narrow


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000",  # not full yet
        "tile/0/000.p/6",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/0/0",
        "tile/0/x000/000",
        "tile/00/000.p/1",
        "tile/64/000.p/1",
        "tile/entries/000.p/0",
        "tile/0/000.p/256",
        "tile/-1/000.p/1",
        "tile/0/000.p/1/",
        "tile/0/..%2F000.p/1",
        "tile/0/٠٠٠.p/1",
    ],
)
@only_sqlite
async def test_what_the_checkpoint_does_not_cover_is_not_there(log: RunningLog, reader: TileClient, path: str) -> None:
    await log.grow(5)
    answer = await reader.get(path, status=404)
    assert answer.headers["cache-control"] == "no-store"


async def test_the_trust_file_is_what_the_verifier_reads(log: RunningLog, reader: TileClient) -> None:
    document = (await reader.get("trust.json")).content
    trust = Trust.parse(document)
    assert trust.log == log.published.keys.ed25519.vkey
    assert [key.kid for key in trust.keys] == ["r1"]
    policy = Policy.parse(json.loads(document)["policy"])
    assert {one.key for one in policy.logs} == set(log.published.keys.vkeys)


async def test_an_entrys_proof_verifies_with_the_public_key_alone(log: RunningLog) -> None:
    ids = await log.append(300)
    assert isinstance(await proof_for(log.published, ids[7]), NotYet)
    await log.sequence()
    key = log.database.vault.nobodys
    for one in (ids[0], ids[7], ids[299]):
        proof = await proof_for(log.published, one, extra=key.opening(one))
        assert isinstance(proof, LogProof)
        read = LogProof.parse(str(proof))
        assert read.extra is not None
        leaf = leaf_data(Kind.PURPOSE, commit(read.extra, {"id": one}))
        policy = Policy().of_log(log.published.keys.ed25519.vkey)
        proven = verify_proof(read, leaf_data=leaf, policy=policy, expected_origin="idp.test/log")
        assert proven.checkpoint.size == 300
    with pytest.raises(NoSuchEntry):
        await proof_for(log.published, "00000000-0000-7000-8000-000000000000")


async def test_a_proof_reads_few_tiles(log: RunningLog) -> None:
    (one, *_) = await log.append(1)
    await log.sequence()
    await log.grow(4000)
    with statements(log.database) as sent:
        await proof_for(log.published, one)
    assert len([statement for statement in sent if "consent_log_tiles" in statement]) == 1
    assert len(sent) == 3


async def test_consistency_between_any_two_sizes(log: RunningLog, reader: TileClient) -> None:
    await log.grow(3, 10, 300)
    async with log.database.reading() as session:
        assert await consistency(session, 3, 3) == []
        assert await consistency(session, 0, 313) == []
        assert len(await consistency(session, 3, 313)) > 3


async def test_a_log_that_must_not_be_shown_answers_503(log: RunningLog, reader: TileClient) -> None:
    await log.grow(3)
    log.published.guard.advance(log.published.keys.sign(size=9, root=bytes(32), now=log.clock()))
    answer = await reader.get("checkpoint", status=503)
    assert "9" not in answer.text
