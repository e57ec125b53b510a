"""A log in memory, for tests of the formats: its tree, its signer, its witnesses, and what it serves."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from consent.log.checkpoint import Checkpoint
from consent.log.merkle import Frontier, Node, consistency_proof, inclusion_proof, leaf_hash
from consent.log.note import Note, new_note
from consent.log.proof import LogProof
from consent.log.signers import NoteSigner, cosigner, ed25519_signer

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ORIGIN = "log.example/consent"


def seed(name: str) -> bytes:
    """A seed that is the same in every run."""
    return sha256(name.encode()).digest()


LOG = ed25519_signer(ORIGIN, seed("the log"))
OTHER_LOG = ed25519_signer("log.example/other", seed("the other log"))
WITNESSES = [cosigner(f"w{number}.example", seed(f"witness {number}")) for number in range(4)]


@dataclass
class GrowingLog:
    """Appends leaves and answers for every size that it ever had."""

    signer: NoteSigner = LOG
    leaves: list[bytes] = field(default_factory=list)
    nodes: dict[Node, bytes] = field(default_factory=dict)
    frontier: Frontier = field(default_factory=Frontier)

    def append(self, *leaves: bytes) -> "GrowingLog":
        """Appends leaves, given by their data."""
        self.leaves.extend(leaves)
        self.frontier = self.frontier.extend(map(leaf_hash, leaves), self.nodes.__setitem__)
        return self

    def read(self, level: int, number: int) -> bytes:
        """The hash of a complete subtree."""
        return self.nodes[Node(level, number)]

    def root(self, size: int | None = None) -> bytes:
        """The root at some size."""
        return Frontier().extend(map(leaf_hash, self.leaves[:size])).root()

    def checkpoint(self, size: int | None = None, *, cosigners: list[NoteSigner] | None = None) -> Note:
        """A signed checkpoint, cosigned by some."""
        size = len(self.leaves) if size is None else size
        text = Checkpoint(self.signer.vkey.name, size, self.root(size)).text()
        return new_note(text, [signer.sign(text, now=NOW) for signer in [self.signer, *(cosigners or [])]])

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """The consistency proof between two sizes."""
        return consistency_proof(old, len(self.leaves) if new is None else new, self.read)

    def proof(
        self,
        index: int,
        size: int | None = None,
        *,
        extra: bytes | None = None,
        cosigners: list[NoteSigner] | None = None,
    ) -> LogProof:
        """The proof of logging of one leaf."""
        size = len(self.leaves) if size is None else size
        hashes = tuple(inclusion_proof(index, size, self.read))
        return LogProof(index, hashes, self.checkpoint(size, cosigners=cosigners), extra)


def numbered_leaves(count: int, prefix: str = "leaf") -> list[bytes]:
    """Leaves that differ."""
    return [f"{prefix} {number}".encode() for number in range(count)]
