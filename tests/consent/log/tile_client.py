"""A client of the log that knows nothing but the format of tiles: it fetches, recomputes, and believes no root."""

from dataclasses import dataclass, field

import httpx2

from consent.log.checkpoint import Checkpoint
from consent.log.merkle import (
    consistency_nodes,
    consistency_proof,
    inclusion_nodes,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from consent.log.note import open_checkpoint
from consent.log.tiles import ENTRIES, Tile, decode_bundle, node_reader, tile_at, tiles_for, width_at
from consent.log.vkey import VerifierKey


@dataclass
class TileClient:
    """Reads one log over HTTP. `fetched` counts the tiles that it asked for."""

    http: httpx2.AsyncClient
    vkey: VerifierKey
    prefix: str = "/log"
    fetched: list[str] = field(default_factory=list)

    async def get(self, path: str, status: int = 200) -> httpx2.Response:
        answer = await self.http.get(f"{self.prefix}/{path}")
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:200]}"
        return answer

    async def checkpoint(self) -> Checkpoint:
        """The log's checkpoint, its signature verified."""
        answer = await self.get("checkpoint")
        return open_checkpoint(answer.content, log_keys={self.vkey}).checkpoint

    async def tile(self, tile: Tile) -> bytes:
        self.fetched.append(tile.path)
        return (await self.get(tile.path)).content

    async def leaves(self, size: int) -> list[bytes]:
        """Every leaf, from the bundles."""
        leaves: list[bytes] = []
        for number in range(-(-width_at(size, ENTRIES) // 256)):
            tile = tile_at(ENTRIES, number, size)
            leaves += decode_bundle(await self.tile(tile), width=tile.width)
        return leaves

    async def check(self) -> Checkpoint:
        """Downloads the whole log and checks its root, every tile above, and what it proves of some leaves."""
        checkpoint = await self.checkpoint()
        leaves = await self.leaves(checkpoint.size)
        hashes = [leaf_hash(leaf) for leaf in leaves]
        assert root_of(hashes) == checkpoint.root
        for index in {0, checkpoint.size // 2, checkpoint.size - 1}:
            await self.check_inclusion(index, hashes[index], checkpoint)
        return checkpoint

    async def check_inclusion(self, index: int, leaf: bytes, checkpoint: Checkpoint) -> None:
        """Makes the inclusion proof out of tiles, and verifies it."""
        size = checkpoint.size
        data = {tile: await self.tile(tile) for tile in tiles_for(inclusion_nodes(index, size), size)}
        proof = inclusion_proof(index, size, node_reader(data.__getitem__, size))
        verify_inclusion(index=index, size=size, leaf=leaf, proof=proof, root=checkpoint.root)

    async def check_consistency(self, old: Checkpoint, new: Checkpoint) -> None:
        """Makes the consistency proof out of tiles, and verifies it."""
        data = {t: await self.tile(t) for t in tiles_for(consistency_nodes(old.size, new.size), new.size)}
        proof = consistency_proof(old.size, new.size, node_reader(data.__getitem__, new.size))
        verify_consistency(old=old.size, new=new.size, proof=proof, old_root=old.root, new_root=new.root)
