"""Whom an access token is for.

Without a `resource`, a token is for this provider itself (its `aud` is the issuer): it opens `/userinfo` and nothing
else. A token for an agency's own API names that API, and then does not open `/userinfo`: whoever receives a token must
not be able to use it elsewhere.
Spec: RFC 8707 §2; RFC 9068 §2.2 and §3; RFC 9700 §2.3.
"""

from collections.abc import Collection

from idp.clients.registry import RegisteredClient
from idp.errors import InvalidTarget


def requested_resources(resource: str | None) -> tuple[str, ...]:
    """The values of the `resource` parameter, which may be sent several times, each once and in order."""
    return tuple(dict.fromkeys(resource.split(" "))) if resource else ()


def audiences(
    requested: Collection[str], *, granted: Collection[str], client: RegisteredClient, issuer: str
) -> tuple[str, ...]:
    """The audience of a new token. Error: `invalid_target` for what was not granted or is no longer allowed.

    `granted` is what the authorization request named; a token request may narrow it, and never widen it.
    """
    chosen = tuple(requested) or tuple(granted) or (issuer,)
    for resource in chosen:
        widened = bool(granted) and resource not in granted
        if widened or (resource != issuer and resource not in client.allowed_resources):
            raise InvalidTarget("the resource is not one that this client may ask for")
    return chosen


def aud(chosen: tuple[str, ...]) -> str | list[str]:
    """The claim: a plain string when there is one."""
    return chosen[0] if len(chosen) == 1 else list(chosen)
