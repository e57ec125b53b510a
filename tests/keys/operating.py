"""An operator of the ring, who takes each step in a transaction of its own, as the product does, and may crash."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from keys.entropy import SystemEntropy
from keys.errors import UnknownKey
from keys.jws import verify_jwt
from keys.key import ALL_ALGS
from keys.models import SigningKey
from keys.ring import Advanced, KeyRing, advance, ensure_ring, list_keys, retire, rotate
from keys.sealing import MasterKey
from tests.keys.making import NOW

Factory = async_sessionmaker[AsyncSession]
ENTROPY = SystemEntropy()
ALG = "ES256"
PUBLISH = timedelta(minutes=10)
VERIFY = timedelta(hours=1)


class Crash(Exception):
    pass


class Operator:
    """Each step in a transaction of its own, as the product does it."""

    def __init__(self, factory: Factory, master: MasterKey) -> None:
        self.factory = factory
        self.master = master

    async def ensure(self, *algs: str, now: datetime = NOW) -> tuple[str, ...]:
        async with self.factory.begin() as session:
            return await ensure_ring(session, self.master, algs=algs or (ALG,), now=now, entropy=ENTROPY)

    async def rotate(self, now: datetime = NOW, alg: str = ALG) -> str:
        async with self.factory.begin() as session:
            return await rotate(session, self.master, alg=alg, now=now, entropy=ENTROPY)

    async def advance(self, now: datetime) -> Advanced:
        async with self.factory.begin() as session:
            return await advance(session, now=now, publish_for=PUBLISH, verify_for=VERIFY)

    async def retire(self, kid: str, now: datetime = NOW, *, force: bool = False) -> None:
        async with self.factory.begin() as session:
            await retire(session, kid, now=now, force=force)

    @asynccontextmanager
    async def crashing(self) -> AsyncIterator[AsyncSession]:
        """A transaction that does everything and then ends without its commit."""
        with suppress(Crash):
            async with self.factory.begin() as session:
                yield session
                raise Crash

    async def ring(self) -> KeyRing:
        async with self.factory() as session:
            return await KeyRing.load(session, self.master)

    async def states(self, alg: str = ALG) -> dict[str, str]:
        async with self.factory() as session:
            return {key.kid: key.state for key in await list_keys(session) if key.alg == alg}

    async def rows(self) -> dict[str, Any]:
        async with self.factory() as session:
            return {row.kid: row for row in await session.scalars(select(SigningKey))}


def believed(ring: KeyRing, token: str, now: datetime = NOW) -> bool:
    try:
        verify_jwt(
            token,
            keys=ring.verification_keys(),
            expected_algs=ALL_ALGS,
            expected_typ="at+jwt",
            now=now,
            verify_expiry=False,
        )
    except UnknownKey:
        return False
    return True


def published(ring: KeyRing) -> set[str]:
    return {jwk["kid"] for jwk in ring.public_jwks()}
