"""What a command works with: the settings, the database, the master key, the time."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import ConsentError
from consent.log.errors import LogError
from idp.accounts.errors import AccountRefused
from idp.audit import AuditKind, record
from idp.cli.output import Refused
from idp.clients.management import ClientRefused
from idp.clock import system_clock
from idp.database import Database
from idp.provider import load_master_key, vault_for
from idp.settings import Settings
from keys.entropy import Entropy, SystemEntropy
from keys.errors import KeysError
from keys.sealing import MasterKey

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Context:
    """An open database and what goes with it, for one command."""

    settings: Settings
    database: Database
    entropy: Entropy
    now: datetime

    @property
    def master_key(self) -> MasterKey:
        """The key that seals the others, read when a command needs it."""
        return load_master_key(self.settings)

    async def note(
        self,
        session: AsyncSession,
        kind: AuditKind,
        *,
        account_id: str | None = None,
        client_id: str | None = None,
        **detail: str | int,
    ) -> None:
        """Records for the audit what an operator did, in the transaction that did it."""
        await record(
            session,
            kind,
            now=self.now,
            entropy=self.entropy,
            account_id=account_id,
            client_id=client_id,
            detail={"by": "operator", **detail},
        )


def read_settings() -> Settings:
    """The settings from the environment; what is wrong with them in one line."""
    try:
        return Settings.from_environment()
    except ValidationError as wrong:
        told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in wrong.errors())
        raise Refused(told) from None
    except ValueError as wrong:
        raise Refused(str(wrong)) from None


def settings_of_a_database() -> Settings:
    """The settings, when their database is there. SQLite would else complain in words of its own."""
    settings = read_settings()
    url = make_url(settings.url)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        raise Refused(f"there is no database at {url.database} yet; run: satupintu db upgrade")
    return settings


@asynccontextmanager
async def opened() -> AsyncIterator[Context]:
    """Opens the database of the settings for one command."""
    settings = settings_of_a_database()
    entropy = SystemEntropy()
    vault = vault_for(settings, entropy)
    database = Database(settings.url, vault=vault, pool_size=1, synchronous=settings.database_synchronous)
    try:
        yield Context(settings=settings, database=database, entropy=entropy, now=system_clock())
    finally:
        await database.dispose()


def run(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Runs a command's work, and turns what it refuses into one line."""
    try:
        return asyncio.run(work)
    except (ConsentError, LogError, ClientRefused, AccountRefused, KeysError) as refused:
        raise Refused(str(refused)) from None
    except (DBAPIError, OSError) as broken:
        raise Refused(
            f"the database does not answer as it should ({_first_line(broken)}); try: satupintu db check"
        ) from None
    except SQLAlchemyError as broken:
        raise Refused(_first_line(broken)) from None


def _first_line(error: BaseException) -> str:
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]
