"""The answer that a code and a refresh token have in common: access token, ID token, and the refresh token beside.

Spec: RFC 6749 §5.1; OpenID Connect Core §3.1.3.3 and §12.2; RFC 9396 §7.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from consent.models import ConsentRecord
from idp.accounts.models import Account
from idp.driver.statement import Row
from idp.grants.request import Answer, TokenRequest
from idp.tokens import access_token, id_token
from idp.tokens.release import asked_in_id_token, granted_details, released
from idp.tokens.tables import AUTHORIZATIONS

# What an answer needs besides the facts of life. Both grants read these.
AUTHORIZATION_COLUMNS: Final = (
    AUTHORIZATIONS.c.id,
    AUTHORIZATIONS.c.subject,
    AUTHORIZATIONS.c.sid,
    AUTHORIZATIONS.c.auth_time,
    AUTHORIZATIONS.c.acr,
    AUTHORIZATIONS.c.amr,
    AUTHORIZATIONS.c.nonce,
    AUTHORIZATIONS.c.scope,
    AUTHORIZATIONS.c.resources,
    AUTHORIZATIONS.c.claims,
    AUTHORIZATIONS.c.authorization_details,
    AUTHORIZATIONS.c.offline,
    AUTHORIZATIONS.c.refresh_expires_at,
    AUTHORIZATIONS.c.account_id,
)
PERSON_COLUMNS: Final = (ConsentRecord.granted, Account.profile, Account.locale, Account.updated_at)


@dataclass(frozen=True, slots=True)
class Basis:
    """The authorization on which tokens are issued. Its fields are `AUTHORIZATION_COLUMNS`, in that order."""

    authorization_id: str
    subject: str
    sid: str
    auth_time: datetime
    acr: str
    amr: list[str]
    nonce: str | None
    scope: str
    resources: list[str]
    claims: Mapping[str, Any]
    authorization_details: list[dict[str, Any]]
    offline: bool
    refresh_expires_at: datetime
    account_id: str


@dataclass(frozen=True, slots=True)
class PersonNow:
    """The person as they are now, and what they agree to now. Its fields are `PERSON_COLUMNS`, in that order."""

    granted: list[str]
    profile: Mapping[str, Any]
    locale: str | None
    updated_at: datetime


def basis_of(row: Row, start: int) -> Basis:
    """Reads `AUTHORIZATION_COLUMNS` from a row, beginning at a column."""
    return Basis(*row[start : start + len(AUTHORIZATION_COLUMNS)])


def person_of(row: Row, start: int) -> PersonNow:
    """Reads `PERSON_COLUMNS` from a row, beginning at a column."""
    return PersonNow(*row[start : start + len(PERSON_COLUMNS)])


async def answer_for(
    request: TokenRequest,
    basis: Basis,
    person: PersonNow,
    *,
    scopes: tuple[str, ...],
    audiences: tuple[str, ...],
    refresh_token: str | None,
    nonce: str | None,
) -> tuple[Answer, Mapping[str, Any]]:
    """Mints an access token, and the ID token of an OpenID request. The answer, and the access token's row.

    The answer may leave only when that row is written, together with what makes this use of a code or token the first.
    """
    details = granted_details(basis.authorization_details, person.granted)
    minted = await access_token.mint(
        request.provider,
        access_token.NewAccessToken(
            client_id=request.client.client_id,
            audiences=audiences,
            scopes=scopes,
            person=access_token.Person(
                authorization_id=basis.authorization_id,
                subject=basis.subject,
                auth_time=basis.auth_time,
                acr=basis.acr,
                amr=tuple(basis.amr),
                authorization_details=tuple(details),
            ),
        ),
        now=request.now,
    )
    answer: Answer = {
        "access_token": minted.token,
        "token_type": "Bearer",
        "expires_in": minted.expires_in,
    }
    if scopes:
        answer["scope"] = " ".join(scopes)
    if details:
        answer["authorization_details"] = details
    if refresh_token is not None:
        answer["refresh_token"] = refresh_token
    if "openid" in scopes:
        answer["id_token"] = await id_token.mint(
            request.provider,
            request.client,
            subject=basis.subject,
            sid=basis.sid,
            auth_time=basis.auth_time,
            acr=basis.acr,
            amr=basis.amr,
            nonce=nonce,
            access_token=minted.token,
            released=released(person, asked=asked_in_id_token(basis.claims), granted=person.granted),
            now=request.now,
        )
    return answer, minted.row
