"""The Merkle tree against published roots and proofs, and against itself at every size."""

from base64 import b64decode
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.log.errors import ProofRefused
from consent.log.merkle import (
    EMPTY_ROOT,
    Frontier,
    Node,
    consistency_nodes,
    consistency_proof,
    frontier_at,
    inclusion_nodes,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.consent.log.growing import GrowingLog, numbered_leaves

# github.com/transparency-dev/merkle, testonly/constants.go: leaves, and the root after each of them.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

# The hashes that the published proofs over these leaves are made of.
A, B, C, D, E, F, G, H, J = (
    b64decode(text)
    for text in (
        "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=",
        "lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=",
        "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
        "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ=",
        "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
        "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
        "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
        "DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=",
        "sIaT7C5yFZcTBkHoIR5+7cy0wmQTlj7ubB4u0W/7Gl8=",
    )
)
P01 = b64decode("+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU=")
LEAF5 = b64decode("QnGia+DYqE8L1UyMMC58s6O10fpngKQLzOKHNHfatlg=")
LEAF2 = b64decode("ApjRIpBtz8EIkstTpzmS/FufST6kybrbJ7eRtBJ6f+c=")
GARBAGE = b64decode("q6yroAAAAAAAAAAAAAAAAAAAAAAAAAAAAGAGHgASNFY=")


@dataclass(frozen=True)
class Inclusion:
    """One published inclusion proof, or what somebody made of it."""

    index: int
    size: int
    leaf: bytes
    proof: tuple[bytes, ...]
    root: bytes


@dataclass(frozen=True)
class Consistency:
    """One published consistency proof, or what somebody made of it."""

    old: int
    new: int
    proof: tuple[bytes, ...]
    old_root: bytes
    new_root: bytes


def root(size: int) -> bytes:
    """The published root."""
    return bytes.fromhex(ROOTS[size])


# github.com/transparency-dev/merkle, testdata/inclusion/{0..4}/happy-path.json
INCLUSIONS = [
    Inclusion(0, 1, A, (), root(1)),
    Inclusion(0, 8, A, (B, C, D), root(8)),
    Inclusion(5, 8, LEAF5, (E, F, G), root(8)),
    Inclusion(2, 3, LEAF2, (P01,), root(3)),
    Inclusion(1, 5, B, (A, C, E), root(5)),
]
# github.com/transparency-dev/merkle, testdata/consistency/{0..4}/happy-path.json
CONSISTENCIES = [
    Consistency(1, 1, (), root(1), root(1)),
    Consistency(1, 8, (B, C, D), root(1), root(8)),
    Consistency(6, 8, (H, F, G), root(6), root(8)),
    Consistency(2, 5, (C, E), root(2), root(5)),
    Consistency(6, 7, (H, J, G), root(6), root(7)),
]


def flipped(value: bytes, bit: int) -> bytes:
    """One bit of a hash turned."""
    return (int.from_bytes(value, "big") ^ (1 << bit)).to_bytes(len(value), "big")


def with_proof(proof: Callable[[Inclusion], tuple[bytes, ...]]) -> Callable[[Inclusion], Inclusion]:
    """What makes the same case with another proof."""
    return lambda case: replace(case, proof=proof(case))


# The names are those of the published negative cases, which are these five cases each altered so.
INCLUSION_ALTERED: dict[str, Callable[[Inclusion], Inclusion]] = {
    "leafIdx-sub-1": lambda case: replace(case, index=case.index - 1),
    "leafIdx-plus-1": lambda case: replace(case, index=case.index + 1),
    "leafIdx-XOR-2": lambda case: replace(case, index=case.index ^ 2),
    "treeSize-mul-2": lambda case: replace(case, size=case.size * 2),
    "treeSize-div-2": lambda case: replace(case, size=case.size // 2),
    "wrong-leaf": lambda case: replace(case, leaf=GARBAGE),
    "empty-leaf": lambda case: replace(case, leaf=b""),
    "empty-root": lambda case: replace(case, root=b""),
    "random-root": lambda case: replace(case, root=GARBAGE),
    "trailing-garbage": with_proof(lambda case: (*case.proof, GARBAGE)),
    "trailing-root": with_proof(lambda case: (*case.proof, case.root)),
    "preceding-garbage": with_proof(lambda case: (GARBAGE, *case.proof)),
    "preceding-root": with_proof(lambda case: (case.root, *case.proof)),
}
INCLUSION_ALTERED_INSIDE: dict[str, Callable[[Inclusion], Inclusion]] = {
    "modified-proof-first": with_proof(lambda case: (flipped(case.proof[0], 3), *case.proof[1:])),
    "modified-proof-last": with_proof(lambda case: (*case.proof[:-1], flipped(case.proof[-1], 3))),
    "inserted-component": with_proof(lambda case: (case.proof[0], GARBAGE, *case.proof[1:])),
    "removed-component": with_proof(lambda case: case.proof[1:]),
    "truncated": with_proof(lambda case: case.proof[:-1]),
    "a-byte-short": with_proof(lambda case: (case.proof[0][:-1], *case.proof[1:])),
    "reordered": with_proof(lambda case: (*case.proof[::-1], GARBAGE)[: len(case.proof) + (len(case.proof) == 1)]),
}
CONSISTENCY_ALTERED: dict[str, Callable[[Consistency], Consistency]] = {
    "size1-sub-1": lambda case: replace(case, old=case.old - 1),
    "size1-plus-1": lambda case: replace(case, old=case.old + 1),
    "size1-XOR-2": lambda case: replace(case, old=case.old ^ 2),
    "size2-mul-2": lambda case: replace(case, new=case.new * 2),
    "size2-div-2": lambda case: replace(case, new=case.new // 2),
    "wrong-root1": lambda case: replace(case, old_root=GARBAGE),
    "wrong-root2": lambda case: replace(case, new_root=GARBAGE),
    "swapped-roots": lambda case: replace(case, old_root=case.new_root, new_root=case.old_root),
    "empty-proof": lambda case: replace(case, proof=()),
    "trailing-garbage": lambda case: replace(case, proof=(*case.proof, GARBAGE)),
    "trailing-root1": lambda case: replace(case, proof=(*case.proof, case.old_root)),
    "trailing-root2": lambda case: replace(case, proof=(*case.proof, case.new_root)),
    "preceding-garbage": lambda case: replace(case, proof=(GARBAGE, *case.proof)),
    "preceding-root1": lambda case: replace(case, proof=(case.old_root, *case.proof)),
    "preceding-root2": lambda case: replace(case, proof=(case.new_root, *case.proof)),
    "preceding-proof-0": lambda case: replace(case, proof=(case.proof[0], *case.proof)),
    "truncated-proof": lambda case: replace(case, proof=case.proof[:-1]),
    "modified-proof-0": lambda case: replace(case, proof=(flipped(case.proof[0], 4), *case.proof[1:])),
    "modified-proof-last": lambda case: replace(case, proof=(*case.proof[:-1], flipped(case.proof[-1], 4))),
}
# github.com/transparency-dev/merkle, testdata/consistency/additional
USELESS = [
    Consistency(0, 1, (EMPTY_ROOT,), EMPTY_ROOT, EMPTY_ROOT),
    Consistency(0, 0, (), EMPTY_ROOT, GARBAGE),
    Consistency(1, 1, (), GARBAGE, A),
    Consistency(2, 1, (), GARBAGE, A),
    Consistency(1, 0, (), GARBAGE, A),
    Consistency(0, 1, (), EMPTY_ROOT, A),
    Consistency(1, 2, (), A, A),
    Consistency(1, 1, (EMPTY_ROOT,), EMPTY_ROOT, EMPTY_ROOT),
    Consistency(0, 0, (EMPTY_ROOT,), EMPTY_ROOT, EMPTY_ROOT),
]


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots_come_out(size: int) -> None:
    assert root_of(leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize("case", INCLUSIONS)
def test_a_published_inclusion_proof_is_made_and_believed(case: Inclusion) -> None:
    log = GrowingLog().append(*map(bytes.fromhex, LEAVES))
    assert tuple(inclusion_proof(case.index, case.size, log.read)) == case.proof
    verify_inclusion(**asdict(case))


@pytest.mark.parametrize("case", CONSISTENCIES)
def test_a_published_consistency_proof_is_made_and_believed(case: Consistency) -> None:
    log = GrowingLog().append(*map(bytes.fromhex, LEAVES))
    assert tuple(consistency_proof(case.old, case.new, log.read)) == case.proof
    verify_consistency(**asdict(case))


@pytest.mark.parametrize("altered", [pytest.param(how, id=name) for name, how in INCLUSION_ALTERED.items()])
@pytest.mark.parametrize("case", INCLUSIONS)
def test_an_altered_inclusion_proof_is_refused(case: Inclusion, altered: Callable[[Inclusion], Inclusion]) -> None:
    with pytest.raises(ProofRefused):
        verify_inclusion(**asdict(altered(case)))


@pytest.mark.parametrize("altered", [pytest.param(how, id=name) for name, how in INCLUSION_ALTERED_INSIDE.items()])
@pytest.mark.parametrize("case", INCLUSIONS[1:])
def test_an_inclusion_proof_altered_inside_is_refused(
    case: Inclusion, altered: Callable[[Inclusion], Inclusion]
) -> None:
    with pytest.raises(ProofRefused):
        verify_inclusion(**asdict(altered(case)))


@pytest.mark.parametrize("altered", [pytest.param(how, id=name) for name, how in CONSISTENCY_ALTERED.items()])
@pytest.mark.parametrize("case", CONSISTENCIES[1:])
def test_an_altered_consistency_proof_is_refused(
    case: Consistency, altered: Callable[[Consistency], Consistency]
) -> None:
    with pytest.raises(ProofRefused):
        verify_consistency(**asdict(altered(case)))


@pytest.mark.parametrize("case", USELESS)
def test_nothing_is_proven_by_sizes_that_prove_nothing(case: Consistency) -> None:
    with pytest.raises(ProofRefused):
        verify_consistency(**asdict(case))


def test_a_leaf_is_never_taken_for_a_node() -> None:
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    assert leaf_hash(left + right) != node_hash(left, right)
    assert leaf_hash(b"\x01" + left + right) != node_hash(left, right)


def test_the_boundary_between_two_hashes_cannot_be_moved() -> None:
    both = A + B
    for at in (31, 33):
        with pytest.raises(ProofRefused, match="bytes"):
            verify_inclusion(index=0, size=2, leaf=both[:at], proof=[both[at:]], root=root(2))


def test_every_proof_of_every_small_tree_is_believed_and_belongs_to_its_place_alone() -> None:
    log = GrowingLog().append(*numbered_leaves(40))
    roots = [log.root(size) for size in range(41)]
    hashes = [leaf_hash(leaf) for leaf in log.leaves]
    for size in range(1, 41):
        for index in range(size):
            proof = inclusion_proof(index, size, log.read)
            verify_inclusion(index=index, size=size, leaf=hashes[index], proof=proof, root=roots[size])
            for other in {(index + 1) % size, index ^ 1} - {index}:
                with pytest.raises(ProofRefused):
                    verify_inclusion(index=other, size=size, leaf=hashes[index], proof=proof, root=roots[size])
        for old in range(1, size + 1):
            proof = consistency_proof(old, size, log.read)
            verify_consistency(old=old, new=size, proof=proof, old_root=roots[old], new_root=roots[size])
            if old < size:
                with pytest.raises(ProofRefused):
                    verify_consistency(old=old, new=size, proof=proof, old_root=roots[old - 1], new_root=roots[size])


def altered_log(how: str, leaves: list[bytes], at: int) -> list[bytes]:
    """The same log after somebody was at it."""
    match how:
        case "edit":
            return [*leaves[:at], b"another", *leaves[at + 1 :]]
        case "delete":
            return [*leaves[:at], *leaves[at + 1 :]]
        case "insert":
            return [*leaves[:at], b"another", *leaves[at:]]
        case _:
            return [*leaves[:at], leaves[at + 1], leaves[at], *leaves[at + 2 :]]


@pytest.mark.parametrize("how", ["edit", "delete", "insert", "reorder"])
@pytest.mark.parametrize("at", [0, 1, 6, 11])
def test_whatever_is_done_to_old_leaves_no_consistency_proof_covers_it(how: str, at: int) -> None:
    honest = GrowingLog().append(*numbered_leaves(13))
    other = GrowingLog().append(*altered_log(how, honest.leaves, at), *numbered_leaves(8, "later"))
    with pytest.raises(ProofRefused):
        verify_consistency(
            old=13,
            new=len(other.leaves),
            proof=other.consistency(13),
            old_root=honest.root(),
            new_root=other.root(),
        )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=8))
def test_a_frontier_gives_the_same_root_however_the_leaves_come(batches: list[int]) -> None:
    leaves = [leaf_hash(leaf) for leaf in numbered_leaves(sum(batches))]
    frontier, start = Frontier(), 0
    for count in batches:
        frontier = frontier.extend(leaves[start : start + count])
        start += count
    assert frontier.size == len(leaves)
    assert frontier.root() == root_of(leaves)
    assert len(frontier.hashes) == frontier.size.bit_count()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.data())
def test_proofs_of_any_tree_are_short_and_are_believed(size: int, data: st.DataObject) -> None:
    log = GrowingLog().append(*numbered_leaves(size))
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    inclusion = inclusion_proof(index, size, log.read)
    height = (size - 1).bit_length()
    assert len(inclusion) <= height
    verify_inclusion(index=index, size=size, leaf=leaf_hash(log.leaves[index]), proof=inclusion, root=log.root())
    consistency = consistency_proof(old, size, log.read)
    assert len(consistency) <= height + 1
    verify_consistency(old=old, new=size, proof=consistency, old_root=log.root(old), new_root=log.root())
    if consistency:
        place = data.draw(st.integers(0, len(consistency) - 1))
        consistency[place] = flipped(consistency[place], data.draw(st.integers(0, 255)))
        with pytest.raises(ProofRefused):
            verify_consistency(old=old, new=size, proof=consistency, old_root=log.root(old), new_root=log.root())


@given(st.integers(1, 2**63 - 1), st.data())
def test_a_proof_in_the_largest_tree_reads_complete_subtrees_only(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    for several in (*inclusion_nodes(index, size), *consistency_nodes(old, size)):
        for node in several:
            assert (node.number + 1) << node.level <= size
    assert len(inclusion_nodes(index, size)) <= 63


def test_a_frontier_can_be_read_from_a_stored_tree() -> None:
    log = GrowingLog().append(*numbered_leaves(77))
    assert frontier_at(77, log.read) == log.frontier
    assert frontier_at(52, log.read).root() == log.root(52)


def test_completed_subtrees_are_told_once_each_and_children_first() -> None:
    told: list[Node] = []
    Frontier().extend(map(leaf_hash, numbered_leaves(13)), lambda node, _: told.append(node))
    assert len(told) == len(set(told)) == 13 + 6 + 3 + 1
    for node in told:
        if node.level:
            children = [Node(node.level - 1, 2 * node.number), Node(node.level - 1, 2 * node.number + 1)]
            assert all(told.index(child) < told.index(node) for child in children)


def test_what_no_tree_has_is_not_proven() -> None:
    for index, size in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(ValueError, match="no leaf"):
            inclusion_nodes(index, size)
    for old, new in ((-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="no earlier size"):
            consistency_nodes(old, new)
    with pytest.raises(ValueError, match="hashes"):
        Frontier(3, (EMPTY_ROOT,))
