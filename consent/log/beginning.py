"""Beginning anew under another name: the way on when the newest part of a log is lost for good.

A log that has signed a checkpoint which its database has forgotten can never go on under its name: it would fork. What
is left of it can: its entries and their places stay, and a log of another name begins with the tree that is there. It
has signed nothing yet, so it contradicts nothing. The old log's receipts go on verifying by the old log's keys.
"""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from consent.log.errors import LogError
from consent.log.keys import LogKeys
from consent.log.models import LogCheckpoint
from consent.log.note import Note
from consent.log.store import Damaged, Head, frontier_of, head_of, keep_checkpoint, set_halted, swap_head


class BeginningRefused(LogError):
    """A log cannot begin like this."""


async def begin_anew(session: AsyncSession, keys: LogKeys, *, now: datetime) -> tuple[Head, Note]:
    """Gives the database's log another name, that of `keys`; returns the old head, and the new log's first checkpoint.

    Checkpoints of the old log stay, but those at or beyond the size at which the new one begins.
    Raises `BeginningRefused`, `Damaged`.
    """
    old = await head_of(session)
    if old is None:
        raise BeginningRefused("the database has no log yet; it begins by itself")
    if old.origin == keys.origin:
        raise BeginningRefused(f"the log is named {old.origin}; another one needs another name (SATUPINTU_LOG_ORIGIN)")
    if (await frontier_of(session, old.size)).root() != old.root:
        raise Damaged(f"the stored tiles do not give the root of the log at {old.size} leaves")
    if old.halted is not None:
        await set_halted(session, None, now=now)
    going_on = Head(old.origin, old.size, old.root)
    if not await swap_head(session, going_on, Head(keys.origin, old.size, old.root), now=now):
        raise BeginningRefused("the log has gone on meanwhile")
    await session.execute(delete(LogCheckpoint).where(LogCheckpoint.size >= old.size))
    note = keys.sign(size=old.size, root=old.root, now=now)
    await keep_checkpoint(session, size=old.size, root=old.root, note=note, now=now)
    return old, note
