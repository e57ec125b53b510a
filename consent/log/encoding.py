"""Base64 and decimal numbers as the C2SP formats write them, read strictly: one text for one value.

Python's own readers accept more (spaces, underscores, other scripts' digits, spare bits), and two readers that accept
different texts can be shown different logs.
"""

import base64
import re
from typing import Final

from consent.log.errors import FormatRefused

HASH_SIZE: Final = 32
# C2SP allows a tree's size and a timestamp to be 63 bits long: what a signed 64-bit integer holds.
LARGEST: Final = 2**63 - 1
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)


def base64_of(data: bytes) -> str:
    """Standard base64 with padding.

    Spec: RFC 4648 §4
    """
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, *, what: str) -> bytes:
    """Reads standard base64. Raises `FormatRefused` on any text that `base64_of` does not write.

    Spec: RFC 4648 §3.3, §3.5, §4
    """
    if len(text) % 4 or not _BASE64.fullmatch(text):
        raise FormatRefused(f"{what} is not base64")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise FormatRefused(f"{what} is not base64") from None
    if base64_of(data) != text:
        raise FormatRefused(f"{what} is base64 whose spare bits are not zero")
    return data


def hash_from_base64(text: str, *, what: str) -> bytes:
    """Reads the base64 of one SHA-256 hash."""
    data = from_base64(text, what=what)
    if len(data) != HASH_SIZE:
        raise FormatRefused(f"{what} has {len(data)} bytes and not {HASH_SIZE}")
    return data


def from_decimal(text: str, *, what: str) -> int:
    """Reads an ASCII decimal without sign or leading zeroes, up to 2^63 - 1."""
    if not _DECIMAL.fullmatch(text) or (number := int(text)) > LARGEST:
        raise FormatRefused(f"{what} is not a decimal number of at most 63 bits without leading zeroes")
    return number


def utf8_size(text: str, *, what: str) -> int:
    """How many bytes a text has in UTF-8. Raises `FormatRefused` on half a surrogate pair, which has none."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise FormatRefused(f"{what} is not text") from None
