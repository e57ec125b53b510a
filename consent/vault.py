"""The keys of people, kept sealed under the master key, one row each; and the key of what is about nobody.

A database session knows its vault (`vault_of`), because nothing about a person can be written or read without it.
Destroying a person's key is what erases them: see `consent/erasure/`.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import cached_property
from typing import Final
from uuid import UUID

from sqlalchemy import LargeBinary, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from consent.errors import Erased
from consent.locking import dialect_of
from consent.models import Base
from keys.columns import Id, UtcDateTime
from keys.entropy import Entropy
from keys.personal import PersonalKey
from keys.sealing import MasterKey, seal, unseal

VAULT: Final = "consent.vault"  # where a session's `info` has it


class PersonKey(Base):
    """One person's key, sealed under the master key.

    Once the person has been erased `sealed` is gone, and `subject_id` is `Vault.name_of_erased` of what it was.
    """

    __tablename__ = "consent_person_keys"

    subject_id: Mapped[str] = mapped_column(Id, primary_key=True)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    destroyed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Vault:
    """Opens people's keys, and makes them. It remembers the keys used last: opening one costs two derivations.

    A remembered key is found by its sealed form, as the database has it now; so one that was destroyed is never found.
    The master key is loaded when it is first needed, for much can be done to a database without it.
    """

    def __init__(self, master: Callable[[], MasterKey], entropy: Entropy, *, remembers: int = 20_000) -> None:
        self.entropy = entropy
        self._load = master
        self._remembers = remembers
        self._opened: OrderedDict[bytes, PersonalKey] = OrderedDict()

    @cached_property
    def _master(self) -> MasterKey:
        return self._load()

    @cached_property
    def nobodys(self) -> PersonalKey:
        """The key of what concerns no person: the registry, the operators' deeds."""
        return PersonalKey(self._master.subkey(b"consent/nobody"))

    def make(self, subject_id: str) -> tuple[PersonalKey, bytes]:
        """A new key for a person, and its sealed form."""
        key, secret = PersonalKey.generate(self.entropy)
        return key, seal(self._master, secret, context=_context(subject_id), entropy=self.entropy)

    def open(self, subject_id: str, sealed: bytes | None) -> PersonalKey:
        """A person's key from its sealed form. Errors: `Erased` when there is none any more; `SealBroken`."""
        if sealed is None:
            raise Erased(f"the data of {subject_id} was erased")
        key = self._opened.get(sealed)
        if key is None:
            key = PersonalKey(unseal(self._master, sealed, context=_context(subject_id)))
            self._opened[sealed] = key
            if len(self._opened) > self._remembers:
                self._opened.popitem(last=False)
        else:
            self._opened.move_to_end(sealed)
        return key

    def name_of_erased(self, subject_id: str) -> str:
        """What stands for an erased person's id: only who has the master key can tell whose it was, from the id.

        So the id is in no table any more, and yet is never written about again.
        """
        return str(UUID(bytes=self.nobodys.opening(f"erased {subject_id}")[:16], version=5))


def _context(subject_id: str) -> bytes:
    return b"consent/person/" + subject_id.encode()


def vault_of(session: AsyncSession) -> Vault:
    """The vault of the database that the session belongs to."""
    vault: Vault = session.info[VAULT]
    return vault


async def key_of(session: AsyncSession, subject_id: str, *, now: datetime) -> PersonalKey:
    """A person's key, made when it is first needed. Error: `Erased`: an id is never given to anybody again."""
    vault = vault_of(session)
    either = (subject_id, vault.name_of_erased(subject_id))
    # Held until the transaction ends: what is written with the key must not be written with one that is just going.
    kept = select(PersonKey.sealed).where(PersonKey.subject_id.in_(either)).with_for_update(read=True, key_share=True)
    found = (await session.execute(kept)).one_or_none()
    if found is not None:
        return vault.open(subject_id, found.sealed)
    _, sealed = vault.make(subject_id)
    dialect = postgresql if dialect_of(session) == "postgresql" else sqlite
    # Two first events at once both try; the database keeps one, and both read back the one that was kept.
    await session.execute(
        dialect.insert(PersonKey)
        .values(subject_id=subject_id, sealed=sealed, created_at=now, destroyed_at=None)
        .on_conflict_do_nothing()
    )
    return vault.open(subject_id, await session.scalar(kept))


async def keys_of(session: AsyncSession, subject_ids: Collection[str]) -> Mapping[str, PersonalKey]:
    """The keys of those of these people who have one. Whoever was erased, or never written about, is left out."""
    vault = vault_of(session)
    rows = await session.execute(
        select(PersonKey.subject_id, PersonKey.sealed).where(
            PersonKey.subject_id.in_(set(subject_ids)), PersonKey.sealed.is_not(None)
        )
    )
    return {row.subject_id: vault.open(row.subject_id, row.sealed) for row in rows}
