"""Once means once: identifiers that may be used a single time, remembered in the database until they expire."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from idp.database import Base
from keys.columns import UtcDateTime


class UsedOnce(Base):
    """An identifier that has been used, within its kind and issuer."""

    __tablename__ = "idp_used_once"
    __table_args__ = (Index("ix_idp_used_once_expires_at", "expires_at"),)

    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    issuer: Mapped[str] = mapped_column(String(200), primary_key=True)
    identifier: Mapped[str] = mapped_column(String(300), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


async def use_once(session: AsyncSession, *, kind: str, issuer: str, identifier: str, expires_at: datetime) -> bool:
    """Whether this is the first use. It holds across processes and restarts."""
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    statement = (
        insert(UsedOnce)
        .values(kind=kind, issuer=issuer, identifier=identifier, expires_at=expires_at)
        .on_conflict_do_nothing()
        .returning(UsedOnce.identifier)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None
