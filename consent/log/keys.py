"""The log's own keys: which log it is, and how its checkpoints are signed.

They are not rotated with the keys for tokens: a receipt of ten years ago must verify by the key that was published
then.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from consent.log.checkpoint import Checkpoint
from consent.log.errors import Unavailable
from consent.log.note import Note, new_note
from consent.log.signers import Signer, ed25519_signer, ml_dsa_signer
from consent.log.vkey import VerifierKey

ED25519_SECRET: Final = "log.ed25519"  # noqa: S105 - the name of a secret
ML_DSA_SECRET: Final = "log.mldsa44"  # noqa: S105 - likewise
SECRETS: Final = (ED25519_SECRET, ML_DSA_SECRET)


@dataclass(frozen=True)
class LogKeys:
    """Who signs for the log named `origin`: Ed25519 for everybody, ML-DSA-44 where this machine has it."""

    origin: str
    ed25519: Signer
    ml_dsa: Signer | None

    _secret: Callable[[str], bytes] = field(repr=False, compare=False)

    @classmethod
    def open(cls, origin: str, secret: Callable[[str], bytes]) -> Self:
        """The keys of a log, from its named secrets. Raises `FormatRefused` on a name that no log can have.

        The same secrets under another origin make other keys: an origin is part of a key's id, and of what is signed.
        """
        try:
            ml_dsa: Signer | None = ml_dsa_signer(origin, secret(ML_DSA_SECRET))
        except Unavailable:
            ml_dsa = None
        return cls(origin, ed25519_signer(origin, secret(ED25519_SECRET)), ml_dsa, secret)

    def under(self, origin: str) -> Self:
        """The keys of the same secrets under another name: the log's earlier one, or its next."""
        return self.open(origin, self._secret)

    @property
    def signers(self) -> tuple[Signer, ...]:
        """Everybody who signs a checkpoint."""
        return (self.ed25519,) if self.ml_dsa is None else (self.ed25519, self.ml_dsa)

    @property
    def vkeys(self) -> tuple[VerifierKey, ...]:
        """The public keys, Ed25519 first."""
        return tuple(signer.vkey for signer in self.signers)

    def sign(self, *, size: int, root: bytes, now: datetime) -> Note:
        """The checkpoint of a tree, signed. Whoever calls this has made sure that no other tree of it ever will be.

        Spec: C2SP tlog-checkpoint, Signatures
        """
        text = Checkpoint(self.origin, size, root).text()
        return new_note(text, [signer.sign(text, now=now) for signer in self.signers])
