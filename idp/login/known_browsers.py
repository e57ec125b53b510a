"""Which browsers an account has logged in from, so that strangers' guesses elsewhere do not count against them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from idp.database import Base
from keys.columns import Id, UtcDateTime


class KnownBrowser(Base):
    """A browser, by the SHA-256 of its secret, in which an account has logged in."""

    __tablename__ = "idp_known_browsers"
    __table_args__ = (Index("ix_idp_known_browsers_last_at", "last_at"),)

    account_id: Mapped[str] = mapped_column(Id, ForeignKey("idp_accounts.id"), primary_key=True)
    browser_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)


async def remember_browser(session: AsyncSession, *, account_id: str, browser_sha256: bytes, now: datetime) -> None:
    """Notes that this account has just logged in from this browser."""
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    statement = insert(KnownBrowser).values(account_id=account_id, browser_sha256=browser_sha256, last_at=now)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[KnownBrowser.account_id, KnownBrowser.browser_sha256],
            set_={"last_at": statement.excluded.last_at},
        )
    )
