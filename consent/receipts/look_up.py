"""Whether the log has a leaf at a place, for somebody who holds a paper with the two: no key, no person, no event."""

from dataclasses import dataclass

from sqlalchemy import select

from consent.log.entry import Kind, leaf_data
from consent.log.errors import ProofRefused
from consent.log.merkle import leaf_hash, verify_inclusion
from consent.log.models import LogEntry
from consent.log.prove import NotYet, proof_for
from consent.log.publish import PublishedLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The leaf is there: what kind of event it is of, in which tree, and which witnesses have seen that tree."""

    index: int
    kind: str
    origin: str
    size: int
    root: str
    witnesses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFound:
    """It is not: `waits` tells that it has its place, and that the tree with it is still to be cosigned."""

    waits: bool = False


async def look_up(log: PublishedLog, index: int, commitment: bytes) -> Found | NotFound:
    """Looks a leaf up, and recomputes the root from it: what is shown does not rest on one row of a table."""
    async with log.reading() as session:
        rows = await session.execute(
            select(LogEntry.id, LogEntry.kind, LogEntry.commitment).where(LogEntry.log_index == index)
        )
        row = rows.one_or_none()
    # Everything here is public in the log's tiles, so nothing is lost by comparing plainly.
    if row is None or row.commitment != commitment:
        return NotFound()
    proof = await proof_for(log, row.id)
    if isinstance(proof, NotYet):
        return NotFound(waits=True)
    opened = log.rules.open(proof.checkpoint, log.keys)
    checkpoint = opened.checkpoint
    kind = Kind(row.kind)
    try:
        verify_inclusion(
            index=index,
            size=checkpoint.size,
            leaf=leaf_hash(leaf_data(kind, commitment)),
            proof=proof.hashes,
            root=checkpoint.root,
        )
    except ProofRefused:
        return NotFound()
    return Found(
        index=index,
        kind=kind.name.lower(),
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        witnesses=log.rules.policy.witnesses_of(opened),
    )
