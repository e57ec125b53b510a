"""Named symmetric secrets, made once, sealed in the database, and the same in every process."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from keys.entropy import Entropy
from keys.models import Secret
from keys.sealing import MasterKey, seal, unseal


async def ensure_secret(
    session: AsyncSession, master: MasterKey, name: str, *, nbytes: int = 32, now: datetime, entropy: Entropy
) -> bytes:
    """Returns the secret of this name, making it if there is none.

    Two processes that start at the same moment both try; the database keeps the first and ignores the second, and both
    read back the one that was kept. Nothing is returned that is not in the database.
    """
    existing = await _find(session, master, name)
    if existing is not None:
        return existing
    sealed = seal(master, entropy.token_bytes(nbytes), context=_context(name), entropy=entropy)
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    await session.execute(
        dialect.insert(Secret).values(name=name, sealed=sealed, created_at=now).on_conflict_do_nothing()
    )
    kept = await _find(session, master, name)
    if kept is None:
        raise RuntimeError(f"the secret {name!r} was written and is not there")
    return kept


async def load_secrets(session: AsyncSession, master: MasterKey) -> dict[str, bytes]:
    """Opens every named secret. Raises `SealBroken` when the master key is not theirs."""
    rows = await session.execute(select(Secret.name, Secret.sealed))
    return {name: unseal(master, sealed, context=_context(name)) for name, sealed in rows}


async def _find(session: AsyncSession, master: MasterKey, name: str) -> bytes | None:
    sealed = await session.scalar(select(Secret.sealed).where(Secret.name == name))
    return None if sealed is None else unseal(master, sealed, context=_context(name))


def _context(name: str) -> bytes:
    return b"keys/secret/" + name.encode()
