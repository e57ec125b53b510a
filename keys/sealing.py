"""Sealing of secrets at rest: what the database holds is useless without the master key, which it never sees."""

import os
import re
import tempfile
from pathlib import Path
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys.encoding import b64url_decode, b64url_encode
from keys.entropy import Entropy
from keys.errors import KeyRefused, MalformedEncoding, SealBroken

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_VERSION: Final = b"\x01"
_PURPOSE: Final = b"satupintu seal v1\x00"


class MasterKey:
    """The 256-bit key that seals all others. It lives in a file or a secret store, never in the database."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise KeyRefused(f"a master key is {_KEY_BYTES} bytes, not {len(key)}")
        # A file of zeros, or one repeated letter, is a mistake in deployment and not a key.
        if len(set(key)) < _KEY_BYTES // 4:
            raise KeyRefused("this master key is not random")
        self._key = bytes(key)

    @classmethod
    def generate(cls, entropy: Entropy) -> "MasterKey":
        """Makes a new one."""
        return cls(entropy.token_bytes(_KEY_BYTES))

    @classmethod
    def from_base64(cls, text: str) -> "MasterKey":
        """Reads 32 bytes of base64 or base64url, as `openssl rand -base64 32` or `save` writes them."""
        unpadded = re.sub(r"={0,2}\Z", "", text.strip()).replace("+", "-").replace("/", "_")
        try:
            return cls(b64url_decode(unpadded))
        except MalformedEncoding:
            # Without the cause: a traceback must not carry the text of a key.
            raise KeyRefused("the master key is not base64") from None

    @classmethod
    def from_file(cls, path: Path | str) -> "MasterKey":
        """Reads the key from a file that holds one line of base64."""
        try:
            return cls.from_base64(Path(path).read_text(encoding="ascii"))
        except UnicodeDecodeError:
            raise KeyRefused(f"{path} is not a master key: it holds more than base64") from None

    def save(self, path: Path | str) -> None:
        """Writes the key to a new file that only its owner may read. Raises `FileExistsError` rather than overwrite.

        Overwriting the master key loses every key and secret sealed under it. The file appears whole or not at all:
        it is written and flushed under another name, and a hard link, unlike a rename, never replaces what is there.
        """
        target = Path(path)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(b64url_encode(self._key) + "\n")
                file.flush()
                os.fsync(file.fileno())
            target.hardlink_to(draft)
        finally:
            draft.unlink()
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def subkey(self, context: bytes) -> bytes:
        """Derives the key of one context, so that no nonce is ever shared among contexts.

        Spec: RFC 5869 §2
        """
        return HKDF(SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE + context).derive(self._key)

    def __repr__(self) -> str:
        return "<MasterKey, not shown>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a master key does not leave the process")


def seal(master: MasterKey, plaintext: bytes, *, context: bytes, entropy: Entropy) -> bytes:
    """Encrypts and authenticates a value for one context, such as `b"keys/secret/pairwise"`.

    The result is a version byte, a random 96-bit nonce, and AES-256-GCM's ciphertext with its tag. The context names
    the place where the value is kept, so whoever can write to the database cannot move one value to another's place.

    Spec: NIST SP 800-38D §8.2.2; RFC 5116 §5.2
    """
    nonce = entropy.token_bytes(_NONCE_BYTES)
    ciphertext = AESGCM(master.subkey(context)).encrypt(nonce, plaintext, _VERSION + context)
    return _VERSION + nonce + ciphertext


def unseal(master: MasterKey, sealed: bytes, *, context: bytes) -> bytes:
    """Opens a sealed value. Raises `SealBroken` on another master key, another context, or one altered bit."""
    if sealed[:1] != _VERSION or len(sealed) < len(_VERSION) + _NONCE_BYTES + _TAG_BYTES:
        raise SealBroken("not a sealed value of a known version")
    nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(master.subkey(context)).decrypt(nonce, ciphertext, _VERSION + context)
    except InvalidTag as error:
        raise SealBroken(f"the seal of {context!r} does not open with this master key") from error
