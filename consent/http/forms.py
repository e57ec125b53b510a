"""The forms of these pages: urlencoded, small, every field sent once."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from consent.http.ports import Form

MAX_BYTES: Final = 8192
MAX_FIELDS: Final = 60
_TYPE: Final = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> Form:
    """The posted fields; none at all when the form is not one that our pages make.

    A form without fields has no CSRF token, so whatever is malformed is refused where a forged form is.
    """
    fields = await read_fields(request)
    # Of a repeated field, one reader would take the first value and another the last.
    if any(len(values) > 1 for values in fields.values()):
        return {}
    return {name: values[0] for name, values in fields.items()}


async def read_fields(request: Request) -> dict[str, list[str]]:
    """The posted fields with all their values, for forms with boxes to tick; none at all when it is malformed."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        return {}
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                return {}
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except (ValueError, ClientDisconnect):
        return {}
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields
