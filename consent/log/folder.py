"""The log as static files in a folder, for a server of files or a CDN: the same paths and bytes as under `/log/`.

The checkpoint is written last, so the folder has every tile that its checkpoint covers whenever the writer dies; the
next run goes on from the checkpoint that it finds.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson
from anyio import to_thread

from consent.log.checkpoint import Checkpoint
from consent.log.errors import LogError
from consent.log.note import MAX_NOTE_BYTES, Note
from consent.log.publish import PublishedLog
from consent.log.store import TileRow, frontier_of, read_tiles
from consent.log.tiles import Tile, new_tiles

_AT_ONCE: Final = 256


class FolderRefused(LogError):
    """The folder has another log's files, or ones that this log cannot have written."""


@dataclass(frozen=True)
class Written:
    """What came of it: the size that the folder is at, and how many tiles were written."""

    size: int
    tiles: int


async def publish_to(log: PublishedLog, folder: Path, *, trust: Mapping[str, Any], everything: bool = False) -> Written:
    """Brings a folder up to the checkpoint that is shown now. `everything` writes every tile again.

    Raises `FolderRefused`, and as `PublishedLog.served`.
    """
    served = await log.served()
    old = await to_thread.run_sync(_checkpoint_in, folder)
    await _refuse_another_tree(log, old, served.checkpoint)
    since = 0 if old is None or everything else old.size
    tiles = new_tiles(since, served.size)
    written = 0
    while some := list(islice(tiles, _AT_ONCE)):
        async with log.reading() as session:
            data = await read_tiles(session, some)
        written += await to_thread.run_sync(_write_tiles, folder, [TileRow(tile, data[tile]) for tile in some])
    await to_thread.run_sync(_write, folder / "trust.json", orjson.dumps(trust, option=orjson.OPT_INDENT_2))
    await to_thread.run_sync(_write, folder / "checkpoint", served.text.encode())
    if old is not None:
        await to_thread.run_sync(_remove_partial, folder, list(_became_full(old.size, served.size)))
    return Written(served.size, written)


def _checkpoint_in(folder: Path) -> Checkpoint | None:
    try:
        with (folder / "checkpoint").open("rb") as file:
            return Checkpoint.parse(Note.parse(file.read(MAX_NOTE_BYTES + 1)).text)
    except FileNotFoundError:
        return None
    except LogError as broken:
        raise FolderRefused(f"{folder / 'checkpoint'} is not a checkpoint: {broken.why}") from None


async def _refuse_another_tree(log: PublishedLog, old: Checkpoint | None, served: Checkpoint) -> None:
    if old is None:
        return
    if old.origin != served.origin:
        raise FolderRefused(f"the folder has the log {old.origin}, and this is {served.origin}; take another folder")
    if old.size > served.size:
        raise FolderRefused(f"the folder has a tree of {old.size} leaves, and the log one of {served.size}")
    async with log.reading() as session:
        if (await frontier_of(session, old.size)).root() != old.root:
            raise FolderRefused(f"the folder's tree of {old.size} leaves is not the one of this log")


def _became_full(old: int, new: int) -> Iterator[Tile]:
    """Partial tiles of the old tree whose full tile the new one has: clients fall back to that.

    Spec: C2SP tlog-tiles, Partial Tiles
    """
    return (tile for tile in new_tiles(old, new) if tile.full)


def _write_tiles(folder: Path, rows: Sequence[TileRow]) -> int:
    for tile, data in rows:
        _write(folder / tile.path, data)
    return len(rows)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)  # the server of the files is another user
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _remove_partial(folder: Path, full: Sequence[Tile]) -> None:
    for tile in full:
        shutil.rmtree(folder / f"{tile.path}.p", ignore_errors=True)
