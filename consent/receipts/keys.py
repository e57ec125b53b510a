"""The key for receipts: one of its own, because a receipt is looked at long after every token has died.

A token's key is forgotten when its tokens have expired. The public half of this one is published for good, so that a
receipt of ten years ago verifies by the key that was published then; the private half goes as soon as another signs.
Spec: RFC 8037 §2; RFC 8725 §3.5 and §3.11.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.locking import hold
from consent.receipts.errors import NoReceiptKey
from consent.receipts.models import ReceiptKey
from consent.vault import vault_of
from keys.jwks import jwks_document
from keys.key import generate_private, private_from_bytes, private_to_bytes, public_jwk
from keys.local import LocalSigner

ALG: Final = "EdDSA"
_LOCK: Final = "receipt key"


@dataclass(frozen=True, slots=True)
class ListedReceiptKey:
    """What an operator may see of a key."""

    kid: str
    created_at: datetime
    replaced_at: datetime | None
    revoked_at: datetime | None

    @property
    def state(self) -> str:
        """`signing`, `verifying` (published, signs no more) or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "signing" if self.replaced_at is None else "verifying"


async def ensure_receipt_key(session: AsyncSession, *, now: datetime) -> str:
    """Sees to it that there is a key that signs. Returns its kid."""
    found = await _signing(session)
    if found is None:
        # Two processes that start together would make two.
        await hold(session, _LOCK)
        found = await _signing(session)
    return found.kid if found is not None else await _make(session, now=now)


async def rotate_receipt_key(session: AsyncSession, *, now: datetime) -> str:
    """Makes another key sign. The one before loses its private part and stays published. Returns the new kid.

    Signing with it begins at once: a receipt names its key, and whoever keeps an older list of keys fetches it again.
    """
    await hold(session, _LOCK)
    await session.execute(
        update(ReceiptKey).where(ReceiptKey.replaced_at.is_(None)).values(replaced_at=now, sealed_private=None)
    )
    return await _make(session, now=now)


async def revoke_receipt_key(session: AsyncSession, kid: str, *, now: datetime) -> None:
    """Stops publishing a key that leaked: what it signed is believed no more. Error: `NoReceiptKey`.

    If it is the one that signs, another is made. Receipts of it are fetched again; the log proves the events all along.
    """
    await hold(session, _LOCK)
    revoked = await session.scalar(
        update(ReceiptKey)
        .where(ReceiptKey.kid == kid)
        .values(revoked_at=now, sealed_private=None, replaced_at=now)
        .returning(ReceiptKey.kid)
    )
    if revoked is None:
        raise NoReceiptKey(f"no key for receipts has the kid {kid}")
    await ensure_receipt_key(session, now=now)


async def receipt_signer(session: AsyncSession) -> LocalSigner | None:
    """The key that signs now; None before the first was made (`ensure_receipt_key`, which writes)."""
    found = await _signing(session)
    if found is None:
        return None
    sealed = vault_of(session).nobodys.unseal(found.sealed_private, context=_context(found.kid))
    return LocalSigner(ALG, found.kid, private_from_bytes(sealed))


async def receipt_jwks(session: AsyncSession) -> dict[str, Any]:
    """Every key by which receipts are believed, of today and of long ago, as a JWK Set.

    Spec: RFC 7517 §5
    """
    rows = await session.scalars(select(ReceiptKey.public_jwk).where(ReceiptKey.revoked_at.is_(None)))
    return jwks_document(rows.all())


async def list_receipt_keys(session: AsyncSession) -> Sequence[ListedReceiptKey]:
    """Every key there ever was, newest first."""
    rows = await session.execute(
        select(ReceiptKey.kid, ReceiptKey.created_at, ReceiptKey.replaced_at, ReceiptKey.revoked_at).order_by(
            ReceiptKey.created_at.desc(), ReceiptKey.kid
        )
    )
    return [ListedReceiptKey(*row) for row in rows]


async def _signing(session: AsyncSession) -> Any:
    rows = await session.execute(
        select(ReceiptKey.kid, ReceiptKey.sealed_private)
        .where(ReceiptKey.replaced_at.is_(None), ReceiptKey.sealed_private.is_not(None))
        .order_by(ReceiptKey.created_at.desc(), ReceiptKey.kid)
        .limit(1)
    )
    return rows.one_or_none()


async def _make(session: AsyncSession, *, now: datetime) -> str:
    vault = vault_of(session)
    private = generate_private(ALG)
    jwk = public_jwk(private, alg=ALG)
    kid: str = jwk["kid"]
    sealed = vault.nobodys.seal(private_to_bytes(private), context=_context(kid), entropy=vault.entropy)
    await session.execute(insert(ReceiptKey).values(kid=kid, public_jwk=jwk, sealed_private=sealed, created_at=now))
    return kid


def _context(kid: str) -> bytes:
    # Bound to its place: whoever can write to the table cannot have one key sign in another's name.
    return b"consent_receipt_keys/" + kid.encode()
