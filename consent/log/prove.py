"""Proofs from the stored tiles: that an entry is in the log, and that one tree of the log begins with another.

Spec: RFC 6962 §2.1; C2SP tlog-proof
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.log.merkle import Node, ReadNode, consistency_nodes, consistency_proof, inclusion_nodes, inclusion_proof
from consent.log.models import LogEntry
from consent.log.proof import LogProof
from consent.log.publish import NothingPublished, PublishedLog
from consent.log.store import read_tiles
from consent.log.tiles import node_reader, tiles_for


@dataclass(frozen=True)
class NotYet:
    """The entry waits: for its place, or for a checkpoint that covers it. `why` is a sentence for people."""

    why: str


class NoSuchEntry(LookupError):
    """There is no entry of this id."""


async def proof_for(log: PublishedLog, row_id: str, *, extra: bytes | None = None) -> LogProof | NotYet:
    """The proof that a row's entry is in the tree of the checkpoint that is shown now; `str()` gives its text.

    `extra` is the opening of the row's commitment, for whoever may see it. It reads by a session of its own: what it
    needs is as new as the checkpoint. Errors: `NoSuchEntry`, `RolledBack`.
    """
    try:
        served = await log.served()
    except NothingPublished as nothing:
        return NotYet(nothing.why)
    async with log.reading() as session:
        found = await session.execute(select(LogEntry.id, LogEntry.log_index).where(LogEntry.id == row_id))
        entry = found.one_or_none()
        if entry is None:
            raise NoSuchEntry(f"there is no entry {row_id}")
        if entry.log_index is None:
            return NotYet("the entry waits for its place in the log")
        if entry.log_index >= served.size:
            return NotYet("the entry is in the log, and waits for the witnesses")
        hashes = await inclusion(session, entry.log_index, served.size)
    return LogProof(entry.log_index, tuple(hashes), served.note, extra)


async def inclusion(session: AsyncSession, index: int, size: int) -> list[bytes]:
    """The inclusion proof of a leaf in the tree of some size, out of the few tiles that it needs."""
    return await _proof(session, size, inclusion_nodes(index, size), lambda read: inclusion_proof(index, size, read))


async def consistency(session: AsyncSession, old: int, new: int) -> list[bytes]:
    """The consistency proof between two sizes of the tree, out of the few tiles that it needs."""
    return await _proof(session, new, consistency_nodes(old, new), lambda read: consistency_proof(old, new, read))


async def _proof(
    session: AsyncSession, size: int, nodes: Iterable[tuple[Node, ...]], make: Callable[[ReadNode], list[bytes]]
) -> list[bytes]:
    data = await read_tiles(session, tiles_for(nodes, size))
    return make(node_reader(data.__getitem__, size))
