"""What a driver is given, and what it promises.

Each call is one transaction of its own, durable when it returns: a look-up, an insert, an `Once` with what follows from
it, or a `Batch` of many requests' rows. There is no transaction that stays open while Python thinks, so none can be
forgotten or half done: a hot operation looks, decides, and then writes everything that it has to write in one go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Column, ColumnElement, Delete, FromClause, Insert, Select, Table, Update
from sqlalchemy.sql.dml import ReturningUpdate

Core: TypeAlias = Select[*tuple[Any, ...]] | Insert | Update | Delete
Values: TypeAlias = Mapping[str, Any]
Then: TypeAlias = Mapping[Table, Values | Sequence[Values]]


class Row(Protocol):
    """One row, its columns by name or by position."""

    def __getattr__(self, name: str) -> Any: ...
    def __getitem__(self, part: slice) -> tuple[Any, ...]: ...


@dataclass(frozen=True, eq=False)
class Statement:
    """A Core statement that is made once, when its module is imported, and compiled once by each driver.

    Its values are named by `bindparam`, or by its columns when it is an insert.
    """

    core: Core


@dataclass(frozen=True, eq=False)
class Once:
    """An `UPDATE … WHERE not yet … RETURNING`: of all who send it for one row, one gets the row and the others nothing.

    It is sent with the rows that may exist only if it hit: the tokens of a code, the successor of a refresh token.
    """

    update: ReturningUpdate[*tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of many requests, each of which may be written only while a row of another table stands.

    Each is one row in every one of `tables`; columns of one name have one value. `fixed` are the columns that are the
    same for all, and are not sent. It may be written while there is a row of another table that has in each column of
    `stands` what this row has under that name, and for which `holds` is true; nobody can change that row before all is
    committed. `key` names what a row is told by.
    """

    tables: tuple[Table, ...]
    fixed: Values
    key: str
    stands: Mapping[str, Column[Any]]
    holds: ColumnElement[bool]

    @property
    def guard(self) -> FromClause:
        """The table of what stands."""
        return next(iter(self.stands.values())).table


class Driver(Protocol):
    """A way to the database. A naive datetime raises `ValueError`; faults are the database library's own errors."""

    async def row(self, statement: Statement, values: Values) -> Row | None:
        """Runs a statement; the first row that it returns, if it returns any."""
        ...

    async def once(self, once: Once, values: Values, then: Then) -> Row | None:
        """Runs the update and, if it hit, inserts the rows of `then` into their tables: all of it or nothing of it.

        Returns the updated row; nothing, when another was faster, and then nothing was written.
        """
        ...

    async def batch(self, batch: Batch, rows: Sequence[Values], *, waits: bool = False) -> frozenset[Any]:
        """Writes those of the rows that may be written, and returns their keys. An error: none of them is written.

        A row whose guard somebody is changing at this moment is left out, unless the batch `waits` to see what comes
        of it. Only one row at a time may wait: several could wait for others that wait for them.
        """
        ...

    async def close(self) -> None:
        """Lets go of the connections."""
        ...
