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
    if "\\u0000" in text:
        # PostgreSQL keeps no null character, and the answer would be a 500.
        raise NotStrictJson("has a null character")
    try:
        return strict_json_loads(text, max_bytes=max_bytes)
    except MalformedEncoding:
        raise NotStrictJson("is not JSON, has a name twice or is nested too deeply") from None
