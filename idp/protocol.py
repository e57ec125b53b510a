"""OAuth's form of parameters, read by hand.

A framework's form parser keeps one of two repeated parameters and lets the two ends of a request disagree about which;
RFC 6749 §3.1 forbids repetition, and has error codes of its own.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import unquote_plus

from starlette.requests import ClientDisconnect, Request

from idp.errors import InvalidRequest

FORM = "application/x-www-form-urlencoded"
MAX_PARAMETERS = 100
MAX_VALUE = 32768


class Parameters(Mapping[str, str]):
    """A request's parameters, each sent once. Parameters sent without a value count as not sent.

    Spec: RFC 6749 §3.1.
    """

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def require(self, name: str) -> str:
        """The parameter's value. Error: `invalid_request` when it is missing."""
        value = self._values.get(name)
        if value is None:
            raise InvalidRequest(f"{name} is missing")
        return value


def parse_pairs(encoded: bytes) -> list[tuple[str, str]]:
    """The name and value pairs of a urlencoded query or body, in order.

    Error: `invalid_request` when it is not UTF-8, has bytes that no encoder makes, or is larger than any honest one.
    """
    if not encoded:
        return []
    pieces = encoded.split(b"&", MAX_PARAMETERS + 1)
    if len(pieces) > MAX_PARAMETERS:
        raise InvalidRequest("too many parameters")
    pairs = []
    for piece in pieces:
        if not piece:
            continue
        name, _, value = piece.partition(b"=")
        if len(value) > MAX_VALUE or len(name) > 200:
            raise InvalidRequest("a parameter is too long")
        pairs.append((_decode(name), _decode(value)))
    return pairs


def _decode(encoded: bytes) -> str:
    try:
        return unquote_plus(encoded.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise InvalidRequest("parameters must be percent-encoded UTF-8") from None


def parse_parameters(encoded: bytes, *, repeatable: frozenset[str] = frozenset({"resource"})) -> Parameters:
    """A query's or body's parameters. A repeated one is refused; `resource` may repeat (RFC 8707 §2).

    The values of a repeatable parameter are joined with a space, which no URI contains.
    Spec: RFC 6749 §3.1.
    """
    values: dict[str, str] = {}
    for name, value in parse_pairs(encoded):
        if name in values:
            if name not in repeatable:
                raise InvalidRequest("a parameter was sent more than once")
            if " " in value:
                raise InvalidRequest(f"{name} must be a URI")
            values[name] = f"{values[name]} {value}" if value else values[name]
        else:
            if name in repeatable and " " in value:
                raise InvalidRequest(f"{name} must be a URI")
            values[name] = value
    return Parameters({name: value for name, value in values.items() if value})


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """A form's body, capped while it is read. Error: `invalid_request` for another content type or too much."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM:
        raise InvalidRequest(f"the body must be {FORM}")
    return await read_capped(request, max_bytes=max_bytes)


async def read_capped(request: Request, *, max_bytes: int) -> bytes:
    """A body of any type, capped while it is read, so that nobody can fill the memory with one request."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared[:20]) > max_bytes:
        raise InvalidRequest("the body is too large")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise InvalidRequest("the body is too large")
    except ClientDisconnect:
        raise InvalidRequest("the body ended early") from None
    return bytes(body)
