"""The answer that a code and a refresh token have in common: access token, ID token, and the refresh token beside.

What an ID token tells of a person is a use of their data, and is written with the tokens, or nothing is.

Spec: RFC 6749 §5.1; OpenID Connect Core §3.1.3.3 and §12.2; RFC 9396 §7.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table

from consent.errors import Erased
from consent.gate import Permit, items_of
from consent.vault import PersonKey
from idp.accounts.models import Account
from idp.driver.statement import Row, Values
from idp.errors import InvalidGrant
from idp.grants.request import Answer, TokenRequest
from idp.tokens import access_token, id_token
from idp.tokens.id_token import PROTOCOL_CLAIMS
from idp.tokens.liveness import Dead, Facts, weigh
from idp.tokens.release import AGREED, Agreed, asked_in_id_token, details_for, granted_details, released
from idp.tokens.tables import ACCESS_TOKENS, AUTHORIZATIONS
from idp.uses.expected import expected_of
from idp.uses.recording import Observed
from idp.uses.released import IN_ID_TOKEN
from idp.uses.tables import EXPECTED_USES, LOG_ENTRIES, USES

# How often a grant looks, decides and writes, when what it looked at is changed before it could write.
ATTEMPTS: Final = 3

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
PERSON_COLUMNS: Final = (Account.profile, Account.locale, Account.updated_at, PersonKey.sealed, *AGREED)


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
    """The person as they are now, their key, what they agreed to. The fields are `PERSON_COLUMNS`, in that order."""

    profile: Mapping[str, Any]
    locale: str | None
    updated_at: datetime
    sealed_key: bytes | None
    purpose_version: int | None
    agreement_id: str | None

    @property
    def agreed(self) -> Agreed:
        """What they agreed to."""
        return Agreed(self.purpose_version, self.agreement_id)


@dataclass(frozen=True, slots=True)
class Issued:
    """An answer, and the rows without which it may not leave.

    `discloses`: the answer tells of the person, so those rows may be written only while the consent stands.
    """

    answer: Answer
    then: dict[Table, Values | Sequence[Values]]
    discloses: bool


def basis_of(row: Row, start: int) -> Basis:
    """Reads `AUTHORIZATION_COLUMNS` from a row, beginning at a column."""
    return Basis(*row[start : start + len(AUTHORIZATION_COLUMNS)])


def person_of(row: Row, start: int) -> PersonNow:
    """Reads `PERSON_COLUMNS` from a row, beginning at a column."""
    return PersonNow(*row[start : start + len(PERSON_COLUMNS)])


def permit_of(facts: Facts, basis: Basis, *, now: datetime) -> Permit | Dead:
    """Whether all still holds, and what may be told in the ID token then."""
    return weigh(facts, now, items=asked_in_id_token(basis.claims))


async def answer_for(
    request: TokenRequest,
    basis: Basis,
    person: PersonNow,
    facts: Facts,
    permit: Permit,
    *,
    scopes: tuple[str, ...],
    audiences: tuple[str, ...],
    refresh_token: str | None,
    nonce: str | None,
) -> Issued:
    """Mints an access token, and the ID token of an OpenID request.

    The answer may leave only when its rows are written, together with what makes this use of a code or token the first.
    """
    details = granted_details(basis.authorization_details, items_of(facts.consent), person.agreed)
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
                authorization_details=details_for(details, audiences),
            ),
        ),
        now=request.now,
    )
    answer: Answer = {
        "access_token": minted.token,
        "token_type": "Bearer",
        "expires_in": minted.expires_in,
    }
    then: dict[Table, Values | Sequence[Values]] = {ACCESS_TOKENS: minted.row}
    if scopes:
        answer["scope"] = " ".join(scopes)
    if details:
        answer["authorization_details"] = details
    if refresh_token is not None:
        answer["refresh_token"] = refresh_token
    told: Mapping[str, Any] = {}
    if "openid" in scopes:
        told = _told(person, permit)
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
            released=told,
            now=request.now,
        )
    if told:
        then |= _record_of(request, basis, person, facts, permit, items=told, jti=minted.row["jti"])
    expected = await expected_of(request.provider, request.client, minted.row, permit, now=request.now)
    if expected:
        then[EXPECTED_USES] = expected
    return Issued(answer, then, discloses=bool(told))


def _told(person: PersonNow, permit: Permit) -> Mapping[str, Any]:
    """The claims of the person in the ID token. None where uses are counted: those are had at userinfo.

    A one-time consent would otherwise end with the login that asks for it.
    """
    if permit.is_limited:
        return {}
    return {name: value for name, value in released(person, permit.items).items() if name not in PROTOCOL_CLAIMS}


def _record_of(
    request: TokenRequest,
    basis: Basis,
    person: PersonNow,
    facts: Facts,
    permit: Permit,
    *,
    items: Collection[str],
    jti: str,
) -> Mapping[Table, Values]:
    try:
        key = request.provider.database.vault.open(basis.account_id, person.sealed_key)
    except Erased as erased:
        raise InvalidGrant("the authorization does not hold any more", detail=str(erased)) from None
    observed = Observed(permit, facts.consent, items, key, jti, request.now)
    written = observed.written(IN_ID_TOKEN, entropy=request.provider.entropy)
    return {USES: written.use, LOG_ENTRIES: written.entry}
