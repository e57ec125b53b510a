"""What of the log is public now: the newest checkpoint that may be shown, and the tiles that it covers."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

from anyio import to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from consent.log.errors import FormatRefused, LogError
from consent.log.guard import Guard, refuse_rollback
from consent.log.keys import LogKeys
from consent.log.note import Note, OpenCheckpoint, open_checkpoint
from consent.log.policy import Policy, TrustedWitness
from consent.log.store import SignedCheckpoint, newest_checkpoints, read_tiles
from consent.log.tiles import WIDTH, Tile, width_at

TRUST_FORMAT: Final = "satupintu-trust/1"
# How far back a checkpoint is looked for that a changed policy believes.
_FURTHEST: Final = 20
_REMEMBERED: Final = 100


class OpensSession(Protocol):
    """A database session that only reads."""

    def __call__(self) -> AbstractAsyncContextManager[AsyncSession]: ...


class NothingPublished(LogError):
    """There is no checkpoint yet that may be shown."""


@dataclass(frozen=True)
class Rules:
    """Which witnesses are known, and how many of them must have cosigned what is shown.

    `text` is the operator's policy file; None without one, and then the newest checkpoint is shown as it is.
    """

    policy: Policy = field(default_factory=Policy)
    text: str | None = None

    @classmethod
    def of(cls, text: str | None, keys: LogKeys, also: Sequence[TrustedWitness] = ()) -> Self:
        """Reads the policy. Raises `FormatRefused`, also when it is for other logs only.

        `also` are witnesses to ask that no policy names; they count for no quorum.
        """
        policy = Policy() if text is None else Policy.parse(text)
        if policy.logs and not any(log.key in keys.vkeys for log in policy.logs):
            raise FormatRefused(f"the policy does not list this log; its keys are {' '.join(map(str, keys.vkeys))}")
        known = {witness.key.public for witness in policy.witnesses}
        extra = tuple(witness for witness in also if witness.key.public not in known)
        return cls(Policy(policy.logs, policy.witnesses + extra, policy.groups, policy.quorum), text)

    def open(self, note: Note, keys: LogKeys) -> OpenCheckpoint:
        """Verifies a checkpoint of our own with the cosignatures on it. Raises `NoteRefused`."""
        return open_checkpoint(
            note, log_keys=set(keys.vkeys), witness_keys={witness.key for witness in self.policy.witnesses}
        )

    def met_by(self, opened: OpenCheckpoint) -> bool:
        """Whether enough witnesses have cosigned."""
        return self.policy.met_by(self.policy.witnesses_of(opened))


class PublishedLog:
    """The log as everybody may see it. One for each process."""

    def __init__(self, *, keys: LogKeys, guard: Guard, rules: Rules, reading: OpensSession) -> None:
        self.keys = keys
        self.guard = guard
        self.rules = rules
        # Sessions of its own: one that has read before may stand at a moment before what is served now.
        self.reading = reading
        self._believed: dict[str, bool] = {}
        self._covered = 0

    async def newest(self) -> SignedCheckpoint:
        """The newest checkpoint that was signed, to be shown to witnesses. Raises `NothingPublished`, `RolledBack`.

        It goes into the guard's file first: whatever leaves this host is never ahead of that.
        """
        known = self.guard.known()
        async with self.reading() as session:
            newest = next(iter(await newest_checkpoints(session)), None)
            stored = None if newest is None else newest.checkpoint
            await refuse_rollback(session, self.guard, known=known, stored=stored)
        if newest is None:
            raise NothingPublished("the log is empty, and its first checkpoint is still to be signed")
        if known is None or known.size < newest.size:
            await to_thread.run_sync(self.guard.advance, newest.note)
        return newest

    async def served(self) -> SignedCheckpoint:
        """The checkpoint to show: the newest that satisfies the policy. Raises `NothingPublished`, `RolledBack`."""
        newest = await self.newest()
        if self.rules.text is None or self.believes(newest):
            return self._showing(newest)
        async with self.reading() as session:
            for checkpoint in await newest_checkpoints(session, cosigned=True, limit=_FURTHEST):
                if self.believes(checkpoint):
                    return self._showing(checkpoint)
        raise NothingPublished("no checkpoint has yet been cosigned by as many witnesses as the policy wants")

    def _showing(self, checkpoint: SignedCheckpoint) -> SignedCheckpoint:
        self._covered = max(self._covered, checkpoint.size)
        return checkpoint

    def believes(self, checkpoint: SignedCheckpoint) -> bool:
        """Whether our key has signed this checkpoint, and as many witnesses as the policy wants have cosigned it."""
        known = self._believed.get(checkpoint.text)
        if known is None:
            try:
                known = self.rules.met_by(self.rules.open(checkpoint.note, self.keys))
            except LogError:
                known = False
            if len(self._believed) >= _REMEMBERED:
                self._believed.clear()
            self._believed[checkpoint.text] = known
        return known

    async def tile(self, tile: Tile) -> bytes | None:
        """A tile's bytes, if the checkpoint that is shown covers it; None otherwise.

        Spec: C2SP tlog-tiles, Partial Tiles
        """
        if not _covers(self._covered, tile):
            try:
                size = (await self.served()).size
            except NothingPublished:
                return None
            if not _covers(size, tile):
                return None
        async with self.reading() as session:
            return (await read_tiles(session, [tile]))[tile]

    def trust(self, receipt_keys: Mapping[str, Any]) -> dict[str, Any]:
        """What a reader needs to believe receipts: the log's key, the policy, the keys for receipts (a JWK Set).

        The log's ML-DSA key is listed in the policy, beside the other: a policy may list several keys of one log.
        """
        return {
            "format": TRUST_FORMAT,
            "log": str(self.keys.ed25519.vkey),
            "policy": self.policy_text(),
            "receipts": dict(receipt_keys),
        }

    def policy_text(self) -> str:
        """The policy as others can use it, with this log's keys in it.

        Spec: C2SP tlog-policy
        """
        logs = "".join(f"log {vkey}\n" for vkey in self.keys.vkeys)
        if self.rules.text is None:
            witnesses = "".join(f"witness {w.name} {w.key}\n" for w in self.rules.policy.witnesses)
            return f"{logs}{witnesses}quorum none\n"
        own = self.rules.text if self.rules.text.endswith("\n") else f"{self.rules.text}\n"
        return own if self.rules.policy.logs else logs + own


def _covers(size: int, tile: Tile) -> bool:
    return tile.number * WIDTH + tile.width <= width_at(size, tile.level)
