"""The first half of an audit: the log against itself. Each leaf is made again from its entry, and each root from those.

Three places say what a leaf is: the entry, the bundle, and the hash tile. Where they differ, two against one tell which
was changed; and whatever they say together, the signed checkpoints tell whether it is what was signed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.log.checkpoint import Checkpoint
from consent.log.encoding import HASH_SIZE
from consent.log.entry import Kind, leaf_data
from consent.log.errors import FormatRefused, LogError
from consent.log.findings import How, Progress, Report
from consent.log.keys import LogKeys
from consent.log.merkle import Frontier, Node, leaf_hash
from consent.log.models import LogCheckpoint, LogEntry, LogHead, LogTile
from consent.log.note import Note, open_checkpoint
from consent.log.store import Head, narrowed
from consent.log.tiles import ENTRIES, HEIGHT, WIDTH, Tile, decode_bundle, tile_at

STRIDE: Final = 16 * WIDTH
_ENTRIES: Final = LogEntry.__tablename__
_TILES: Final = LogTile.__tablename__
_CHECKPOINTS: Final = LogCheckpoint.__tablename__
_HEADS: Final = LogHead.__tablename__


@dataclass(frozen=True)
class Expected:
    """A root that somebody has seen: in a checkpoint of the database, in the guard's file, or brought along."""

    checkpoint: Checkpoint
    table: str
    row: str


