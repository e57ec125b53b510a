"""PostgreSQL: straight to asyncpg, each call one statement and one round trip, which is a transaction by itself.

SQLAlchemy's way there (session, greenlet, cursor, result) costs 200 to 600 µs a statement, asyncpg's own 20 to 40.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy import CTE, Insert, Table, bindparam, insert, select
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.compiler import SQLCompiler

from idp.driver.places import Places
from idp.driver.statement import Core, Once, Row, Statement, Values
from keys.columns import UtcDateTime

# What SQLAlchemy adds to the options of a connection for itself.
_NOT_ASYNCPGS: Final = (
    "async_fallback",
    "async_creator_fn",
    "prepared_statement_cache_size",
    "prepared_statement_name_func",
)
_WAIT_SECONDS: Final = 10
_JSONB_VERSION: Final = b"\x01"


class _Record(asyncpg.Record):  # type: ignore[misc]  # asyncpg has no types
    """A row whose columns are attributes, as SQLAlchemy's are."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement's text, the names of its values in order, those with a value of their own, and those of moments."""

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    moments: tuple[str, ...]

    def arguments(self, values: Values) -> list[Any]:
        """The values in order. Errors: `ValueError` for a naive datetime, `KeyError` for a value that was not given."""
        for name in self.moments:
            moment = values[name]
            if moment is not None and moment.tzinfo is None:
                # asyncpg would take it for local time.
                raise ValueError("a naive datetime is no moment: pass an aware one")
        if self.constants:
            values = {**self.constants, **values}
        return [values[name] for name in self.names]


class PostgresqlDriver:
    """Connections of its own, at most `connections`, opened when they are needed.

    A connection goes back only after a clean answer. Whatever else happened to it (a cancelled request, a lost server),
    it is thrown away: nobody ever gets one that is in the middle of something.
    """

    def __init__(self, engine: AsyncEngine, *, connections: int) -> None:
        self._dialect = engine.dialect
        _, options = engine.dialect.create_connect_args(engine.url)
        self._options = {name: value for name, value in options.items() if name not in _NOT_ASYNCPGS}
        self._compiled: dict[object, _Compiled] = {}
        self._places = Places(connections, seconds=_WAIT_SECONDS)
        self._idle: list[Any] = []
        self._closed = False
        self.listeners: list[Callable[[str], None]] = []

    async def row(self, statement: Statement, values: Values) -> Row | None:
        """Runs a statement; without BEGIN and COMMIT around it, PostgreSQL commits it before it answers."""
        compiled = self._compiled.get(statement)
        if compiled is None:
            compiled = self._compiled[statement] = compile_statement(statement.core, self._dialect)
        return await self._send(compiled.sql, compiled.arguments(values))

    async def once(self, once: Once, values: Values, then: Mapping[Table, Values]) -> Row | None:
        """The update and what follows from it as one statement: PostgreSQL does all of it or nothing."""
        which = (once, *then)
        compiled = self._compiled.get(which)
        if compiled is None:
            compiled = self._compiled[which] = compile_once(once, tuple(then), self._dialect)
        named = dict(values)
        for table, row in then.items():
            for column, value in row.items():
                named[_name_in(table, column)] = value
        return await self._send(compiled.sql, compiled.arguments(named))

    async def close(self) -> None:
        """Closes every connection; one that is under way is thrown away when it is done."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()

    async def _send(self, sql: str, arguments: list[Any]) -> Row | None:
        for listener in self.listeners:
            listener(sql)
        await self._places.take()
        try:
            connection = await self._take()
            try:
                row: Row | None = await connection.fetchrow(sql, *arguments)
            except asyncpg.PostgresError:
                # The server said no, undid the statement, and listens again.
                self._give_back(connection)
                raise
            except BaseException:
                connection.terminate()
                raise
            self._give_back(connection)
            return row
        finally:
            self._places.give_back()

    async def _take(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await _connect(self._options)

    def _give_back(self, connection: Any) -> None:
        if self._closed:
            connection.terminate()
        elif not connection.is_closed():
            self._idle.append(connection)


async def _connect(options: Mapping[str, Any]) -> Any:
    try:
        connection = await asyncpg.connect(
            **options, record_class=_Record, max_cached_statement_lifetime=0, timeout=_WAIT_SECONDS
        )
    except TimeoutError:
        # Where requests are read, a `TimeoutError` is the sender's fault.
        raise ConnectionError("the database did not answer in time") from None
    try:
        # Our column types in Python are text for a UUID and plain values for JSON. Set here, they cost no look at each
        # column of each row. The json module writes every integer; orjson only reads, which is where the time goes.
        await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=_json_out, decoder=_json_in, format="binary"
        )
    except BaseException:
        connection.terminate()
        raise
    return connection


def _json_out(value: Any) -> bytes:
    return _JSONB_VERSION + json.dumps(value).encode()


def _json_in(data: bytes) -> Any:
    return orjson.loads(data[1:])


def compile_statement(core: Core, dialect: Dialect) -> _Compiled:
    """The text that SQLAlchemy would send, and where its values come from."""
    compiled = core.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    names = tuple(compiled.positiontup or ())
    binds = {name: compiled.binds[name] for name in names}
    return _Compiled(
        sql=str(compiled),
        names=names,
        constants={name: bind.value for name, bind in binds.items() if not bind.required},
        moments=tuple(name for name, bind in binds.items() if bind.required and isinstance(bind.type, UtcDateTime)),
    )


def compile_once(once: Once, tables: tuple[Table, ...], dialect: Dialect) -> _Compiled:
    """`WITH first AS (UPDATE … RETURNING …), then_1 AS (INSERT … SELECT … FROM first), … SELECT … FROM first`.

    What the update did not hit has no row in `first`, and so nothing is inserted.
    """
    first = once.update.cte("first")
    inserts = [_insert_for_each(first, table).cte(f"then_{number}") for number, table in enumerate(tables, 1)]
    return compile_statement(select(first).add_cte(*inserts), dialect)


def _insert_for_each(first: CTE, table: Table) -> Insert:
    values = [bindparam(_name_in(table, column.name), type_=column.type) for column in table.columns]
    return insert(table).from_select([column.name for column in table.columns], select(*values).select_from(first))


def _name_in(table: Table, column: str) -> str:
    # Two tables have columns of one name.
    return f"{table.name}_{column}"
