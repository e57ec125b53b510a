"""Public keys of notes: how they are named and written, and what exactly each type of them signs.

Spec: C2SP signed-note (Signature types, Verifier keys); C2SP tlog-cosignature
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent.log.checkpoint import Checkpoint
from consent.log.encoding import LARGEST, base64_of, from_base64, utf8_size
from consent.log.errors import FormatRefused, SignatureRefused, Unavailable

try:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
except ImportError:  # an older `cryptography`, which a receipt's reader may well have
    MLDSA44PublicKey = None  # type: ignore[assignment,misc]  # `has_ml_dsa` says which of the two it is

MAX_NAME_BYTES: Final = 255
MAX_VKEY_CHARACTERS: Final = 4096
_TIMESTAMP_SIZE: Final = 8


class KeyType(IntEnum):
    """The type byte that is part of a key's id: the same key material under another type is another key."""

    ED25519 = 0x01
    COSIGNATURE = 0x04
    ML_DSA_44 = 0x06

    @property
    def timestamped(self) -> bool:
        """Whether a signature of this type says when it was made."""
        return self is not KeyType.ED25519


_PUBLIC_SIZES: Final = {KeyType.ED25519: 32, KeyType.COSIGNATURE: 32, KeyType.ML_DSA_44: 1312}
_SIGNATURE_SIZES: Final = {KeyType.ED25519: 64, KeyType.COSIGNATURE: 64, KeyType.ML_DSA_44: 2420}


def has_ml_dsa() -> bool:
    """Whether this machine's `cryptography` knows ML-DSA-44."""
    return MLDSA44PublicKey is not None


def check_name(name: str) -> None:
    """Raises `FormatRefused` when a key cannot have this name.

    Spec: C2SP signed-note, Format
    """
    # A plus would move the parts of a vkey, a space those of a signature line.
    if not name or any(character.isspace() or character < " " or character == "+" for character in name):
        raise FormatRefused("a key's name is not empty and has no spaces, no control characters and no plus")
    if utf8_size(name, what="a key's name") > MAX_NAME_BYTES:
        raise FormatRefused(f"a key's name is longer than {MAX_NAME_BYTES} bytes")


@dataclass(frozen=True)
class VerifierKey:
    """A public key by which notes are believed. `str()` gives its text, the vkey."""

    name: str
    type: KeyType
    public: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public) != _PUBLIC_SIZES[self.type]:
            raise FormatRefused(f"a {self.type.name} key has {_PUBLIC_SIZES[self.type]} bytes, not {len(self.public)}")

    @property
    def id(self) -> bytes:
        """The four bytes that a signature line names the key by. An identifier; not a protection.

        Spec: C2SP signed-note, Signatures
        """
        named = self.name.encode() + b"\n" + bytes([self.type]) + self.public
        return hashlib.sha256(named).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64_of(bytes([self.type]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Reads a vkey. Raises `FormatRefused`, also when its id is not that of its name and key.

        Spec: C2SP signed-note, Verifier keys
        """
        if len(text) > MAX_VKEY_CHARACTERS:
            raise FormatRefused("a vkey longer than any key that is known here")
        # The base64 may hold a plus, the name and the id may not.
        name, _, rest = text.partition("+")
        key_id, plus, key = rest.partition("+")
        if not plus:
            raise FormatRefused("a vkey has three parts, with a plus between them")
        material = from_base64(key, what="the key of a vkey")
        try:
            kind = KeyType(material[0])
        except (ValueError, IndexError):
            raise FormatRefused("a vkey of a type that is not known here") from None
        parsed = cls(name, kind, material[1:])
        if parsed.id.hex() != key_id:
            raise FormatRefused("a vkey whose id is not that of its name and key: it was mistyped or altered")
        return parsed

    def verify(self, text: str, signature: bytes) -> int | None:
        """Checks a signature (without the key id before it) of a note's text. Raises `SignatureRefused`.

        Returns the time in it, as a POSIX timestamp, or None for a type that has none.
        """
        timestamp = None
        if self.type.timestamped:
            timestamp = int.from_bytes(signature[:_TIMESTAMP_SIZE], "big")
            signature = signature[_TIMESTAMP_SIZE:]
        if len(signature) != _SIGNATURE_SIZES[self.type]:
            raise SignatureRefused(f"a signature by {self.name} has not the length that its type has")
        try:
            self._verify(signature, signed_bytes(self.type, self.name, text, timestamp))
        except (InvalidSignature, FormatRefused, ValueError):
            raise SignatureRefused(f"a signature in the name of {self.name} was not made by its key") from None
        return timestamp

    def _verify(self, signature: bytes, message: bytes) -> None:
        if self.type is not KeyType.ML_DSA_44:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
            return
        if not has_ml_dsa():
            raise Unavailable(f"{self.name} signs with ML-DSA-44, which needs a newer `cryptography` than is here")
        try:
            MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
        except UnsupportedAlgorithm:
            raise Unavailable(
                f"{self.name} signs with ML-DSA-44, which this `cryptography` was built without"
            ) from None


def signed_bytes(kind: KeyType, name: str, text: str, timestamp: int | None) -> bytes:
    """What a key of this type and name signs for a note with this text.

    Raises `FormatRefused` when the text is not a checkpoint and the type signs nothing else.

    Spec: C2SP signed-note, Ed25519 signatures; C2SP tlog-cosignature, Ed25519 and ML-DSA-44 signed message
    """
    if timestamp is None:
        return text.encode()
    if timestamp > LARGEST:
        raise FormatRefused("a timestamp of more than 63 bits")
    checkpoint = Checkpoint.parse(text)
    if kind is KeyType.COSIGNATURE:
        return f"cosignature/v1\ntime {timestamp}\n{text}".encode()
    return b"".join(
        (
            b"subtree/v1\n\0",
            _with_length(name.encode()),
            timestamp.to_bytes(8, "big"),
            _with_length(checkpoint.origin.encode()),
            (0).to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def _with_length(value: bytes) -> bytes:
    return bytes([len(value)]) + value
