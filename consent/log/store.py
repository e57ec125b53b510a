"""The log in the database: its head, its waiting entries, its tiles, its checkpoints. Statements, and no decisions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Table, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult, Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.locking import dialect_of
from consent.log.checkpoint import Checkpoint
from consent.log.encoding import HASH_SIZE
from consent.log.errors import FormatRefused, LogError
from consent.log.merkle import EMPTY_ROOT, Frontier, Node, frontier_at, root_nodes
from consent.log.models import LogCheckpoint, LogEntry, LogHead, LogTile
from consent.log.note import Note
from consent.log.tiles import ENTRIES, Tile, node_reader, tiles_for

_ENTRIES: Final[Table] = LogEntry.metadata.tables[LogEntry.__tablename__]
_HEADS: Final[Table] = LogEntry.metadata.tables[LogHead.__tablename__]
_TILES: Final[Table] = LogEntry.metadata.tables[LogTile.__tablename__]
_CHECKPOINTS: Final[Table] = LogEntry.metadata.tables[LogCheckpoint.__tablename__]


class Damaged(LogError):
    """The log's tables contradict each other: somebody, or a broken disk, changed them (see `satupintu log audit`)."""


@dataclass(frozen=True)
class Head:
    """Where the log stands. `halted` says why nothing more may be signed."""

    origin: str
    size: int = 0
    root: bytes = EMPTY_ROOT
    halted: str | None = None

    @property
    def tree(self) -> Checkpoint:
        """The tree that the log has now."""
        return Checkpoint(self.origin, self.size, self.root)


@dataclass(frozen=True)
class SignedCheckpoint:
    """A stored checkpoint: the tree that it is of, and the note with all signatures that came so far."""

    size: int
    root: bytes
    text: str
    signed_at: datetime
    cosigned_at: datetime | None

    @property
    def note(self) -> Note:
        """The note, read."""
        return Note.parse(self.text)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint that the note is of."""
        return Checkpoint.parse(self.note.text)


class Leaf(NamedTuple):
    """An entry that has got its place."""

    place: int
    id: str
    kind: int
    commitment: bytes


class TileRow(NamedTuple):
    """A tile as it is written."""

    tile: Tile
    data: bytes


# --- the head ---------------------------------------------------------------------------------------------------------


async def head_of(session: AsyncSession) -> Head | None:
    """The head of the database's log; None before the first sequencer came."""
    rows = (await session.execute(select(_HEADS.c.origin, _HEADS.c.size, _HEADS.c.root, _HEADS.c.halted))).all()
    if len(rows) > 1:
        raise Damaged(f"the database has the heads of {len(rows)} logs: {', '.join(sorted(r.origin for r in rows))}")
    return Head(*rows[0]) if rows else None


async def make_head(session: AsyncSession, origin: str, *, now: datetime) -> Head:
    """Writes the head of an empty log."""
    head = Head(origin)
    await session.execute(insert(_HEADS).values(origin=origin, size=head.size, root=head.root, updated_at=now))
    return head


async def swap_head(session: AsyncSession, old: Head, new: Head, *, now: datetime) -> bool:
    """Replaces the head if it is still the one that was read, and nobody halted the log; else False, and nothing done.

    The row stays locked until the transaction ends, so whoever comes second waits, looks again, and finds another head.
    """
    done = await session.execute(
        update(_HEADS)
        .where(
            _HEADS.c.origin == old.origin,
            _HEADS.c.size == old.size,
            _HEADS.c.root == old.root,
            _HEADS.c.halted.is_(None),
        )
        .values(origin=new.origin, size=new.size, root=new.root, updated_at=now)
    )
    return _rows(done) == 1


async def set_halted(session: AsyncSession, why: str | None, *, now: datetime) -> None:
    """Says why nothing more may be signed; None lets the log go on."""
    await session.execute(update(_HEADS).values(halted=None if why is None else why[:500], updated_at=now))


