"""Asking the witnesses: each by itself, so that a dead one keeps nobody waiting, and never inside a transaction.

What is asked for is the newest checkpoint alone. A witness that missed some is not behind: cosigning the newest says
the same of all before it.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from consent.log.keys import LogKeys
from consent.log.note import VerifiedSignature
from consent.log.policy import TrustedWitness
from consent.log.prove import consistency
from consent.log.publish import NothingPublished, OpensSession, PublishedLog, Rules
from consent.log.store import SignedCheckpoint, checkpoint_at, head_of, replace_note, set_halted
from consent.log.vkey import VerifierKey
from consent.log.witness_client import Post, WitnessAhead, WitnessRefused, WitnessUnreachable, ask_for_cosignatures

log = structlog.get_logger()

LONGEST_PAUSE: Final = 60.0
_ATTEMPTS: Final = 5

Wire = Callable[[str], AbstractAsyncContextManager[Post]]
"""Opens the wire to the witness at a URL."""


@dataclass(frozen=True)
class Asked:
    """One witness as it is asked: where, and by which of its keys it is believed."""

    url: str
    keys: frozenset[VerifierKey]

    def has_signed(self, checkpoint: SignedCheckpoint) -> bool:
        """Whether each of its keys is on the stored note, where only verified signatures get."""
        on_it = {(signature.name, signature.key_id) for signature in checkpoint.note.signatures}
        return all((key.name, key.id) in on_it for key in self.keys)


def to_ask(witnesses: Iterable[TrustedWitness]) -> tuple[Asked, ...]:
    """Whom to ask: one for each URL, whose several keys answer together. Witnesses without a URL are not asked."""
    keys: dict[str, set[VerifierKey]] = {}
    for witness in witnesses:
        if witness.url is not None:
            keys.setdefault(witness.url, set()).add(witness.key)
    return tuple(Asked(url, frozenset(several)) for url, several in keys.items())


class Witnessing:
    """Keeps the newest checkpoint cosigned, for as long as it runs."""

    def __init__(
        self,
        *,
        published: PublishedLog,
        wire: Wire,
        transaction: OpensSession,
        clock: Callable[[], datetime],
        interval: float,
    ) -> None:
        self.published = published
        self.witnesses = to_ask(published.rules.policy.witnesses)
        self._wire = wire
        self._transaction = transaction
        self._clock = clock
        self._interval = interval

    async def run(self) -> None:
        """Asks every witness, each in its own rhythm, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for witness in self.witnesses:
                group.create_task(self._tend(witness))

    async def _tend(self, witness: Asked) -> None:
        """Asks one witness, and waits longer and longer while it does not answer as it should."""
        old, failures = 0, 0
        async with self._wire(witness.url) as post:
            while True:
                try:
                    asked = await self.ask(witness, post, old=old)
                except (WitnessRefused, WitnessUnreachable, NothingPublished) as refused:
                    if not isinstance(refused, NothingPublished):
                        log.warning("witness_does_not_cosign", url=witness.url, why=refused.why)
                    await asyncio.sleep(min(LONGEST_PAUSE, self._interval * 2 ** min(failures, 10)))
                    failures += 1
                    continue
                failures = 0
                if asked is None:
                    await asyncio.sleep(self._interval)
                else:
                    old = asked

    async def ask(self, witness: Asked, post: Post, *, old: int) -> int | None:
        """Has one witness cosign the newest checkpoint, and keeps the cosignature; None when it has cosigned already.

        `old` is the size that it cosigned last; the answer is the next one. Raises `WitnessRefused`,
        `WitnessUnreachable`; `NothingPublished` and `RolledBack` as `PublishedLog.newest`.
        """
        checkpoint = await self.published.newest()
        if witness.has_signed(checkpoint):
            return None

        async def prove_from(size: int) -> Sequence[bytes]:
            async with self.published.reading() as session:
                return await consistency(session, size, checkpoint.size)

        try:
            signatures = await ask_for_cosignatures(
                checkpoint.note,
                old=min(old, checkpoint.size),
                prove_from=prove_from,
                post=post,
                witness_keys=witness.keys,
                now=self._clock(),
            )
        except WitnessAhead as ahead:
            await self._check_ahead(witness, ahead)
            raise
        async with self._transaction() as session:
            await keep_cosignatures(
                session,
                checkpoint.size,
                signatures,
                rules=self.published.rules,
                keys=self.published.keys,
                now=self._clock(),
            )
        return checkpoint.size

    async def _check_ahead(self, witness: Asked, ahead: WitnessAhead) -> None:
        """Stops the log if the witness knows more of it than the database has: then the database is an older copy.

        The head is read after the answer. A tree is committed before any witness is asked about it, so one that the
        witness has cosigned and the database has not is gone from the database.
        """
        async with self.published.reading() as session:
            head = await head_of(session)
        if head is None or head.size >= ahead.knows:
            return
        why = f"the witness at {witness.url} has cosigned {ahead.knows} leaves, and the database has {head.size}"
        log.critical("log_stopped", why=why)
        async with self._transaction() as session:
            await set_halted(session, why, now=self._clock())


async def keep_cosignatures(
    session: AsyncSession,
    size: int,
    signatures: Iterable[VerifiedSignature],
    *,
    rules: Rules,
    keys: LogKeys,
    now: datetime,
) -> None:
    """Adds verified cosignatures to the stored checkpoint, whoever else does so at the same moment."""
    lines = [verified.signature for verified in signatures]
    for _ in range(_ATTEMPTS):
        stored = await checkpoint_at(session, size)
        if stored is None:
            return
        note = stored.note.signed_also(lines)
        enough = rules.met_by(rules.open(note, keys))
        cosigned_at = stored.cosigned_at or (now if enough else None)
        if await replace_note(session, stored, note, cosigned_at=cosigned_at):
            return
    raise WitnessUnreachable(f"the note of {size} leaves is being changed too often")
