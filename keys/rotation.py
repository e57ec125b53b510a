"""The life of a signing key: pending → signing → verifying → retired, one safe step at a time.

    pending    published in the JWKS, signs nothing yet: every relying party gets to know it first
    signing    the one that signs; at most one per algorithm
    verifying  signs no more (its private part is gone); tokens that it signed are still out there
    retired    no token of it can be alive; not published, not believed, kept as a record

Why a crash between any two steps leaves a ring that works. No function here commits: each is one step, and the caller
gives it a transaction of its own. A step either happened whole or not at all, so the only states that can be found
after a crash are the states between steps, and in each of them the algorithm has exactly one signing key:

    after `ensure_ring`   one signing key
    after `rotate`        the same signing key, and one pending beside it. Never advanced? The old key goes on.
    after `advance`       the successor signs and the former verifies: both changes are in one transaction
    after a retirement    only a key that signs nothing went, or its successor took over in the same transaction

Every step looks at what is there and does what is missing, so repeating one is harmless: `ensure_ring` and `rotate`
find their key, `advance` finds nothing due, `retire` finds the key retired.

Why two processes doing the same step at once leave one signing key. A partial unique index admits one pending and one
signing key per algorithm; insertions say ON CONFLICT DO NOTHING; every change of state is an UPDATE by kid that names
the state it leaves (`WHERE kid = … AND state = …`) and looks at what it returned. Whoever comes second changes no row,
and undoes its half of a handover by the savepoint around it.

Why no relying party and no process meets an unknown key. `publish_for` must be at least the JWKS document's max-age
plus the ring's reload interval, so that whoever cached the set before the key was in it has fetched it again. A process
may sign with the former key until it next reloads, so `verify_for` must be at least that interval plus the longest
lifetime of any token. Whoever calls `advance` owes both.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from keys.entropy import Entropy
from keys.errors import KeyRefused
from keys.key import generate_private, private_to_bytes, public_jwk
from keys.models import SigningKey
from keys.sealing import MasterKey, seal


@dataclass(frozen=True, slots=True)
class ListedKey:
    """What an operator may see of a key."""

    kid: str
    alg: str
    state: str
    created_at: datetime
    published_at: datetime
    signing_since: datetime | None
    verifying_since: datetime | None
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class Advanced:
    """What one `advance` changed, by kid."""

    promoted: tuple[str, ...] = ()
    demoted: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.promoted) + len(self.demoted) + len(self.retired)


async def ensure_ring(
    session: AsyncSession, master: MasterKey, *, algs: Iterable[str], now: datetime, entropy: Entropy
) -> tuple[str, ...]:
    """Sees to it that each algorithm has a signing key. Returns the kids that this call brought to signing.

    The very first key of an algorithm signs at once: nobody has cached a JWKS without it. Of two processes that start
    together, one inserts and the other's insertion is ignored by the database.
    """
    begun: list[str] = []
    for alg in sorted(set(algs)):
        if await _kid_in(session, alg, "signing") is not None:
            continue
        waiting = await _kid_in(session, alg, "pending")
        if waiting is None:
            made = await _insert(session, master, alg=alg, state="signing", now=now, entropy=entropy)
            begun.extend(made)
        elif await _hand_over(session, successor=waiting, former=None, now=now):
            begun.append(waiting)
    return tuple(begun)


async def rotate(session: AsyncSession, master: MasterKey, *, alg: str, now: datetime, entropy: Entropy) -> str:
    """Begins a rotation: publishes a successor that will sign once everybody knows it. Returns its kid.

    When a successor is waiting already, that one is the answer. `advance` does the rest, when its time has come.
    """
    waiting = await _kid_in(session, alg, "pending")
    if waiting is None:
        await _insert(session, master, alg=alg, state="pending", now=now, entropy=entropy)
        waiting = await _kid_in(session, alg, "pending")
    if waiting is None:
        raise KeyRefused(f"another process finished a rotation of {alg} at this moment: ask again")
    return waiting


async def advance(session: AsyncSession, *, now: datetime, publish_for: timedelta, verify_for: timedelta) -> Advanced:
    """Takes every step that is due, and says which. Call it often, from any number of processes.

    A pending key that was published for `publish_for` becomes the signing key, and the former one loses its private
    part in the same transaction. A verifying key retires when `verify_for` has passed since it was demoted.
    """
    promoted: list[str] = []
    demoted: list[str] = []
    due = await session.execute(
        select(SigningKey.kid, SigningKey.alg)
        .where(SigningKey.state == "pending", SigningKey.published_at <= now - publish_for)
        .order_by(SigningKey.alg)
    )
    for kid, alg in due.all():
        former = await _kid_in(session, alg, "signing")
        if await _hand_over(session, successor=kid, former=former, now=now):
            promoted.append(kid)
            demoted.extend([former] if former is not None else [])
    retired = await _change(
        session,
        SigningKey.state == "verifying",
        SigningKey.verifying_since <= now - verify_for,
        state="retired",
        retired_at=now,
    )
    return Advanced(tuple(promoted), tuple(demoted), tuple(sorted(retired)))


async def retire(session: AsyncSession, kid: str, *, now: datetime, force: bool = False) -> None:
    """Retires a key at once, because it leaked or on somebody's order. Its tokens are believed no more.

    Raises `KeyRefused` for an unknown kid, and for a signing key unless `force` is given and a successor is pending:
    that one takes over in the same transaction, known to relying parties or not, since a leaked key must go first.
    """
    row = (await session.execute(select(SigningKey.alg, SigningKey.state).where(SigningKey.kid == kid))).one_or_none()
    if row is None:
        raise KeyRefused(f"no key has the kid {kid!r}")
    alg, state = row
    if state == "signing":
        successor = await _kid_in(session, alg, "pending")
        if not force or successor is None:
            raise KeyRefused(f"{kid!r} is the only key that signs {alg}: rotate first, then retire it by force")
        if not await _hand_over(session, successor=successor, former=kid, now=now):
            raise KeyRefused(f"another process changed the keys of {alg} at this moment: look again")
    # Any state that signs nothing, read by the UPDATE itself: the key may have been promoted since we looked.
    retired = await _change(
        session,
        SigningKey.kid == kid,
        SigningKey.state != "signing",
        state="retired",
        sealed_private=None,
        **({} if state == "retired" else {"retired_at": now}),
    )
    if not retired:
        raise KeyRefused(f"{kid!r} began to sign at this moment: look again")


async def list_keys(session: AsyncSession) -> Sequence[ListedKey]:
    """Every key there ever was, newest first within its algorithm."""
    rows = await session.execute(
        select(
            SigningKey.kid,
            SigningKey.alg,
            SigningKey.state,
            SigningKey.created_at,
            SigningKey.published_at,
            SigningKey.signing_since,
            SigningKey.verifying_since,
            SigningKey.retired_at,
        ).order_by(SigningKey.alg, SigningKey.created_at.desc(), SigningKey.kid)
    )
    return [ListedKey(*row) for row in rows]


def sealing_context(kid: str) -> bytes:
    """The place of a private key, to which its seal is bound."""
    return b"keys/signing-key/" + kid.encode()


async def _hand_over(session: AsyncSession, *, successor: str, former: str | None, now: datetime) -> bool:
    """Makes the successor sign and the former verify, both or neither. False when another process was faster."""
    savepoint = await session.begin_nested()
    try:
        # The former goes first, for the unique index admits one; by its kid, for "whichever signs" could by now be the
        # successor itself, promoted by another process. What is undone below would have lost its private part.
        if former is not None:
            done = await _change(
                session,
                SigningKey.kid == former,
                SigningKey.state == "signing",
                state="verifying",
                verifying_since=now,
                sealed_private=None,
            )
            if not done:
                await savepoint.rollback()
                return False
        done = await _change(
            session,
            SigningKey.kid == successor,
            SigningKey.state == "pending",
            state="signing",
            signing_since=now,
        )
    except IntegrityError:
        await savepoint.rollback()
        return False
    if not done:
        await savepoint.rollback()
        return False
    await savepoint.commit()
    return True


async def _insert(
    session: AsyncSession, master: MasterKey, *, alg: str, state: str, now: datetime, entropy: Entropy
) -> Sequence[str]:
    # Making an RSA key takes a good part of a second, which is too long for the event loop.
    private = await asyncio.to_thread(generate_private, alg)
    jwk = public_jwk(private, alg=alg)
    kid = jwk["kid"]
    sealed = seal(master, private_to_bytes(private), context=sealing_context(kid), entropy=entropy)
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    inserted = await session.scalars(
        dialect.insert(SigningKey)
        .values(
            kid=kid,
            alg=alg,
            use="sig",
            state=state,
            public_jwk=jwk,
            sealed_private=sealed,
            created_at=now,
            published_at=now,
            signing_since=now if state == "signing" else None,
        )
        .on_conflict_do_nothing()
        .returning(SigningKey.kid)
    )
    return inserted.all()


async def _kid_in(session: AsyncSession, alg: str, state: str) -> str | None:
    kid: str | None = await session.scalar(
        select(SigningKey.kid).where(SigningKey.alg == alg, SigningKey.state == state)
    )
    return kid


async def _change(session: AsyncSession, *where: Any, **values: Any) -> Sequence[str]:
    """A conditional UPDATE; returns the kids that it changed, which is how a caller learns that it came second."""
    changed = await session.scalars(
        update(SigningKey)
        .where(*where)
        .values(**values)
        .returning(SigningKey.kid)
        .execution_options(synchronize_session=False)
    )
    return changed.all()