# --- what waits -------------------------------------------------------------------------------------------------------


async def any_waiting(session: AsyncSession, *, since: str | None = None) -> bool:
    """Whether an entry waits for its place; `since` leaves out entries with smaller ids."""
    return await session.scalar(select(_ENTRIES.c.id).where(*_waiting(since)).limit(1)) is not None


def _waiting(since: str | None) -> list[ColumnElement[bool]]:
    waiting: list[ColumnElement[bool]] = [_ENTRIES.c.log_index.is_(None)]
    return waiting if since is None else [*waiting, _ENTRIES.c.id >= since]


async def give_places(session: AsyncSession, *, start: int, limit: int, since: str | None = None) -> list[Leaf]:
    """Gives the places from `start` on to entries that wait, at most `limit` of them, and returns these in their order.

    The order is that of their ids among those that wait. An id made earlier may be committed later; then it simply
    waits for the next time: no place depends on the order of ids but within one batch. `since` leaves out smaller ids.
    """
    waiting = (
        select(_ENTRIES.c.id, func.row_number().over(order_by=_ENTRIES.c.id).label("place"))
        .where(*_waiting(since))
        .order_by(_ENTRIES.c.id)
        .limit(limit)
        .subquery("waiting")
    )
    placed = await session.execute(
        update(_ENTRIES)
        .where(_ENTRIES.c.id == waiting.c.id, _ENTRIES.c.log_index.is_(None))
        .values(log_index=literal(start - 1, BigInteger) + waiting.c.place)
        .returning(_ENTRIES.c.log_index, _ENTRIES.c.id, _ENTRIES.c.kind, _ENTRIES.c.commitment)
    )
    return sorted(Leaf(*row) for row in placed)


# --- tiles ------------------------------------------------------------------------------------------------------------


async def read_tiles(session: AsyncSession, tiles: Iterable[Tile]) -> dict[Tile, bytes]:
    """The bytes of these tiles, each as wide as asked. Raises `Damaged` when one is not there.

    The row of a tile only grows, so a narrower one is always its beginning.
    """
    wanted = set(tiles)
    if not wanted:
        return {}
    rows = await session.execute(
        select(_TILES.c.level, _TILES.c.number, _TILES.c.data).where(
            tuple_(_TILES.c.level, _TILES.c.number).in_(sorted({(tile.level, tile.number) for tile in wanted}))
        )
    )
    stored = {(row.level, row.number): row.data for row in rows}
    found = {}
    for tile in wanted:
        data = stored.get((tile.level, tile.number))
        if data is None:
            raise Damaged(f"{tile.path} is missing")
        found[tile] = narrowed(tile, data)
    return found


def narrowed(tile: Tile, data: bytes) -> bytes:
    """The beginning of a stored tile that is the tile asked for. Raises `Damaged` when there is not as much."""
    if tile.level != ENTRIES:
        if len(data) < tile.width * HASH_SIZE:
            raise Damaged(f"{tile.path} is stored with {len(data)} bytes")
        return data[: tile.width * HASH_SIZE]
    end = 0
    for _ in range(tile.width):
        length = data[end : end + 2]
        end += 2 + int.from_bytes(length, "big")
        if len(length) < 2 or end > len(data):
            raise Damaged(f"{tile.path} is stored with too few leaves")
    return data[:end]


async def write_tiles(session: AsyncSession, rows: Sequence[TileRow]) -> None:
    """Adds tiles, and lets those at the right edge grow. A row never gets narrower."""
    if not rows:
        return
    dialect = postgresql if dialect_of(session) == "postgresql" else sqlite
    new = dialect.insert(_TILES)
    await session.execute(
        new.on_conflict_do_update(
            index_elements=[_TILES.c.level, _TILES.c.number],
            set_={"width": new.excluded.width, "data": new.excluded.data},
            where=_TILES.c.width < new.excluded.width,
        ),
        [{"level": tile.level, "number": tile.number, "width": tile.width, "data": data} for tile, data in rows],
    )


