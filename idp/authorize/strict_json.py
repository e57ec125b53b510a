"""JSON from a stranger's address bar: small, flat, with no name twice and nothing that the database or a page would choke on.

Spec: RFC 8259 §4 (names should be unique), §8.2 (unpaired surrogates), §9 (a parser may set limits).
"""

import json
from typing import Any, Never


class NotStrictJson(ValueError):
    """The text is no JSON, or JSON that no honest client sends; the text says why."""


def parse_strict_json(text: str, *, max_chars: int, max_depth: int) -> Any:
    """The value of a JSON text. Errors: `NotStrictJson`."""
    if len(text) > max_chars:
        raise NotStrictJson(f"is longer than {max_chars} characters")
    # Before parsing: a parser that recurses can be driven to the end of its stack by brackets alone.
    if _depth(text) > max_depth:
        raise NotStrictJson("is nested too deeply")
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
        written.encode()
    except NotStrictJson:
        raise
    except ValueError:
        raise NotStrictJson("is not JSON") from None
    if "\\u0000" in written:
        # PostgreSQL cannot keep it, and the answer would be a 500.
        raise NotStrictJson("has a null character")
    return value


def _depth(text: str) -> int:
    depth = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotStrictJson("has a name twice")
    return value


def _refuse_constant(_name: str) -> Never:
    raise NotStrictJson("has a number that is not one")
