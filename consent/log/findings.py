"""What an audit of the log finds: which row, and what was done to it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

MOST_LISTED: Final = 1000

Progress = Callable[[str, int], None]
"""Is told which part is being checked, and how many of its rows have been."""


class How(StrEnum):
    """What was done."""

    EDITED = "edited"
    DELETED = "deleted"
    INSERTED = "inserted"
    REORDERED = "reordered"
    FORKED = "forked"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was written. `row` is the row's id or its name; `place` its place in the log."""

    how: How
    table: str
    row: str | None
    why: str
    place: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The finding in plain JSON values."""
        return {
            "how": self.how.value,
            "table": self.table,
            "row": self.row,
            "place": self.place,
            "why": self.why,
        }

    def __str__(self) -> str:
        row = "" if self.row is None else f" {self.row}"
        place = "" if self.place is None else f" (place {self.place} of the log)"
        return f"{self.how.value}: {self.table}{row}{place}: {self.why}"


@dataclass
class Report:
    """What was checked, and what was found. Everything is counted; the first thousand findings are kept."""

    origin: str = ""
    size: int = 0
    root: bytes = b""
    waiting: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    erased: Counter[str] = field(default_factory=Counter)
    found: Counter[How] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, how: How, table: str, row: str | None, why: str, *, place: int | None = None) -> None:
        """Notes a finding."""
        self.found[how] += 1
        if len(self.findings) < MOST_LISTED:
            self.findings.append(Finding(how, table, row, why, place))

    def names(self, table: str, row: str | None = None) -> bool:
        """Whether a finding names this row; or any row of the table."""
        return any(one.table == table and row in {None, one.row} for one in self.findings)

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.found

    def as_json(self) -> dict[str, Any]:
        """The report in plain JSON values."""
        return {
            "intact": self.intact,
            "log": self.origin,
            "size": self.size,
            "root": self.root.hex(),
            "waiting": self.waiting,
            "checked": dict(self.checked),
            "erased": dict(self.erased),
            "found": {how.value: count for how, count in self.found.items()},
            "findings": [finding.as_json() for finding in self.findings],
        }
