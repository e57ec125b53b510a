"""Base64url and JSON, strictly: one text for one value, so that two readers never see two different things."""

import base64
import json
import math
import re
from collections.abc import Sequence
from typing import Any, Final

from keys.errors import MalformedEncoding

MAX_DEPTH: Final = 32
_LARGEST_EXACT_INTEGER: Final = 2**53 - 1
_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
# A string literal, or one that never ends: possessive, so that hostile input costs one pass and not n² of them.
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")


def b64url_encode(data: bytes) -> str:
    """Base64url without padding.

    Spec: RFC 7515 §2; RFC 4648 §5
    """
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64url_decode(text: str) -> bytes:
    """Reads base64url without padding. Raises `MalformedEncoding` on anything that `b64url_encode` never writes.

    Python's decoder skips characters it does not know and ignores the spare bits at the end, so many texts would
    mean the same bytes, and a token could be altered without its signature noticing (or a replay list knowing it).

    Spec: RFC 7515 §2; RFC 4648 §3.3, §3.5
    """
    if not _ALPHABET.fullmatch(text) or len(text) % 4 == 1:
        raise MalformedEncoding("not base64url without padding")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64url_encode(data) != text:
        raise MalformedEncoding("spare bits of the base64url text are not zero")
    return data


def canonical_json(value: object) -> bytes:
    """The one JSON text of a value, which is what gets hashed and signed.

    Takes str, int, bool, None, list and dict with str keys. Raises `MalformedEncoding` on floats (their shortest form
    differs from library to library), on integers that a double cannot hold, and on anything else.

    Spec: RFC 8785 §3.2; RFC 7493 §2
    """
    ordered = _canonical(value, MAX_DEPTH)
    try:
        return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise MalformedEncoding("a string holds half of a surrogate pair") from error


def _canonical(value: object, depth_left: int) -> object:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > _LARGEST_EXACT_INTEGER:
            raise MalformedEncoding("an integer beyond 2^53-1 has no canonical form")
        return value
    if depth_left == 0:
        raise MalformedEncoding(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, list):
        return [_canonical(item, depth_left - 1) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise MalformedEncoding("a member name is not a string")
        # RFC 8785 §3.2.3 sorts by UTF-16 code units, which is not the order of code points beyond U+FFFF.
        names = sorted(value, key=_utf16)
        return {name: _canonical(value[name], depth_left - 1) for name in names}
    raise MalformedEncoding(f"{type(value).__name__} has no canonical form")


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def strict_json_loads(data: bytes | str, *, max_bytes: int) -> Any:
    """Reads JSON that can only be read one way. Raises `MalformedEncoding` on everything else.

    Refused: more than `max_bytes`, invalid UTF-8, duplicate member names, NaN and infinities (also written `1e400`),
    nesting beyond 32, half surrogates, integers that a double cannot hold.

    Spec: RFC 8259 §4, §9; RFC 7493 §2; RFC 7515 §4
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > max_bytes:
        raise MalformedEncoding(f"more than {max_bytes} bytes of JSON")
    # Before parsing: the parser recurses, and a thousand brackets would end it with a RecursionError.
    if _depth(raw) > MAX_DEPTH:
        raise MalformedEncoding(f"nested deeper than {MAX_DEPTH}")
    try:
        text = raw.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_unique_members,
            parse_constant=_no_constant,
            parse_float=_finite_float,
            parse_int=_exact_int,
        )
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedEncoding("not JSON") from error
    return value


def _depth(raw: bytes) -> int:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _unique_members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedEncoding("a member name appears twice")
    return members


def _no_constant(name: str) -> Any:
    raise MalformedEncoding(f"{name} is not JSON")


def _exact_int(text: str) -> int:
    # Others read numbers as doubles (RFC 8259 §6): beyond 2^53 - 1 two readers may see two numbers.
    if len(text) > 17 or abs(number := int(text)) > _LARGEST_EXACT_INTEGER:
        raise MalformedEncoding("an integer too large for a double")
    return number


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise MalformedEncoding("a number too large for a double")
    return number
