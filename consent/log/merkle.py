"""The Merkle tree: hashing, growing, proving and checking. Pure functions over SHA-256.

A complete subtree is named by (level, number): it covers the leaves [number * 2^level, (number + 1) * 2^level). Every
hash that a proof needs is one of these or is made of few of them, and none of these ever changes once it is complete,
so a proof can be served from immutable tiles.

Spec: RFC 6962 §2.1; RFC 9162 §2.1
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from consent.log.encoding import HASH_SIZE
from consent.log.errors import ProofRefused

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


class Node(NamedTuple):
    """A complete subtree: number 0, 1, 2 … of those that cover 2^level leaves each."""

    level: int
    number: int


ReadNode = Callable[[int, int], bytes]
"""Returns the hash of the complete subtree (level, number)."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf.

    Its prefix differs from a node's, or a node could be passed off as a leaf of 64 bytes.
    """
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Frontier:
    """The right edge of a tree: enough to append to it and to know its root, in at most 64 hashes.

    `hashes` are the complete subtrees that the size is made of, the largest (leftmost) first: one per bit of `size`.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError(f"a frontier of {self.size} leaves has {self.size.bit_count()} hashes")

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier with one more leaf, given by its hash."""
        return self.extend([leaf])

    def extend(self, leaves: Iterable[bytes], completed: Callable[[Node, bytes], None] | None = None) -> "Frontier":
        """The frontier with more leaves, given by their hashes.

        `completed` is told each subtree that becomes complete, a leaf (level 0) included, in order: children first.
        """
        size, hashes = self.size, list(self.hashes)
        for leaf in leaves:
            level, number, value = 0, size, leaf
            if completed:
                completed(Node(level, number), value)
            # As many subtrees merge as the size has trailing one bits.
            while number & 1:
                level, number, value = level + 1, number >> 1, node_hash(hashes.pop(), value)
                if completed:
                    completed(Node(level, number), value)
            hashes.append(value)
            size += 1
        return Frontier(size, tuple(hashes))

    def root(self) -> bytes:
        """The root hash of the tree at this size."""
        return _fold(self.hashes) if self.hashes else EMPTY_ROOT


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root hash of a tree, from the hashes of all its leaves."""
    return Frontier().extend(leaf_hashes).root()


def nodes_of_range(start: int, end: int) -> tuple[Node, ...]:
    """The complete subtrees, left to right, that the leaves [start, end) are made of.

    For the ranges that proofs speak of (`start` is a multiple of a power of two that is no less than the length),
    folding their hashes from the right gives the range's own hash.
    """
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return tuple(nodes)


def root_nodes(size: int) -> tuple[Node, ...]:
    """The complete subtrees whose hashes are the frontier of a tree of this size."""
    return nodes_of_range(0, size)


def frontier_at(size: int, read: ReadNode) -> Frontier:
    """The frontier of a stored tree at some size."""
    return Frontier(size, tuple(read(*node) for node in root_nodes(size)))


def inclusion_nodes(index: int, size: int) -> list[tuple[Node, ...]]:
    """For each hash of an inclusion proof, from the leaf's sibling up: the complete subtrees that it is folded of.

    Spec: RFC 6962 §2.1.1; RFC 9162 §2.1.3.1
    """
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    start, end, siblings = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((start, middle))
            start = middle
    return [nodes_of_range(*sibling) for sibling in reversed(siblings)]


def consistency_nodes(old: int, new: int) -> list[tuple[Node, ...]]:
    """For each hash of a consistency proof: the complete subtrees that it is folded of.

    Empty when the sizes are equal, or when the old tree is empty, which is consistent with every tree.

    Spec: RFC 6962 §2.1.2; RFC 9162 §2.1.4.1
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} has no earlier size {old}")
    if old in {0, new}:
        return []
    start, end, whole, parts = 0, new, True, []
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((start, middle))
            start, whole = middle, False
    if not whole:
        # The verifier knows the old tree's root only when the old tree is this very subtree; else it must be told.
        parts.append((start, end))
    return [nodes_of_range(*part) for part in reversed(parts)]


def inclusion_proof(index: int, size: int, read: ReadNode) -> list[bytes]:
    """The hashes that lead from a leaf to the root of the tree of some size."""
    return [_fold([read(*node) for node in nodes]) for nodes in inclusion_nodes(index, size)]


def consistency_proof(old: int, new: int, read: ReadNode) -> list[bytes]:
    """The hashes that show that a tree of size `new` begins with the tree of size `old`."""
    return [_fold([read(*node) for node in nodes]) for nodes in consistency_nodes(old, new)]


def root_from_inclusion(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to. Raises `ProofRefused` when it has not the shape that this place needs.

    Spec: RFC 9162 §2.1.3.2
    """
    if not 0 <= index < size:
        raise ProofRefused(f"the proof speaks of leaf {index}, and the tree has {size}")
    _only_hashes([leaf, *proof])
    # `place` is where the walk stands at each level, `last` the rightmost place there.
    place, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofRefused("the inclusion proof is longer than the tree is high")
        if place & 1 or place == last:
            value = node_hash(sibling, value)
            while not place & 1 and place:
                # The rightmost subtree has no sibling at these levels.
                place, last = place >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofRefused("the inclusion proof is shorter than the tree is high")
    return value


def verify_inclusion(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Checks that the leaf with this hash is at `index` in the tree with this root. Raises `ProofRefused`.

    Spec: RFC 9162 §2.1.3.2
    """
    if root_from_inclusion(index=index, size=size, leaf=leaf, proof=proof) != root:
        raise ProofRefused(f"the inclusion proof does not lead from leaf {index} to the root of the tree of {size}")


def verify_consistency(*, old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Checks that the tree of size `new` begins with the tree of size `old`: nothing was changed, nothing taken away.

    Raises `ProofRefused`, also when `old` is 0: nothing can be proved of an empty tree, so whoever starts from
    nothing must say so themselves.

    Spec: RFC 9162 §2.1.4.2
    """
    if not 0 < old <= new:
        raise ProofRefused(f"no consistency proof leads from a tree of {old} to one of {new}")
    _only_hashes(proof)
    if old == new:
        if proof:
            raise ProofRefused("the consistency proof between equal sizes is not empty")
        if old_root != new_root:
            raise ProofRefused(f"two different trees of {old} leaves")
        return
    from_old, from_new = _roots_from_consistency(old, new, proof, old_root)
    if from_old != old_root:
        raise ProofRefused(f"the consistency proof does not lead to the old root, of {old} leaves")
    if from_new != new_root:
        raise ProofRefused(f"the consistency proof does not lead to the new root, of {new} leaves")


def _roots_from_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes) -> tuple[bytes, bytes]:
    # An old tree that is one complete subtree is itself the proof's first hash, and is left out of it.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise ProofRefused("the consistency proof is empty")
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    from_old = from_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofRefused("the consistency proof is longer than the tree is high")
        if place & 1 or place == last:
            from_old, from_new = node_hash(sibling, from_old), node_hash(sibling, from_new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            from_new = node_hash(from_new, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofRefused("the consistency proof is shorter than the tree is high")
    return from_old, from_new


def _only_hashes(values: Iterable[bytes]) -> None:
    if any(len(value) != HASH_SIZE for value in values):
        raise ProofRefused(f"a hash of the proof has not {HASH_SIZE} bytes")


def _split(length: int) -> int:
    """The largest power of two that is smaller than `length`."""
    return 1 << ((length - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    """The hash of a range, from the complete subtrees that it is made of, left to right."""
    value = hashes[-1]
    for left in reversed(hashes[:-1]):
        value = node_hash(left, value)
    return value