async def frontier_of(session: AsyncSession, size: int) -> Frontier:
    """The right edge of the stored tree at some size. Raises `Damaged`."""
    nodes: tuple[Node, ...] = root_nodes(size)
    data = await read_tiles(session, tiles_for([nodes], size))
    try:
        return frontier_at(size, node_reader(data.__getitem__, size))
    except FormatRefused as refused:
        raise Damaged(refused.why) from None


# --- checkpoints ------------------------------------------------------------------------------------------------------


async def keep_checkpoint(session: AsyncSession, *, size: int, root: bytes, note: Note, now: datetime) -> None:
    """Adds a checkpoint that was signed."""
    await session.execute(
        insert(_CHECKPOINTS).values(size=size, root=root, note=str(note), signed_at=now, cosigned_at=None)
    )


async def newest_checkpoints(
    session: AsyncSession, *, cosigned: bool = False, limit: int = 1
) -> tuple[SignedCheckpoint, ...]:
    """The newest checkpoints, the largest first; or those among them that once had enough cosignatures."""
    statement = select(_CHECKPOINTS).order_by(_CHECKPOINTS.c.size.desc()).limit(limit)
    if cosigned:
        statement = statement.where(_CHECKPOINTS.c.cosigned_at.is_not(None))
    return tuple(_checkpoint(row) for row in await session.execute(statement))


async def checkpoint_at(session: AsyncSession, size: int) -> SignedCheckpoint | None:
    """The checkpoint of exactly this size, if one was signed and is kept."""
    row = (await session.execute(select(_CHECKPOINTS).where(_CHECKPOINTS.c.size == size))).one_or_none()
    return None if row is None else _checkpoint(row)


async def replace_note(
    session: AsyncSession, old: SignedCheckpoint, note: Note, *, cosigned_at: datetime | None
) -> bool:
    """Gives a checkpoint's note more signatures, if nobody else has changed it meanwhile; else False."""
    done = await session.execute(
        update(_CHECKPOINTS)
        .where(_CHECKPOINTS.c.size == old.size, _CHECKPOINTS.c.note == old.text)
        .values(note=str(note), cosigned_at=cosigned_at)
    )
    return _rows(done) == 1


async def thin_out(session: AsyncSession, *, now: datetime, limit: int) -> int:
    """Deletes a batch of checkpoints older than a day, all but the last of each hour. Returns how many.

    Two a second are signed in a busy log, and each has kilobytes of signatures. Nothing is lost with them: the tiles
    give the root of every size that ever was, and whoever holds a receipt holds its checkpoint. The newest that
    witnesses have cosigned stays, however old: it may be the one that is shown.
    """
    until = (now - timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    shown = await session.scalar(select(func.max(_CHECKPOINTS.c.size)).where(_CHECKPOINTS.c.cosigned_at.is_not(None)))
    rows = await session.execute(
        select(_CHECKPOINTS.c.size, _CHECKPOINTS.c.signed_at)
        .where(_CHECKPOINTS.c.signed_at >= until - timedelta(days=3), _CHECKPOINTS.c.signed_at < until)
        .order_by(_CHECKPOINTS.c.size)
    )
    last: dict[datetime, int] = {}
    spare = []
    for size, signed_at in rows:
        hour = signed_at.replace(minute=0, second=0, microsecond=0)
        if hour in last:
            spare.append(last[hour])
        last[hour] = size
    doomed = [size for size in spare if size != shown][:limit]
    if doomed:
        await session.execute(delete(_CHECKPOINTS).where(_CHECKPOINTS.c.size.in_(doomed)))
    return len(doomed)


def _checkpoint(row: Row[Any]) -> SignedCheckpoint:
    return SignedCheckpoint(row.size, row.root, row.note, row.signed_at, row.cosigned_at)


def _rows(done: object) -> int:
    assert isinstance(done, CursorResult)
    return int(done.rowcount)
