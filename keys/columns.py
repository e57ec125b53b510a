"""Column types that SQLite and PostgreSQL both keep exactly."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import JSON, TIMESTAMP, BigInteger, Dialect, TypeDecorator, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, to the microsecond: aware in, aware and in UTC out. A naive datetime raises `ValueError`.

    SQLite has no type for it and drops time zones without a word, so there it is a count of microseconds since 1970:
    exact, and ordered as time is.
    """

    impl = TIMESTAMP(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """BIGINT on SQLite, TIMESTAMP WITH TIME ZONE elsewhere."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(TIMESTAMP(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuses a datetime that does not say which moment it is."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError("a naive datetime is no moment: pass an aware one")
        return (value - _EPOCH) // _MICROSECOND if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy passes it
        """Gives the moment back in UTC."""
        if value is None:
            return None
        if isinstance(value, int):
            return _EPOCH + value * _MICROSECOND
        moment: datetime = value
        return moment.astimezone(UTC)


# None is SQL NULL, not the JSON text "null": `IS NULL` must find it. JSONB does not keep the order of members, so what
# is hashed or signed goes through `keys.encoding.canonical_json` and never through the database's own text.
Json: Final[TypeEngine[Any]] = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

# A UUID, as lower-case text with hyphens in Python.
Id: Final[TypeEngine[str]] = Uuid(as_uuid=False)
