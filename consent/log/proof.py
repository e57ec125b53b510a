"""A proof of logging: one text that shows, offline, that a leaf is in a log and that witnesses have seen that log.

Spec: C2SP tlog-proof
"""

from dataclasses import dataclass
from typing import Final

from consent.log.checkpoint import Checkpoint
from consent.log.encoding import base64_of, from_base64, from_decimal, hash_from_base64
from consent.log.errors import FormatRefused, ProofRefused
from consent.log.merkle import leaf_hash, verify_inclusion
from consent.log.note import MAX_NOTE_BYTES, Note
from consent.log.policy import Policy

HEADER: Final = "c2sp.org/tlog-proof@v1"
FILE_SUFFIX: Final = ".tlog-proof"
MAX_HASHES: Final = 63
MAX_EXTRA_BYTES: Final = 16 * 1024
_MAX_HEAD_CHARACTERS: Final = 32 * 1024


@dataclass(frozen=True)
class LogProof:
    """What a proof says, nothing of it verified. `extra` is not authenticated by anything in the proof."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes | None = None

    @classmethod
    def parse(cls, text: str) -> "LogProof":
        """Reads a proof. Raises `FormatRefused` or `NoteRefused`.

        Spec: C2SP tlog-proof, Format
        """
        head, blank, checkpoint = text.partition("\n\n")
        if not blank or len(head) > _MAX_HEAD_CHARACTERS or len(checkpoint) > MAX_NOTE_BYTES:
            raise FormatRefused("a proof is a head, a blank line and a checkpoint, each of a sensible size")
        header, *lines = head.split("\n")
        if header != HEADER:
            raise FormatRefused(f"a proof begins with {HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = from_base64(lines.pop(0).removeprefix("extra "), what="a proof's extra data")
        if not lines or not lines[0].startswith("index "):
            raise FormatRefused("a proof says its index")
        index = from_decimal(lines.pop(0).removeprefix("index "), what="a proof's index")
        if len(lines) > MAX_HASHES:
            raise FormatRefused(f"a proof with more than {MAX_HASHES} hashes")
        hashes = tuple(hash_from_base64(line, what="a hash of the proof") for line in lines)
        return cls(index, hashes, Note.parse(checkpoint), extra)

    def __str__(self) -> str:
        extra = [] if self.extra is None else [f"extra {base64_of(self.extra)}"]
        lines = [HEADER, *extra, f"index {self.index}", *map(base64_of, self.hashes), "", str(self.checkpoint)]
        return "\n".join(lines)


@dataclass(frozen=True)
class ProvenLeaf:
    """A leaf that is in a log: where, in which tree, and which of the policy's witnesses have seen that tree."""

    index: int
    checkpoint: Checkpoint
    witnesses: tuple[str, ...]
    cosigned_at: tuple[int, ...]


def verify_proof(proof: LogProof, *, leaf_data: bytes, policy: Policy, expected_origin: str) -> ProvenLeaf:
    """Checks that a leaf is in the log `expected_origin`, by what the reader trusts (`policy`) and the proof alone.

    Raises `NoteRefused` when the checkpoint is not the log's word, `ProofRefused` when the leaf is not in its tree or
    it is another log's, and `QuorumMissed` when too few of the policy's witnesses have cosigned it.

    Spec: C2SP tlog-proof, Verifying a tlog proof
    """
    opened = policy.open(proof.checkpoint)
    checkpoint = opened.checkpoint
    if checkpoint.origin != expected_origin:
        raise ProofRefused(f"the checkpoint is of the log {checkpoint.origin} and not of {expected_origin}")
    verify_inclusion(
        index=proof.index,
        size=checkpoint.size,
        leaf=leaf_hash(leaf_data),
        proof=proof.hashes,
        root=checkpoint.root,
    )
    witnesses = policy.require_quorum(opened)
    known = {witness.key for witness in policy.witnesses}
    times = (verified.timestamp for verified in opened.verified if verified.key in known)
    return ProvenLeaf(proof.index, checkpoint, witnesses, tuple(time for time in times if time is not None))
