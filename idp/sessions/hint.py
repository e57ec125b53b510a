"""An ID token that comes back to us as a hint: whom the app believes to be signed in, and in which session.

Spec: OpenID Connect Core §3.1.2.1 (`id_token_hint`); OpenID Connect RP-Initiated Logout §2 and §4.
"""

from dataclasses import dataclass
from datetime import datetime

from idp.clients.registry import RegisteredClient
from idp.provider import Provider
from idp.sessions.store import CurrentSession
from keys.errors import InvalidToken
from keys.jws import verify_jwt


@dataclass(frozen=True, slots=True)
class IdTokenHint:
    """What an ID token of ours says. It exists only after its signature, issuer and kind were verified."""

    client_id: str
    sub: str
    sid: str | None


def read_hint(provider: Provider, token: str, *, now: datetime) -> IdTokenHint | None:
    """The hint, also when the ID token has expired; nothing when it is not an ID token that we issued to one app.

    An access or logout token has a `typ` of its own and is no hint.
    """
    ring = provider.keys
    try:
        verified = verify_jwt(
            token,
            keys=ring.verification_keys(),
            expected_algs=ring.algs,
            now=now,
            expected_typ=None,
            expected_issuer=provider.settings.issuer,
            verify_expiry=False,
        )
    except InvalidToken:
        return None
    audience = verified.claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    sub, sid = verified.claims.get("sub"), verified.claims.get("sid")
    if not isinstance(audience, str) or not isinstance(sub, str):
        return None
    return IdTokenHint(client_id=audience, sub=sub, sid=sid if isinstance(sid, str) else None)


def is_about(hint: IdTokenHint, current: CurrentSession, client: RegisteredClient, *, provider: Provider) -> bool:
    """Whether the hint names this very person in this very session, as this app knows them."""
    return (
        hint.client_id == client.client_id
        and hint.sub == provider.subjects.sub_for(current.account_id, client)
        and hint.sid == provider.subjects.sid(current.id, client.client_id)
    )
