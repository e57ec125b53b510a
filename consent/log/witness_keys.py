"""A witness's own private keys, in a file that only its owner can read.

One line for each key: `PRIVATE+KEY+<name>+<id>+<base64 of type and seed>`, as other tools for signed notes write it.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from consent.log.encoding import base64_of, from_base64
from consent.log.errors import FormatRefused
from consent.log.signers import NoteSigner, cosigner, ml_dsa_signer
from consent.log.vkey import KeyType, has_ml_dsa

_START: Final = "PRIVATE+KEY+"
_SEED_SIZE: Final = 32
_MAX_FILE_BYTES: Final = 64 * 1024
_MAKERS: Final[dict[KeyType, Callable[[str, bytes], NoteSigner]]] = {
    KeyType.COSIGNATURE: cosigner,
    KeyType.ML_DSA_44: ml_dsa_signer,
}


def read_witness_keys(path: Path) -> tuple[NoteSigner, ...]:
    """Reads the keys. Raises `FormatRefused`, also when others than the owner may read the file."""
    if path.stat().st_mode & 0o077:
        raise FormatRefused(f"{path} can be read by others; run: chmod 600 {path}")
    with path.open(encoding="utf-8") as file:
        lines = file.read(_MAX_FILE_BYTES).split("\n")
    signers = tuple(_signer(line) for line in lines if line)
    if not signers:
        raise FormatRefused(f"{path} holds no key")
    return signers


def make_witness_keys(path: Path, *, name: str | None, seeds: Sequence[bytes]) -> tuple[NoteSigner, ...]:
    """Makes the keys and writes them where no file was: Ed25519, and ML-DSA-44 where `cryptography` has it.

    `seeds` are two times 32 secret bytes. Without a name the witness is named after its first key. Raises
    `FileExistsError`: a key that was overwritten is a witness that nobody believes any more.
    """
    plain, quantum = seeds
    if name is None:
        public = cosigner("witness", plain).vkey.public
        name = f"witness-{hashlib.sha256(public).hexdigest()[:8]}"
    signers = [(cosigner(name, plain), plain)]
    if has_ml_dsa():
        signers.append((ml_dsa_signer(name, quantum), quantum))
    text = "".join(f"{_line(signer, seed)}\n" for signer, seed in signers)
    # The mode is given when the file is made; one that is set afterwards comes too late.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return tuple(signer for signer, _ in signers)


def _line(signer: NoteSigner, seed: bytes) -> str:
    return f"{_START}{signer.vkey.name}+{signer.vkey.id.hex()}+{base64_of(bytes([signer.vkey.type]) + seed)}"


def _signer(line: str) -> NoteSigner:
    if not line.startswith(_START):
        raise FormatRefused("a line of the key file is not a private key of a witness")
    name, _, rest = line.removeprefix(_START).partition("+")
    key_id, _, encoded = rest.partition("+")
    material = from_base64(encoded, what="a private key")
    if len(material) != 1 + _SEED_SIZE or material[0] not in {int(kind) for kind in _MAKERS}:
        raise FormatRefused("a private key of a type that a witness does not use")
    signer = _MAKERS[KeyType(material[0])](name, material[1:])
    if signer.vkey.id.hex() != key_id:
        raise FormatRefused(f"the private key of {name} is not the one that its id says")
    return signer
