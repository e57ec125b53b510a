"""The sequencer: gives waiting entries their places, lets the tree grow, and signs what has come of it.

All of that is one transaction, so there is no tree of which half is there. No two trees are signed for one size, and
nothing that was signed and seen is ever lost, because of the order of these steps; beside each, what happens if we die:

  1. the lock         Somebody else sequences? Then nothing to do. Dying frees it, for it goes with the transaction.
  2. the guard        The database must begin with what this host has let out. Dying: nothing was done.
  3. the claim        A compare-and-swap of the head with itself. Whoever comes second, though the lock be broken, waits
                      here until we end, and then finds another head. Dying: the transaction is rolled back.
  4. the places       Entries get their indexes. Dying: rolled back, and they wait as before.
  5. the tree         In memory.
  6. the signature    In memory. A signature that is not committed has been seen by nobody and dies with us, so signing
                      another tree of this size afterwards contradicts nothing that exists.
  7. the head         Compare-and-swap to the new tree; tiles and checkpoint with it. Dying: rolled back, all of it.
  8. the commit       All of it is durable, or nothing. Dying before the answer came: one of the two, and whoever comes
                      next reads which.
  9. the file         `Guard.advance`. Dying before it: the log is ahead of the file, which is right (nobody was shown
                      the checkpoint yet), and whoever shows it writes the file first.
 10. the public       Only now: `/log/checkpoint`, witnesses, proofs. They go by what is committed and in the file.

Step 9 is after step 8 because a file that is ahead of the database means a rollback. Were it written before the commit,
a death in between would be told from a restored backup by nobody.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from anyio import to_thread
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from consent.locking import dialect_of
from consent.log.entry import Kind, leaf_data
from consent.log.errors import FormatRefused, LogError
from consent.log.guard import Guard, refuse_rollback
from consent.log.keys import LogKeys
from consent.log.merkle import Frontier, Node, leaf_hash
from consent.log.note import Note
from consent.log.publish import OpensSession, PublishedLog
from consent.log.store import (
    Damaged,
    Head,
    Leaf,
    TileRow,
    any_waiting,
    checkpoint_at,
    frontier_of,
    give_places,
    head_of,
    keep_checkpoint,
    make_head,
    read_tiles,
    swap_head,
    write_tiles,
)
from consent.log.tiles import ENTRIES, HEIGHT, WIDTH, Tile, decode_bundle, encode_bundle, new_tiles, tile_at, width_at

BATCH: Final = 4096
SEQUENCER_LOCK: Final = 0x5A70_0002
_HASH: Final = 32


class LostRace(LogError):
    """Another sequencer was faster. Nothing was done."""


class Halted(LogError):
    """The log was stopped, and an operator must look. Nothing was done."""


class AnotherOrigin(LogError):
    """The settings name another log than the database has."""


@dataclass(frozen=True)
class Sequenced:
    """What a sequencer has done, and the checkpoint that it has signed."""

    entries: int
    size: int
    note: Note


async def sequence(
    session: AsyncSession,
    *,
    keys: LogKeys,
    guard: Guard,
    now: datetime,
    limit: int = BATCH,
    since: str | None = None,
) -> Sequenced | None:
    """Gives places to waiting entries, in the caller's transaction; None when none waits, or another is at it.

    Entries with ids smaller than `since` go on waiting.
    Once the transaction is committed, and only then, the caller hands the note to `Guard.advance`.
    Raises `RolledBack`, `Halted`, `Damaged`, `AnotherOrigin`, and `LostRace`: nothing was done.
    """
    if not await _lead(session):  # 1
        return None
    known = guard.known()
    head = await head_of(session)
    await refuse_rollback(session, guard, known=known, stored=None if head is None else head.tree)  # 2
    if head is None:
        head = await make_head(session, keys.origin, now=now)
    _refuse(head, keys)
    if not await swap_head(session, head, head, now=now):  # 3
        raise LostRace(f"the log has gone on from {head.size} leaves meanwhile")
    leaves = await give_places(session, start=head.size, limit=limit, since=since)  # 4
    if not leaves and await checkpoint_at(session, head.size) is not None:
        return None
    grown = await _grow(session, head, list(map(_leaf_data, leaves)))  # 5
    root = grown.frontier.root()
    note = keys.sign(size=grown.frontier.size, root=root, now=now)  # 6
    if leaves and not await swap_head(session, head, Head(head.origin, grown.frontier.size, root), now=now):  # 7
        raise LostRace(f"the log has gone on from {head.size} leaves meanwhile")
    await write_tiles(session, grown.rows)
    await keep_checkpoint(session, size=grown.frontier.size, root=root, note=note, now=now)
    return Sequenced(len(leaves), grown.frontier.size, note)


async def sequence_once(
    *,
    transaction: OpensSession,
    log: PublishedLog,
    clock: Callable[[], datetime],
    limit: int = BATCH,
    since: str | None = None,
) -> Sequenced | None:
    """One turn of the sequencer, all ten steps; None when there was nothing to do. Raises as `sequence` does."""
    async with log.reading() as session:
        # A look first: a transaction that writes would keep SQLite's only writer waiting, twice a second, for nothing.
        if await head_of(session) is not None and not await any_waiting(session, since=since):
            return None
    async with transaction() as session:
        done = await sequence(session, keys=log.keys, guard=log.guard, now=clock(), limit=limit, since=since)
    # 8: the block has committed.
    if done is not None:
        await to_thread.run_sync(log.guard.advance, done.note)  # 9
    return done


def _leaf_data(leaf: Leaf) -> bytes:
    try:
        return leaf_data(Kind(leaf.kind), leaf.commitment)
    except (ValueError, FormatRefused):
        raise Damaged(f"the waiting entry {leaf.id} is none that this service writes") from None


def _refuse(head: Head, keys: LogKeys) -> None:
    if head.halted is not None:
        raise Halted(f"the log was stopped: {head.halted}; see docs/operate/log.md, A log that has stopped")
    if head.origin != keys.origin:
        raise AnotherOrigin(f"the settings name the log {keys.origin}, and the database has the log {head.origin}")


async def _lead(session: AsyncSession) -> bool:
    # On SQLite the transaction is the database's only writer already.
    if dialect_of(session) != "postgresql":
        return True
    return bool(await session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": SEQUENCER_LOCK}))


async def _grow(session: AsyncSession, head: Head, leaves: Sequence[bytes]) -> "Grown":
    frontier = await frontier_of(session, head.size)
    if frontier.root() != head.root:
        # Signing on top of altered tiles would make the alteration the log's word.
        raise Damaged(f"the stored tiles do not give the root of the log at {head.size} leaves")
    return grow(frontier, await read_tiles(session, edge_of(head.size)), leaves)


@dataclass(frozen=True)
class Grown:
    """A tree that has grown: its new right edge, and the tiles that are new or wider."""

    frontier: Frontier
    rows: tuple[TileRow, ...]


def edge_of(size: int) -> list[Tile]:
    """The partial tiles at the right edge of a tree, the bundle included: what the next leaf makes wider."""
    edge = []
    level = ENTRIES
    while (hashes := width_at(size, level)) > 0:
        if hashes % WIDTH:
            edge.append(tile_at(level, hashes // WIDTH, size))
        level += 1
    return edge


def grow(frontier: Frontier, edge: Mapping[Tile, bytes], leaves: Sequence[bytes]) -> Grown:
    """Appends leaves to a tree, given its right edge. Pure.

    Spec: C2SP tlog-tiles, Merkle Tree; Partial Tiles; Log entries
    """
    old = frontier.size
    hashes = {tile.level: bytearray(data) for tile, data in edge.items() if tile.level != ENTRIES}

    def completed(node: Node, value: bytes) -> None:
        level, between = divmod(node.level, HEIGHT)
        if not between:
            hashes.setdefault(level, bytearray()).extend(value)

    grown = frontier.extend(map(leaf_hash, leaves), completed)
    bundled = [leaf for tile, data in edge.items() if tile.level == ENTRIES for leaf in _decoded(tile, data)]
    bundled.extend(leaves)
    rows = []
    for tile in new_tiles(old, grown.size):
        at = tile.number * WIDTH - width_at(old, tile.level) // WIDTH * WIDTH
        if tile.level == ENTRIES:
            data = encode_bundle(bundled[at : at + tile.width])
        else:
            data = bytes(hashes[tile.level][at * _HASH : (at + tile.width) * _HASH])
        rows.append(TileRow(tile, data))
    return Grown(grown, tuple(rows))


def _decoded(tile: Tile, data: bytes) -> list[bytes]:
    try:
        return decode_bundle(data, width=tile.width)
    except FormatRefused as refused:
        raise Damaged(f"{tile.path}: {refused.why}") from None
