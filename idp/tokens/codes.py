"""Authorization codes: 256 random bits that stand for one answered request. Rows keep their SHA-256.

Spec: RFC 6749 §4.1.2; RFC 9700 §4.5; OpenID Connect Core §3.1.2.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert

from idp.accounts.subjects import Subjects
from idp.authorize.asked import OFFLINE_ACCESS, asks_offline_access
from idp.authorize.parameters import AuthorizationRequest
from idp.clients.registry import RegisteredClient
from idp.driver.statement import Statement
from idp.settings import Settings
from idp.tokens.tables import AUTHORIZATIONS
from keys.entropy import Entropy, new_row_id, new_token, sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatedPerson:
    """The person whom a code is issued for, and the login that says so."""

    session_id: str
    account_id: str
    auth_time: datetime
    acr: str
    amr: tuple[str, ...]


KEEP: Final = Statement(insert(AUTHORIZATIONS))


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code, and the row without which it is worth nothing."""

    code: str
    row: Mapping[str, Any]


def new_code(
    *,
    request: AuthorizationRequest,
    client: RegisteredClient,
    person: AuthenticatedPerson,
    consent_id: str,
    subjects: Subjects,
    settings: Settings,
    now: datetime,
    entropy: Entropy,
) -> NewCode:
    """A code for what was authorized. Its row is written, in the transaction of the consent, before the code leaves.

    There is no code without a consent: `consent_id` is what every token from it is checked against.
    """
    code = new_token(entropy)
    offline = asks_offline_access(request, client)
    scope = request.scope if offline else tuple(scope for scope in request.scope if scope != OFFLINE_ACCESS)
    detail = request.authorization_details
    row = {
        "id": new_row_id(entropy, now),
        "code_sha256": sha256(code.encode()),
        "code_expires_at": now + timedelta(seconds=settings.code_lifetime),
        "redeemed_at": None,
        "client_id": client.client_id,
        "account_id": person.account_id,
        "session_id": person.session_id,
        "consent_id": consent_id,
        "subject": subjects.sub_for(person.account_id, client),
        "redirect_uri": request.redirect_uri,
        "redirect_uri_was_sent": request.redirect_uri_was_sent,
        "code_challenge": request.code_challenge,
        "nonce": request.nonce,
        "scope": " ".join(scope),
        "resources": list(request.resources),
        "claims": request.claims.to_json(),
        "authorization_details": [detail.to_json()] if detail is not None else [],
        "auth_time": person.auth_time,
        "acr": person.acr,
        "amr": list(person.amr),
        "sid": subjects.sid(person.session_id, client.client_id),
        "offline": offline,
        "created_at": now,
        "refresh_expires_at": now + timedelta(seconds=settings.refresh_absolute_lifetime),
        "revoked_at": None,
        "revoked_because": None,
    }
    return NewCode(code, row)
