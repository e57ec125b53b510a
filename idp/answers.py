"""What the JSON endpoints answer with: never cached unless it is public, and a refusal in OAuth's own words.

Spec: RFC 6749 §5.1 and §5.2; RFC 6750 §3.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from idp.errors import OAuthError

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}


def json_answer(content: Mapping[str, Any], *, status: int = 200) -> Response:
    """A JSON answer that no cache may keep: it carries tokens, or what is known about one."""
    return Response(orjson.dumps(content), status, headers=NO_STORE, media_type="application/json")


def cacheable_answer(
    request: Request,
    document: bytes,
    *,
    tag: str,
    max_age: int,
    media_type: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """What is public and the same for all; not sent again to whoever has it.

    Spec: RFC 9110 §13.1.2; the comparison is weak, and proxies mark a tag so when they compress.
    """
    sent = {"Cache-Control": f"public, max-age={max_age}", "ETag": tag, "X-Content-Type-Options": "nosniff"}
    sent |= headers or {}
    known = request.headers.get("if-none-match", "")
    if known == "*" or tag in {one.strip().removeprefix("W/") for one in known.split(",")}:
        return Response(status_code=304, headers=sent)
    return Response(document, headers=sent, media_type=media_type)


def error_answer(refusal: OAuthError, *, challenge: str | None = None) -> Response:
    """A refusal as JSON; `challenge` becomes `WWW-Authenticate`."""
    content = {"error": refusal.code}
    if refusal.description:
        content["error_description"] = printable(refusal.description)
    response = json_answer(content, status=refusal.status)
    if challenge is not None:
        response.headers["WWW-Authenticate"] = challenge
    return response


def bearer_challenge(refusal: OAuthError | None, *, scope: str | None = None) -> str:
    """The `WWW-Authenticate` of a protected resource; no error code when no credentials came at all.

    Spec: RFC 6750 §3 and §3.1.
    """
    parts = ['realm="satupintu"']
    if refusal is not None:
        parts.append(f'error="{refusal.code}"')
        if refusal.description:
            parts.append(f'error_description="{printable(refusal.description)}"')
    if scope is not None:
        parts.append(f'scope="{scope}"')
    return "Bearer " + ", ".join(parts)


def printable(description: str) -> str:
    """A description in the characters that OAuth allows, so that nothing sent to us can break out of a header.

    Spec: RFC 6749 §5.2 (`%x20-21 / %x23-5B / %x5D-7E`).
    """
    allowed = (character if " " <= character <= "~" else "?" for character in description[:300])
    return "".join("'" if character in '"\\' else character for character in allowed)
