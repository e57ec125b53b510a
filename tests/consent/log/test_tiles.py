"""Tiles: their addresses, their widths, and the proofs that can be made from them alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.log.errors import FormatRefused
from consent.log.merkle import (
    Node,
    consistency_nodes,
    consistency_proof,
    frontier_at,
    inclusion_nodes,
    inclusion_proof,
    leaf_hash,
    verify_inclusion,
)
from consent.log.tiles import (
    ENTRIES,
    WIDTH,
    Tile,
    decode_bundle,
    encode_bundle,
    hashes_of,
    new_tiles,
    node_reader,
    tile_at,
    tile_holding,
    tiles_for,
    tiles_of,
)
from tests.consent.log.growing import GrowingLog, numbered_leaves


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        # C2SP tlog-tiles, Merkle Tree: index 1234067 is x001/x234/067
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 999, 1), "tile/0/999.p/1"),
        (Tile(1, 1000, 255), "tile/1/x001/000.p/255"),
        (Tile(63, 999_999), "tile/63/x999/999"),
        (Tile(10, 1_000_000), "tile/10/x001/x000/000"),
        (Tile(ENTRIES, 5), "tile/entries/005"),
        (Tile(ENTRIES, 1234067, 12), "tile/entries/x001/x234/067.p/12"),
    ],
)
def test_a_tile_has_one_address(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert Tile.parse(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "/tile/0/000",
        "tile/0/000/",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/x/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/x000/000",
        "tile/0/x000/x001/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/x234",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/entries/../../checkpoint",
        "tile/entries/000.p/256",
        "tile/0/x001/x001/x001/x001/x001/x001/x001/000",
    ],
)
def test_another_address_is_no_address(path: str) -> None:
    with pytest.raises(FormatRefused):
        Tile.parse(path)


@pytest.mark.parametrize(("level", "number", "width"), [(-2, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_a_tile_that_no_tree_has_cannot_be_made(level: int, number: int, width: int) -> None:
    with pytest.raises(FormatRefused):
        Tile(level, number, width)


@given(st.integers(-1, 63), st.integers(0, 10**15), st.integers(1, 256))
def test_any_tile_is_found_at_its_address(level: int, number: int, width: int) -> None:
    tile = Tile(level, number, width)
    assert Tile.parse(tile.path) == tile


def test_a_tree_of_70000_has_the_tiles_that_the_specification_says() -> None:
    # C2SP tlog-tiles, Partial Tiles
    tiles = list(tiles_of(70_000))
    level0 = [tile for tile in tiles if tile.level == 0]
    assert sum(tile.full for tile in level0) == 273
    assert level0[-1] == Tile(0, 273, 112)
    assert [tile for tile in tiles if tile.level > 0] == [Tile(1, 0), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert [tile.width for tile in tiles if tile.level == ENTRIES] == [tile.width for tile in level0]


def test_a_tree_of_256_has_a_full_tile_and_one_above_it() -> None:
    assert [tile for tile in tiles_of(256) if tile.level >= 0] == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_of(0)) == []
    with pytest.raises(FormatRefused):
        tile_at(0, 1, 256)


@given(st.integers(0, 200_000), st.integers(0, 3000))
def test_an_append_writes_what_the_larger_tree_has_and_the_smaller_had_not(old: int, more: int) -> None:
    before, after, written = set(tiles_of(old)), set(tiles_of(old + more)), set(new_tiles(old, old + more))
    assert written == after - before
    assert all(tile.full for tile in before & after if tile.number < (old >> 8) and tile.level == 0)


def test_a_bundle_is_read_back() -> None:
    entries = [b"", b"one", b"x" * 65535]
    data = encode_bundle(entries)
    assert data[:2] == b"\x00\x00"
    assert data[2:7] == b"\x00\x03one"
    assert decode_bundle(data, width=3) == entries


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (b"", 1),
        (b"\x00", 1),
        (b"\x00\x02a", 1),
        (b"\x00\x01a", 2),
        (b"\x00\x01a\x00\x01b", 1),
        (b"\x00\x01a\x00", 1),
        (b"\x00\x01a\x00", 2),
    ],
)
def test_a_bundle_that_does_not_hold_what_its_path_says_is_refused(data: bytes, width: int) -> None:
    with pytest.raises(FormatRefused):
        decode_bundle(data, width=width)


def test_what_does_not_fit_a_bundle_is_refused() -> None:
    with pytest.raises(FormatRefused):
        encode_bundle([b"x" * 65536])
    with pytest.raises(FormatRefused):
        encode_bundle([b"x"] * (WIDTH + 1))


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"x" * 63, b"x" * 96])
def test_a_tile_of_another_length_is_refused(data: bytes) -> None:
    with pytest.raises(FormatRefused):
        hashes_of(Tile(0, 0, 2), data)


def stored(log: GrowingLog, size: int) -> dict[Tile, bytes]:
    """The hash tiles of a tree."""
    return {
        tile: b"".join(log.read(8 * tile.level, tile.number * WIDTH + place) for place in range(tile.width))
        for tile in tiles_of(size)
        if tile.level >= 0
    }


LARGE = GrowingLog().append(*numbered_leaves(66_100))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 513, 65_535, 65_536, 65_537, 66_100])
def test_proofs_are_made_from_the_tiles_of_their_tree_alone(size: int) -> None:
    tiles = stored(LARGE, size)
    read = node_reader(tiles.__getitem__, size)
    root = LARGE.root(size)
    assert frontier_at(size, read).root() == root
    for index in {0, size // 3, size - 1}:
        proof = inclusion_proof(index, size, read)
        verify_inclusion(index=index, size=size, leaf=leaf_hash(LARGE.leaves[index]), proof=proof, root=root)
    for old in {1, size // 2 or 1, size}:
        assert consistency_proof(old, size, read) == LARGE.consistency(old, size)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 66_100), st.data())
def test_the_tiles_that_are_said_to_be_needed_suffice(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    needed_for_inclusion = tiles_for(inclusion_nodes(index, size), size)
    needed_for_consistency = tiles_for(consistency_nodes(old, size), size)
    read: list[Tile] = []

    def fetch(tile: Tile) -> bytes:
        read.append(tile)
        return stored_tile(tile)

    assert inclusion_proof(index, size, node_reader(fetch, size)) == inclusion_proof(index, size, LARGE.read)
    assert sorted(read) == needed_for_inclusion
    read.clear()
    assert consistency_proof(old, size, node_reader(fetch, size)) == LARGE.consistency(old, size)
    assert sorted(read) == needed_for_consistency


def stored_tile(tile: Tile) -> bytes:
    """The bytes of one hash tile of the large log."""
    return b"".join(LARGE.read(8 * tile.level, tile.number * WIDTH + place) for place in range(tile.width))


def test_the_hash_of_an_incomplete_subtree_is_not_to_be_had() -> None:
    read = node_reader(stored_tile, 300)
    with pytest.raises(ValueError, match="no complete subtree"):
        read(7, 2)
    assert tile_holding(Node(8, 0), 300) == Tile(1, 0, 1)
