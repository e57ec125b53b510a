"""PostgreSQL: straight to asyncpg, each call one statement and one round trip, which is a transaction by itself.

SQLAlchemy's way there (session, greenlet, cursor, result) costs 200 to 600 µs a statement, asyncpg's own 20 to 40.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy import (
    CTE,
    Insert,
    Table,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    column,
    insert,
    literal,
    select,
    values,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.compiler import SQLCompiler

from idp.driver.places import Places
from idp.driver.statement import Batch, Core, Once, Row, Statement, Then, Values
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


@dataclass(frozen=True, slots=True)
class _CompiledBatch:
    """A batch of `size` rows: its text, a row's columns, those of moments, and the values around the rows."""

    sql: str
    size: int
    columns: tuple[str, ...]
    moments: tuple[str, ...]
    before: tuple[Any, ...]
    after: tuple[Any, ...]

    def arguments(self, rows: Sequence[Values]) -> list[Any]:
        """The values in order; rows that are not there are nothing but NULL."""
        given = list(self.before)
        given.extend([row[name] for row in rows for name in self.columns])
        given.extend([None] * (len(self.columns) * (self.size - len(rows))))
        given.extend(self.after)
        return given


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
        self._batches: dict[tuple[Batch, bool, int], _CompiledBatch] = {}
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

    async def once(self, once: Once, values: Values, then: Then) -> Row | None:
        """The update and what follows from it as one statement: PostgreSQL does all of it or nothing."""
        rows = tuple(_rows_of(then))
        tables = tuple(table for table, _ in rows)
        compiled = self._compiled.get((once, tables))
        if compiled is None:
            compiled = self._compiled[once, tables] = compile_once(once, tables, self._dialect)
        named = dict(values)
        for number, (_, row) in enumerate(rows, 1):
            for name, value in row.items():
                named[_name_in(number, name)] = value
        return await self._send(compiled.sql, compiled.arguments(named))

    async def batch(self, batch: Batch, rows: Sequence[Values], *, waits: bool = False) -> frozenset[Any]:
        """All rows in one statement: as many round trips and commits as for one row.

        There is a statement for each power of two, and empty rows fill it up, so that each is prepared once.
        """
        size = 1 << (len(rows) - 1).bit_length()
        compiled = self._batches.get((batch, waits, size))
        if compiled is None:
            compiled = self._batches[batch, waits, size] = compile_batch(batch, self._dialect, waits=waits, size=size)
        for name in compiled.moments:
            if any(row[name] is not None and row[name].tzinfo is None for row in rows):
                raise ValueError("a naive datetime is no moment: pass an aware one")
        written = await self._send_for_all(compiled.sql, compiled.arguments(rows))
        return frozenset(row[0] for row in written)

    async def close(self) -> None:
        """Closes every connection; one that is under way is thrown away when it is done."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()

    async def _send(self, sql: str, arguments: list[Any]) -> Row | None:
        row: Row | None = await self._sent(sql, lambda connection: connection.fetchrow(sql, *arguments))
        return row

    async def _send_for_all(self, sql: str, arguments: list[Any]) -> list[Any]:
        rows: list[Any] = await self._sent(sql, lambda connection: connection.fetch(sql, *arguments))
        return rows

    async def _sent(self, sql: str, send: Callable[[Any], Awaitable[Any]]) -> Any:
        for listener in self.listeners:
            listener(sql)
        await self._places.take()
        try:
            connection = await self._take()
            try:
                answer = await send(connection)
            except asyncpg.PostgresError:
                # The server said no, undid the statement, and listens again.
                self._give_back(connection)
                raise
            except BaseException:
                connection.terminate()
                raise
            self._give_back(connection)
            return answer
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
    required = {name: bind for name, bind in compiled.binds.items() if bind.required}
    # `IN (…)` of values that are known is written out only when the statement is about to be sent, which is now.
    state = compiled.construct_expanded_state(dict.fromkeys(required))
    names = tuple(state.positiontup or ())
    return _Compiled(
        sql=state.statement,
        names=names,
        constants={name: state.parameters[name] for name in names if name not in required},
        moments=tuple(name for name in names if name in required and isinstance(required[name].type, UtcDateTime)),
    )


def compile_once(once: Once, tables: tuple[Table, ...], dialect: Dialect) -> _Compiled:
    """`WITH first AS (UPDATE … RETURNING …), then_1 AS (INSERT … SELECT … FROM first), … SELECT … FROM first`.

    What the update did not hit has no row in `first`, and so nothing is inserted.
    """
    first = once.update.cte("first")
    inserts = [_insert_for_each(first, number, table).cte(f"then_{number}") for number, table in enumerate(tables, 1)]
    return compile_statement(select(first).add_cte(*inserts), dialect)


def _insert_for_each(first: CTE, number: int, table: Table) -> Insert:
    values = [bindparam(_name_in(number, column.name), type_=column.type) for column in table.columns]
    return insert(table).from_select([column.name for column in table.columns], select(*values).select_from(first))


def _rows_of(then: Then) -> Iterator[tuple[Table, Values]]:
    for table, rows in then.items():
        for row in (rows,) if isinstance(rows, Mapping) else rows:
            yield table, row


def _name_in(number: int, column: str) -> str:
    # Two rows have columns of one name.
    return f"then_{number}_{column}"


def compile_batch(batch: Batch, dialect: Dialect, *, waits: bool, size: int) -> _CompiledBatch:
    """`WITH given AS (VALUES …), standing AS (… FOR SHARE), then_1 AS (INSERT … SELECT …), … SELECT … FROM standing`.

    The share lock is what makes the order true: whoever ends what stands waits until these rows are committed, or has
    ended it before, and then they are not written. Spec: PostgreSQL, Explicit Locking, Row-Level Locks.
    """
    types = {one.name: one.type for table in batch.tables for one in table.columns if one.name not in batch.fixed}
    types = {name: one.type for name, one in batch.stands.items()} | types
    # UUIDs are text in Python, and are sent as they are: as UUIDs, each would pass through our codec.
    sent = {name: Text() if isinstance(kind, Uuid) else kind for name, kind in types.items()}
    rows = values(*(column(name, kind) for name, kind in sent.items()), name="row").data(
        [tuple(bindparam(f"row_{number}_{name}", type_=kind) for name, kind in sent.items()) for number in range(size)]
    )
    as_kept = {
        name: cast(rows.c[name], kind) if sent[name] is not kind else rows.c[name] for name, kind in types.items()
    }
    given = select(*(one.label(name) for name, one in as_kept.items())).cte("given")
    standing = (
        select(given.c[batch.key], *(one for one in given.c if one.name != batch.key))
        .join(batch.guard, and_(*(one == given.c[name] for name, one in batch.stands.items())))
        .where(batch.holds)
        .with_for_update(read=True, of=batch.guard, skip_locked=not waits)
        .cte("standing")
    )
    inserts = []
    for number, table in enumerate(batch.tables, 1):
        # What is None in every row is left out: that is what it becomes.
        names = [one.name for one in table.columns if batch.fixed.get(one.name, ...) is not None]
        written = [
            literal(batch.fixed[name], table.c[name].type) if name in batch.fixed else standing.c[name]
            for name in names
        ]
        chosen = select(*written).select_from(standing)
        inserts.append(insert(table).from_select(names, chosen, include_defaults=False).cte(f"then_{number}"))
    compiled = compile_statement(select(standing.c[batch.key]).add_cte(*inserts), dialect)
    ours = [f"row_{number}_{name}" for number in range(size) for name in types]
    first = compiled.names.index(ours[0])
    last = first + len(ours)
    assert list(compiled.names[first:last]) == ours, "the rows stand together"
    return _CompiledBatch(
        sql=compiled.sql,
        size=size,
        columns=tuple(types),
        moments=tuple(name for name, kind in types.items() if isinstance(kind, UtcDateTime)),
        before=tuple(compiled.constants[name] for name in compiled.names[:first]),
        after=tuple(compiled.constants[name] for name in compiled.names[last:]),
    )
