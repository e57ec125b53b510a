"""Tiles: the tree as static files of at most 256 hashes, and the bundles that hold the leaves themselves.

A full tile never changes and can be cached for ever. A partial one is the right edge at some size; its path says its
width, so that a path never means two contents.

Spec: C2SP tlog-tiles
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from consent.log.encoding import HASH_SIZE
from consent.log.errors import FormatRefused
from consent.log.merkle import Node, ReadNode, node_hash

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
ENTRIES: Final = -1  # the `level` of bundles, which are at `tile/entries/`
MAX_ENTRY_BYTES: Final = 2**16 - 1
CONTENT_TYPE: Final = "application/octet-stream"
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|0|[1-9]|[1-5][0-9]|6[0-3])"
    r"/(?P<number>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)

ReadTile = Callable[["Tile"], bytes]
"""Returns the bytes of a tile."""


@dataclass(frozen=True, order=True)
class Tile:
    """One tile: `level` 0 has the leaves' hashes, one above the hashes of full tiles below; `ENTRIES`, the leaves."""

    level: int
    number: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not (ENTRIES <= self.level <= 63 and 0 <= self.number < 1000**7 and 1 <= self.width <= WIDTH):
            raise FormatRefused("a tile that no tree has")

    @property
    def full(self) -> bool:
        """Whether it has all its hashes, and so never changes."""
        return self.width == WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix.

        Spec: C2SP tlog-tiles, Merkle Tree
        """
        groups = f"{self.number:03d}"
        # Whole groups of three, filled up from the left.
        groups = groups.zfill(-(-len(groups) // 3) * 3)
        parts = [groups[at : at + 3] for at in range(0, len(groups), 3)]
        numbered = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"tile/{level}/{numbered}" + ("" if self.full else f".p/{self.width}")

    @classmethod
    def parse(cls, path: str) -> "Tile":
        """Reads a path. Raises `FormatRefused` on every path that `path` does not write: each tile has one address.

        Spec: C2SP tlog-tiles, Merkle Tree
        """
        found = _PATH.fullmatch(path)
        if not found:
            raise FormatRefused("not the path of a tile")
        level = ENTRIES if found["level"] == "entries" else int(found["level"])
        width = int(found["width"]) if found["width"] else WIDTH
        tile = cls(level, int(found["number"].replace("x", "").replace("/", "")), width)
        if tile.path != path:
            raise FormatRefused("a tile's path that is not written the one way")
        return tile


def width_at(size: int, level: int) -> int:
    """How many hashes the tiles of a level hold together, in a tree of some size."""
    return size >> (HEIGHT * max(level, 0))


def tile_at(level: int, number: int, size: int) -> Tile:
    """The tile in a tree of some size, as wide as it is there. Raises `FormatRefused` when the tree has none there."""
    return Tile(level, number, min(WIDTH, width_at(size, level) - number * WIDTH))


def tiles_of(size: int) -> Iterator[Tile]:
    """All tiles that a tree of some size has: bundles first, then level by level.

    Spec: C2SP tlog-tiles, Partial Tiles
    """
    return new_tiles(0, size)


def new_tiles(old: int, new: int) -> Iterator[Tile]:
    """The tiles that a tree of `new` leaves has and one of `old` had not, or had narrower: what an append writes."""
    level = ENTRIES
    while (hashes := width_at(new, level)) > 0:
        before = width_at(old, level)
        if hashes > before:
            for number in range(before // WIDTH, -(-hashes // WIDTH)):
                yield tile_at(level, number, new)
        level += 1


def hashes_of(tile: Tile, data: bytes) -> list[bytes]:
    """The hashes in a tile's bytes. Raises `FormatRefused` when they are not as many as its width says."""
    if tile.level == ENTRIES or len(data) != tile.width * HASH_SIZE:
        raise FormatRefused(f"{tile.path} has {len(data)} bytes and not {tile.width * HASH_SIZE}")
    return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """The bytes of an entry bundle: each leaf with its length before it. Raises `FormatRefused`.

    Spec: C2SP tlog-tiles, Log entries
    """
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise FormatRefused(f"a leaf of more than {MAX_ENTRY_BYTES} bytes")
        parts.append(len(entry).to_bytes(2, "big") + entry)
    if len(parts) > WIDTH:
        raise FormatRefused(f"a bundle has at most {WIDTH} leaves")
    return b"".join(parts)


def decode_bundle(data: bytes, *, width: int) -> list[bytes]:
    """The leaves of an entry bundle that has to have `width` of them. Raises `FormatRefused`.

    Spec: C2SP tlog-tiles, Log entries
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data):
            raise FormatRefused("a bundle that ends inside a leaf")
        entries.append(data[start:at])
    if len(entries) != width:
        raise FormatRefused(f"a bundle with {len(entries)} leaves, and its path says {width}")
    return entries


def tile_holding(node: Node, size: int) -> Tile:
    """The tile, in a tree of some size, from which the hash of a complete subtree can be had."""
    level = node.level // HEIGHT
    return tile_at(level, (node.number << (node.level % HEIGHT)) // WIDTH, size)


def tiles_for(nodes: Iterable[Iterable[Node]], size: int) -> list[Tile]:
    """The tiles that a proof needs (`merkle.inclusion_nodes`, `consistency_nodes`): to be fetched before it is made."""
    return sorted({tile_holding(node, size) for several in nodes for node in several})


def node_reader(read_tile: ReadTile, size: int) -> ReadNode:
    """Reads the hashes of complete subtrees from the tiles of a tree of some size, each tile once."""
    known: dict[Tile, list[bytes]] = {}

    def read(level: int, number: int) -> bytes:
        tile = tile_holding(Node(level, number), size)
        if tile not in known:
            known[tile] = hashes_of(tile, read_tile(tile))
        below = level % HEIGHT
        start = (number << below) - tile.number * WIDTH
        hashes = known[tile][start : start + (1 << below)]
        if len(hashes) != 1 << below:
            raise ValueError(f"a tree of {size} has no complete subtree ({level}, {number})")
        return _complete(hashes)

    return read


def _complete(hashes: Sequence[bytes]) -> bytes:
    """The hash of a complete subtree, from the hashes of one level of it."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]
