"""JSON that comes in a parameter: it can be read one way only, it is small, and the database can keep it.

Spec: RFC 8259 §4 and §9.
"""

from typing import Any

from keys.encoding import strict_json_loads
from keys.errors import MalformedEncoding


class NotStrictJson(ValueError):
    """No JSON, or JSON that no honest client sends; the text, after the parameter's name, says so."""


def parse_json_parameter(text: str, *, max_bytes: int) -> Any:
    """The value. Error: `NotStrictJson`."""
    if len(text.encode()) > max_bytes:
        raise NotStrictJson(f"is longer than {max_bytes} bytes")
    try:
        value = strict_json_loads(text, max_bytes=max_bytes)
    except MalformedEncoding:
        raise NotStrictJson("is not JSON, has a name twice or is nested too deeply") from None
    if "\\u0000" in text and _has_null(value):
        # PostgreSQL keeps no null character, and the answer would be a 500.
        raise NotStrictJson("has a null character")
    return value


def _has_null(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_null(name) or _has_null(member) for name, member in value.items())
    return isinstance(value, list) and any(map(_has_null, value))