class TreeAudit:
    """Replays one log from its first leaf to its head, in one pass."""

    def __init__(self, session: AsyncSession, report: Report, *, head: Head, keys: LogKeys, progress: Progress) -> None:
        self._session = session
        self._report = report
        self._head = head
        self._keys = keys
        self._progress = progress
        self._frontier = Frontier()
        self._upper: dict[Tile, list[bytes]] = {}
        # Leaves that are not what the log has at their place, and what the log has there: to tell swapped from edited.
        self._differing: list[tuple[int, str, bytes, bytes]] = []

    async def run(self, brought: Sequence[Expected]) -> None:
        """The pass. `brought` are checkpoints from elsewhere, whose signatures have been verified."""
        size = self._head.size
        for start in range(0, max(size, 1), STRIDE):
            end = min(start + STRIDE, size)
            expected = [*await self._stored_checkpoints(start, end), *brought]
            await self._replay(start, end, expected)
            await self._check_upper_tiles(all_of_them=end == size)
            self._progress("the log", end)
        self._tell_differing()
        await self._check_end(brought)
        self._report.checked[_ENTRIES] = size

    # --- checkpoints ---

    async def _stored_checkpoints(self, start: int, end: int) -> list[Expected]:
        """The checkpoints of the sizes in (start, end], those whose signature holds; and of size 0 with the first."""
        rows = await self._session.execute(
            select(LogCheckpoint.size, LogCheckpoint.root, LogCheckpoint.note)
            .where(LogCheckpoint.size > start if start else LogCheckpoint.size >= 0, LogCheckpoint.size <= end)
            .order_by(LogCheckpoint.size)
        )
        held = []
        for size, root, text in rows:
            self._report.checked[_CHECKPOINTS] += 1
            try:
                checkpoint = self._verified(text)
            except LogError as refused:
                self._report.add(How.EDITED, _CHECKPOINTS, str(size), refused.why)
                continue
            if (checkpoint.size, checkpoint.root) != (size, root):
                self._report.add(How.EDITED, _CHECKPOINTS, str(size), "its columns are not what its note says")
            held.append(Expected(checkpoint, _CHECKPOINTS, str(size)))
        return held

    def _verified(self, text: str) -> Checkpoint:
        checkpoint = Checkpoint.parse(Note.parse(text).text)
        # A log that was begun anew has the checkpoints of its earlier name; their roots are checked all the same.
        keys = self._keys if checkpoint.origin == self._keys.origin else self._keys.under(checkpoint.origin)
        return open_checkpoint(text, log_keys=set(keys.vkeys)).checkpoint

    # --- leaves ---

    async def _replay(self, start: int, end: int, expected: Iterable[Expected]) -> None:
        leaves = await self._leaves(start, end)
        stops = sorted(
            {one.checkpoint.size for one in expected if start < one.checkpoint.size <= end}
            | ({0} if start == 0 else set())
            | {end}
        )
        for stop in stops:
            self._frontier = self._frontier.extend(leaves[self._frontier.size - start : stop - start], self._completed)
            root = self._frontier.root()
            for one in expected:
                if one.checkpoint.size == stop and one.checkpoint.root != root:
                    self._report.add(
                        How.FORKED,
                        one.table,
                        one.row,
                        f"it was signed, and is not of the tree that the database has at {stop} leaves",
                    )

    async def _leaves(self, start: int, end: int) -> list[bytes]:
        """The hashes of the leaves [start, end), as two of the three places say."""
        rows = await self._session.execute(
            select(LogEntry.log_index, LogEntry.id, LogEntry.kind, LogEntry.commitment)
            .where(LogEntry.log_index >= start, LogEntry.log_index < end)
            .order_by(LogEntry.log_index)
        )
        entries = {row.log_index: row for row in rows}
        bundled, hashed = await self._tiles(start, end)
        return [
            self._leaf(place, entries.get(place), bundled.get(place), hashed.get(place)) for place in range(start, end)
        ]

    def _leaf(self, place: int, entry: Any, bundled: bytes | None, hashed: bytes | None) -> bytes:
        said = _hash_of_entry(entry)
        in_bundle = None if bundled is None else leaf_hash(bundled)
        if said is not None and said == hashed == in_bundle:
            return said
        votes = Counter(one for one in (said, in_bundle, hashed) if one is not None)
        if not votes:
            self._report.add(How.DELETED, _ENTRIES, None, "the entry and its hashes are gone", place=place)
            return bytes(HASH_SIZE)
        most, count = votes.most_common(1)[0]
        truth = most if count > 1 or hashed is None else hashed
        if entry is None:
            what = "" if bundled is None else f"; the log has {bundled.hex()} there"
            self._report.add(How.DELETED, _ENTRIES, None, f"the entry is gone{what}", place=place)
        elif said != truth:
            self._differing.append((place, entry.id, said or b"", truth))
        for level, value in ((ENTRIES, in_bundle), (0, hashed)):
            if value is not None and value != truth:
                tile = tile_at(level, place // WIDTH, self._head.size)
                self._report.add(How.EDITED, _TILES, tile.path, f"leaf {place} is not what was written", place=place)
        return truth

    def _tell_differing(self) -> None:
        """Entries that are each where another should be were swapped; any other was edited."""
        logged = {truth for _, _, _, truth in self._differing}
        for place, entry_id, said, _ in self._differing:
            if said in logged:
                why = "the log has this entry at another place"
                self._report.add(How.REORDERED, _ENTRIES, entry_id, why, place=place)
            else:
                self._report.add(How.EDITED, _ENTRIES, entry_id, "it is not the leaf that the log has", place=place)

    # --- tiles ---

    async def _tiles(self, start: int, end: int) -> tuple[dict[int, bytes], dict[int, bytes]]:
        """The leaves of the bundles and the hashes of the level 0 tiles of [start, end), by their places."""
        first, last = start // WIDTH, (end - 1) // WIDTH
        rows = await self._session.execute(
            select(LogTile.level, LogTile.number, LogTile.data).where(
                LogTile.level.in_((ENTRIES, 0)), LogTile.number >= first, LogTile.number <= last
            )
        )
        stored = {(row.level, row.number): row.data for row in rows}
        bundled: dict[int, bytes] = {}
        hashed: dict[int, bytes] = {}
        for number in range(first, last + 1):
            for level, found in ((ENTRIES, bundled), (0, hashed)):
                tile = tile_at(level, number, self._head.size)
                parts = self._parts(tile, stored.get((level, number)))
                found.update(enumerate(parts, start=number * WIDTH))
        return bundled, hashed

    def _parts(self, tile: Tile, data: bytes | None) -> list[bytes]:
        self._report.checked[_TILES] += 1
        if data is None:
            self._report.add(How.DELETED, _TILES, tile.path, "the tile is gone")
            return []
        try:
            data = narrowed(tile, data)
            if tile.level == ENTRIES:
                return decode_bundle(data, width=tile.width)
        except LogError as refused:
            self._report.add(How.EDITED, _TILES, tile.path, refused.why)
            return []
        return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]

    def _completed(self, node: Node, value: bytes) -> None:
        level, between = divmod(node.level, HEIGHT)
        if level and not between:
            self._upper.setdefault(tile_at(level, node.number // WIDTH, self._head.size), []).append(value)

    async def _check_upper_tiles(self, *, all_of_them: bool) -> None:
        """Compares the tiles above the leaves' with what the leaves give: those of which every hash is known."""
        ready = [tile for tile, hashes in self._upper.items() if all_of_them or len(hashes) == tile.width]
        for tile in ready:
            hashes = self._upper.pop(tile)
            data = await self._session.scalar(
                select(LogTile.data).where(LogTile.level == tile.level, LogTile.number == tile.number)
            )
            for at, (computed, stored) in enumerate(zip(hashes, self._parts(tile, data), strict=False)):
                if computed != stored:
                    below = tile_at(tile.level - 1, tile.number * WIDTH + at, self._head.size)
                    why = f"its hash {at} is not that of {below.path}: one of the two was changed"
                    self._report.add(How.EDITED, _TILES, tile.path, why)

    # --- the end ---

    async def _check_end(self, brought: Sequence[Expected]) -> None:
        head, report = self._head, self._report
        report.size, report.root = head.size, self._frontier.root()
        if report.root != head.root:
            report.add(How.EDITED, _HEADS, head.origin, "its root is not that of the tree")
        if head.origin != self._keys.origin:
            report.add(How.EDITED, _HEADS, head.origin, f"the log is named {self._keys.origin}")
        newest = await self._session.scalar(select(func.max(LogCheckpoint.size)))
        if newest is None or newest < head.size:
            # What is newer than the head may have been signed since the head was read; what is older may not.
            report.add(How.DELETED, _CHECKPOINTS, str(head.size), "the head's checkpoint is gone")
        for one in brought:
            if one.checkpoint.size > head.size:
                why = f"it is of {one.checkpoint.size} leaves, and the database has {head.size}"
                report.add(How.ROLLED_BACK, one.table, one.row, why)
        await self._check_beyond()

    async def _check_beyond(self) -> None:
        """Rows beyond the head. Head, entries, tiles and checkpoints grow together, so one statement sees all alike."""
        size = select(func.max(LogHead.size)).scalar_subquery()
        beyond = await self._session.execute(
            select(LogEntry.id, LogEntry.log_index)
            .where(or_(LogEntry.log_index >= size, LogEntry.log_index < 0))
            .order_by(LogEntry.log_index)
            .limit(100)
        )
        for entry_id, place in beyond:
            self._report.add(How.INSERTED, _ENTRIES, entry_id, "it has a place beyond the end of the log", place=place)
        for checkpoint in await self._session.scalars(
            select(LogCheckpoint.size).where(LogCheckpoint.size > size).order_by(LogCheckpoint.size).limit(100)
        ):
            why = "it was signed, and the log's head is before it"
            self._report.add(How.ROLLED_BACK, _CHECKPOINTS, str(checkpoint), why)
        tiles = await self._session.execute(
            select(LogTile.level, LogTile.number)
            .where(LogTile.level.in_((ENTRIES, 0)), LogTile.number * WIDTH >= size)
            .limit(100)
        )
        for level, number in tiles:
            self._report.add(How.INSERTED, _TILES, Tile(level, number).path, "it is beyond the end of the log")


def _hash_of_entry(entry: Any) -> bytes | None:
    if entry is None:
        return None
    try:
        return leaf_hash(leaf_data(Kind(entry.kind), entry.commitment))
    except (ValueError, FormatRefused):
        return leaf_hash(b"")
