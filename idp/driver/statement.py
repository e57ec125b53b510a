"""What a driver is given, and what it promises.

Each call is one transaction of its own, durable when it returns: a look-up, an insert, or an `Once` with what follows
from it. There is no transaction that stays open while Python thinks, so none can be forgotten or half done: a hot
operation looks, decides, and then writes everything that it has to write in one go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Delete, Insert, Select, Table, Update
from sqlalchemy.sql.dml import ReturningUpdate

Core: TypeAlias = Select[*tuple[Any, ...]] | Insert | Update | Delete
Values: TypeAlias = Mapping[str, Any]


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


class Driver(Protocol):
    """A way to the database. A naive datetime raises `ValueError`; faults are the database library's own errors."""

    async def row(self, statement: Statement, values: Values) -> Row | None:
        """Runs a statement; the first row that it returns, if it returns any."""
        ...

    async def once(self, once: Once, values: Values, then: Mapping[Table, Values]) -> Row | None:
        """Runs the update and, if it hit, inserts a row into each table of `then`: all of it or nothing of it.

        Returns the updated row; nothing, when another was faster, and then nothing was written.
        """
        ...

    async def close(self) -> None:
        """Lets go of the connections."""
        ...
