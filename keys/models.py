"""The tables of `keys`: signing keys and named secrets, private parts sealed under the master key."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, LargeBinary, MetaData, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from keys.columns import Json, UtcDateTime

# Every constraint has a name that both databases and every migration agree on.
NAMING_CONVENTION: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

_ONE_OF_EACH = text("state IN ('pending', 'signing')")


class Base(DeclarativeBase):
    """The tables of `keys`."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class SigningKey(Base):
    """One key of the ring, from its creation to long after it is gone.

    The partial unique index is what makes rotation safe among processes: of one algorithm, at most one key waits and
    at most one signs, whoever else is rotating at the same moment.
    """

    __tablename__ = "keys_signing_keys"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'signing', 'verifying', 'retired')", name="state"),
        CheckConstraint("use = 'sig'", name="use"),
        CheckConstraint(
            "sealed_private IS NULL OR state IN ('pending', 'signing')", name="no_private_part_after_signing"
        ),
        Index(
            "uq_keys_signing_keys_alg_state",
            "alg",
            "state",
            unique=True,
            postgresql_where=_ONE_OF_EACH,
            sqlite_where=_ONE_OF_EACH,
        ),
    )

    kid: Mapped[str] = mapped_column(String(200), primary_key=True)
    alg: Mapped[str] = mapped_column(String(20))
    use: Mapped[str] = mapped_column(String(3), default="sig")
    state: Mapped[str] = mapped_column(String(20))
    public_jwk: Mapped[dict[str, Any]] = mapped_column(Json)
    sealed_private: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    published_at: Mapped[datetime] = mapped_column(UtcDateTime)
    signing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    verifying_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Secret(Base):
    """A named symmetric secret, such as the one from which pairwise subjects are derived."""

    __tablename__ = "keys_secrets"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
