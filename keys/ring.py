"""The key ring as a process sees it: who signs, who is believed, and how it learns of a rotation elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from keys.errors import NoSigningKey, NoSuchSecret
from keys.key import ALL_ALGS, private_from_bytes
from keys.local import LocalSigner
from keys.models import SigningKey
from keys.rotation import Advanced, ListedKey, advance, ensure_ring, list_keys, retire, rotate, sealing_context
from keys.sealing import MasterKey, unseal
from keys.secrets import ensure_secret, load_secrets
from keys.signer import Signer
from keys.verification import VerificationKeys

__all__ = [
    "Advanced",
    "KeyRing",
    "ListedKey",
    "RingCache",
    "SessionFactory",
    "advance",
    "ensure_ring",
    "ensure_secret",
    "list_keys",
    "retire",
    "rotate",
]

SessionFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[AsyncSession]]

_MOST_KEYS: Final = 1000  # our own ring is not a stranger's input; this only bounds a mistake
RELOAD_INTERVAL: Final = timedelta(seconds=30)
UNKNOWN_KEY_INTERVAL: Final = timedelta(seconds=5)


class KeyRing:
    """The ring at one moment. It never changes; `RingCache` puts a newer one in its place."""

    __slots__ = ("_public_jwks", "_secrets", "_signers", "_verification")

    def __init__(
        self, signers: Mapping[str, Signer], public_jwks: Sequence[dict[str, Any]], secrets: Mapping[str, bytes]
    ) -> None:
        self._signers = dict(signers)
        self._public_jwks = tuple(public_jwks)
        self._verification = VerificationKeys.from_jwks({"keys": list(public_jwks)}, ALL_ALGS, max_keys=_MOST_KEYS)
        self._secrets = dict(secrets)

    @classmethod
    async def load(cls, session: AsyncSession, master: MasterKey, *, previous: "KeyRing | None" = None) -> "KeyRing":
        """Reads the ring and opens the keys that sign. Raises `SealBroken` when the master key is not theirs.

        A key that `previous` has open is taken from there: opening an RSA key takes tens of milliseconds.
        """
        opened = {} if previous is None else previous._signers
        rows = await session.execute(
            select(SigningKey.kid, SigningKey.alg, SigningKey.state, SigningKey.public_jwk, SigningKey.sealed_private)
            .where(SigningKey.state != "retired")
            .order_by(SigningKey.kid)
        )
        signers: dict[str, Signer] = {}
        public_jwks = []
        for kid, alg, state, jwk, sealed in rows:
            public_jwks.append(jwk)
            if state == "signing":
                signers[alg] = _signer(master, kid, alg, sealed, opened=opened.get(alg))
        return cls(signers, public_jwks, await load_secrets(session, master))

    @property
    def algs(self) -> frozenset[str]:
        """The algorithms that the ring can sign with, as discovery announces them."""
        return frozenset(self._signers)

    def signer_for(self, alg: str) -> Signer:
        """The key that signs this algorithm now. Raises `NoSigningKey`."""
        signer = self._signers.get(alg)
        if signer is None:
            raise NoSigningKey(f"the ring has no signing key for {alg}")
        return signer

    def verification_keys(self) -> VerificationKeys:
        """The keys against which our own tokens are verified: pending, signing and verifying ones.

        Pending ones too: another process may have promoted one already and signed with it.
        """
        return self._verification

    def public_jwks(self) -> list[dict[str, Any]]:
        """What is published: pending keys before they sign, verifying keys for as long as their tokens live."""
        return [dict(jwk) for jwk in self._public_jwks]

    def secret(self, name: str) -> bytes:
        """A named symmetric secret. Raises `NoSuchSecret` when `ensure_secret` was never called for it."""
        secret = self._secrets.get(name)
        if secret is None:
            raise NoSuchSecret(f"the ring has no secret named {name!r}")
        return secret

    def __repr__(self) -> str:
        return f"<KeyRing signing {sorted(self._signers)}, {len(self._public_jwks)} public keys>"


def _signer(master: MasterKey, kid: str, alg: str, sealed: bytes, *, opened: Signer | None) -> Signer:
    # The kid is the thumbprint of the key, so the same kid is the same key.
    if opened is not None and opened.kid == kid:
        return opened
    return LocalSigner(alg, kid, private_from_bytes(unseal(master, sealed, context=sealing_context(kid))))


class RingCache:
    """The ring in a running process, read again in time to see what other processes did.

    Call `refresh_if_stale` on every request (it costs a comparison) or from a loop, and `refresh_for_unknown_key` when
    one of our own tokens names a key that this process does not know. A rotation is so seen within `RELOAD_INTERVAL`.
    """

    def __init__(self, master: MasterKey, ring: KeyRing, *, loaded_at: datetime) -> None:
        self._master = master
        self._ring = ring
        self._tried_at = loaded_at
        self._loading = False

    @classmethod
    async def start(cls, session_factory: SessionFactory, master: MasterKey, *, now: datetime) -> "RingCache":
        """Reads the ring for the first time."""
        async with session_factory() as session:
            return cls(master, await KeyRing.load(session, master), loaded_at=now)

    @property
    def ring(self) -> KeyRing:
        """The latest snapshot. It is replaced in one assignment: no reader sees half of two."""
        return self._ring

    async def refresh_if_stale(
        self, session_factory: SessionFactory, *, now: datetime, max_age: timedelta = RELOAD_INTERVAL
    ) -> KeyRing:
        """Reads the ring again if the last attempt is `max_age` ago, and returns the latest snapshot.

        One caller reads; the others go on with the snapshot they have, and nobody waits in line behind a slow database.
        A read that fails raises here, once per `max_age`, and leaves the old snapshot in place.
        """
        # A clock that was set back counts as stale; otherwise the ring would stand still until time catches up.
        fresh = timedelta(0) <= now - self._tried_at < max_age
        if fresh or self._loading:
            return self._ring
        self._loading = True
        self._tried_at = now
        try:
            async with session_factory() as session:
                self._ring = await KeyRing.load(session, self._master, previous=self._ring)
        finally:
            self._loading = False
        return self._ring

    async def refresh_for_unknown_key(self, session_factory: SessionFactory, *, now: datetime) -> KeyRing:
        """Reads the ring again for a token with an unknown kid, but not for each: a stranger can send a million."""
        return await self.refresh_if_stale(session_factory, now=now, max_age=UNKNOWN_KEY_INTERVAL)
