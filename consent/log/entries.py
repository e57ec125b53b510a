"""How something becomes a leaf: in the transaction that writes it, so that neither is ever there without the other."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from consent.log.entry import Kind, commit
from consent.log.models import LogEntry
from keys.personal import PersonalKey


def entry_of(kind: Kind, row_id: str, content: Mapping[str, Any], key: PersonalKey, *, at: datetime) -> dict[str, Any]:
    """The entry's row for one event: `content` is what its commitment commits to, `key` whose it is.

    What concerns nobody takes the vault's `nobodys` key.
    """
    commitment = commit(key.opening(row_id), content)
    return {"id": row_id, "kind": int(kind), "commitment": commitment, "at": at, "log_index": None}


async def append(session: AsyncSession, entries: Sequence[Mapping[str, Any]]) -> None:
    """Queues entries for the log, in the caller's transaction."""
    if entries:
        await session.execute(insert(LogEntry), [dict(entry) for entry in entries])
