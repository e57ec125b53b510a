"""Every erasure is written down and logged, in the transaction that erases: what, how many, by which rule, not whom.

The log's monitor reads these back: rows that a rule has deleted are missing rightly, and no others are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.erasure.models import ErasureEntry
from consent.log.entries import append, entry_of
from consent.log.entry import Kind
from consent.vault import vault_of
from keys.entropy import Entropy, new_row_id

# The rules that delete rows which the log has leaves of, by the kind of leaf.
DELETING: Final[Mapping[Kind, str]] = {Kind.ACCESS: "uses"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """One entry, as stored in `ErasureEntry`."""

    id: str
    at: datetime
    rule: str
    before: datetime | None
    rows: Mapping[str, int]
    erasure_id: str | None
    citation: str | None

    def as_json(self) -> dict[str, Any]:
        """What the log's commitment is of, under nobody's key."""
        return {
            "id": self.id,
            "at": _moment(self.at),
            "rule": self.rule,
            "before": _moment(self.before),
            "rows": dict(self.rows),
            "erasure_id": self.erasure_id,
            "citation": self.citation,
        }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds")


async def write_entry(
    session: AsyncSession,
    *,
    rule: str,
    rows: Mapping[str, int],
    before: datetime | None = None,
    erasure_id: str | None = None,
    citation: str | None = None,
    now: datetime,
    entropy: Entropy,
) -> None:
    """Writes one entry and queues its leaf; nothing, when nothing was erased."""
    counted = {name: number for name, number in rows.items() if number}
    if not counted:
        return
    entry = Erased(
        id=new_row_id(entropy, now),
        at=now,
        rule=rule,
        before=before,
        rows=counted,
        erasure_id=erasure_id,
        citation=citation,
    )
    await session.execute(insert(ErasureEntry).values({one.name: getattr(entry, one.name) for one in fields(entry)}))
    key = vault_of(session).nobodys
    await append(session, [entry_of(Kind.ERASURE, entry.id, entry.as_json(), key, at=now)])


def as_entry(row: Any) -> Erased:
    """The entry of a row that has `ErasureEntry`'s columns."""
    return Erased(**{one.name: getattr(row, one.name) for one in fields(Erased)})


async def horizons(session: AsyncSession) -> dict[Kind, datetime]:
    """Up to when rows of each kind may be missing: the newest `before` of the rule that deletes them."""
    newest = func.max(ErasureEntry.before)
    rows = await session.execute(
        select(ErasureEntry.rule, newest)
        .where(ErasureEntry.rule.in_(DELETING.values()), ErasureEntry.before.is_not(None))
        .group_by(ErasureEntry.rule)
    )
    found = {rule: before for rule, before in rows if before is not None}
    return {kind: found[rule] for kind, rule in DELETING.items() if rule in found}


async def totals(session: AsyncSession) -> dict[str, int]:
    """How many rows of each table have lost their person, and are still there. More than that, and it was by hand."""
    found: dict[str, int] = {}
    staying = select(ErasureEntry.rows).where(ErasureEntry.rule.not_in(DELETING.values()))
    for counts in await session.scalars(staying):
        for table, number in counts.items():
            found[table] = found.get(table, 0) + number
    return found
