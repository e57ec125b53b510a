"""`id_token_hint`: whom the app expects, in a token that we signed for it.

Spec: OpenID Connect Core §3.1.2.1 and §3.1.2.2.
"""

from dataclasses import replace
from datetime import datetime

from idp.authorize.parameters import AuthorizationRequest
from idp.errors import InvalidRequest
from idp.provider import Provider
from idp.sessions.hint import read_hint


async def settle_hint(provider: Provider, request: AuthorizationRequest, *, now: datetime) -> AuthorizationRequest:
    """The request with its hint verified and replaced by the subject that it names. An expired one still tells who.

    Not within a transaction: a key that this process has not met makes the ring read the database again.
    Error: `invalid_request` when the token is not one of ours for this client.
    """
    if request.id_token_hint is None:
        return request
    hint = read_hint(provider, request.id_token_hint, now=now)
    if hint is None:
        await provider.ring.refresh_for_unknown_key(provider.database.reading, now=now)
        hint = read_hint(provider, request.id_token_hint, now=now)
    # Another client's ID token is refused too: within an agency its `sub` would be the same.
    if hint is None or hint.client_id != request.client_id:
        raise InvalidRequest("id_token_hint is not an ID token of this provider for this client")
    return replace(request, id_token_hint=None, hinted_subject=hint.sub)
