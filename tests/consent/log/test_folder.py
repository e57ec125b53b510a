import os
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.staticfiles import StaticFiles

from consent.log.checkpoint import Checkpoint
from consent.log.folder import FolderRefused, publish_to
from consent.log.note import Note
from consent.log.tiles import tiles_of
from idp.database import Database
from tests.consent.log.running import RunningLog, open_log, some_keys
from tests.consent.log.tile_client import TileClient
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite

pytestmark = pytest.mark.anyio

TRUST = {"format": "satupintu-trust/1"}


@pytest.fixture
def log(database: Database, tmp_path: Path, clock: FakeClock) -> RunningLog:
    return open_log(database, tmp_path, clock)


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def size_of(folder: Path) -> int:
    return Checkpoint.parse(Note.parse((folder / "checkpoint").read_bytes()).text).size


async def test_the_folder_is_a_log_that_a_stranger_can_check(log: RunningLog, tmp_path: Path) -> None:
    folder = tmp_path / "public"
    app = Starlette()
    await log.grow(300)
    assert (await publish_to(log.published, folder, trust=TRUST)).size == 300
    app.mount("/log", StaticFiles(directory=folder))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://cdn.test") as http:
        reader = TileClient(http, log.published.keys.ed25519.vkey)
        first = await reader.check()
        await log.grow(500)
        await publish_to(log.published, folder, trust=TRUST)
        second = await reader.check()
        await reader.check_consistency(first, second)
    assert second.size == 800


async def test_only_what_is_new_is_written_and_what_became_full_loses_its_partial_files(
    log: RunningLog, tmp_path: Path
) -> None:
    folder = tmp_path / "public"
    await log.grow(300)
    assert (await publish_to(log.published, folder, trust=TRUST)).tiles == len(list(tiles_of(300)))
    assert (await publish_to(log.published, folder, trust=TRUST)).tiles == 0
    await log.grow(10)
    assert (await publish_to(log.published, folder, trust=TRUST)).tiles == 2
    assert {"tile/0/001.p/44", "tile/0/001.p/54"} <= files_of(folder), "clients may hold the checkpoint of 300"
    await log.grow(300)
    await publish_to(log.published, folder, trust=TRUST)
    assert not {name for name in files_of(folder) if name.startswith(("tile/0/001.p", "tile/entries/001.p"))}
    assert {tile.path for tile in tiles_of(610)} <= files_of(folder)
    everything = await publish_to(log.published, folder, trust=TRUST, everything=True)
    assert everything.tiles == len(list(tiles_of(610)))


@only_sqlite
async def test_a_writer_that_dies_half_way_leaves_a_folder_that_is_consistent(
    log: RunningLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "public"
    await log.grow(300)
    await publish_to(log.published, folder, trust=TRUST)
    await log.grow(600)
    written = 0
    fsync = os.fsync

    def dies(descriptor: int) -> None:
        nonlocal written
        written += 1
        if written == 4:
            raise OSError("no space left")
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr("consent.log.folder.os.fsync", dies)
        with pytest.raises(OSError, match="no space"):
            await publish_to(log.published, folder, trust=TRUST)
    assert size_of(folder) == 300
    assert {tile.path for tile in tiles_of(300)} <= files_of(folder)
    await publish_to(log.published, folder, trust=TRUST)
    assert size_of(folder) == 900
    assert {tile.path for tile in tiles_of(900)} <= files_of(folder)
    assert not {name for name in files_of(folder) if ".draft-" in name}


@only_sqlite
async def test_a_folder_of_another_log_or_of_a_larger_or_other_tree_is_refused(log: RunningLog, tmp_path: Path) -> None:
    await log.grow(30)
    for number, (keys, size, why) in enumerate(
        (
            (some_keys("other.test/log"), 10, "the folder has the log other"),
            (some_keys(), 31, "a tree of 31 leaves, and the log one of 30"),
            (some_keys(), 10, "is not the one of this log"),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "checkpoint").write_text(str(keys.sign(size=size, root=bytes(32), now=log.clock())))
        with pytest.raises(FolderRefused, match=why):
            await publish_to(log.published, folder, trust=TRUST)
    (tmp_path / "2" / "checkpoint").write_text("hello\n")
    with pytest.raises(FolderRefused, match="is not a checkpoint"):
        await publish_to(log.published, tmp_path / "2", trust=TRUST)
