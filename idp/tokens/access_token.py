"""Access tokens: signed JWTs that say who may do what, recorded by their `jti`, and alive only while the rows say so.

Spec: RFC 9068 §2 and §4; RFC 8725 §3; draft-ietf-oauth-status-list-20 §6.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, bindparam, insert, select

from consent.gate import Permit, Reason, items_of
from consent.vault import PersonKey
from idp.accounts.models import Account
from idp.clients.models import Client
from idp.driver.statement import Row, Statement
from idp.errors import InvalidToken, UsesSpent
from idp.provider import Provider
from idp.status_list.places import address
from idp.tokens.audience import aud
from idp.tokens.liveness import FACTS, Facts, facts_of, joined, weigh
from idp.tokens.models import AccessToken, Authorization
from idp.tokens.release import AGREED
from idp.tokens.tables import ACCESS_TOKENS
from keys import errors as keys_errors
from keys.entropy import new_token
from keys.jws import sign_jwt, verify_jwt

# Signed by us and read by many: the cheapest to sign of those that every library knows.
SIGNING_ALG: Final = "ES256"
TYP: Final = "at+jwt"
JTI_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a token is about, and how they logged in. A token of an app itself has none."""

    authorization_id: str
    subject: str
    auth_time: datetime
    acr: str
    amr: tuple[str, ...]
    authorization_details: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class NewAccessToken:
    """An access token about to be issued."""

    client_id: str
    audiences: tuple[str, ...]
    scopes: tuple[str, ...]
    person: Person | None


@dataclass(frozen=True, slots=True)
class Minted:
    """A signed token, and the row without which it is dead: whoever mints one writes that before it leaves."""

    token: str
    expires_in: int
    row: Mapping[str, Any]


Asks = Callable[[Row], frozenset[str]]
KEEP: Final = Statement(insert(ACCESS_TOKENS))


async def mint(provider: Provider, new: NewAccessToken, *, now: datetime) -> Minted:
    """Signs a token, which lives from when its row is written."""
    lifetime = provider.settings.access_token_ttl
    expires_at = now + lifetime
    jti = new_token(provider.entropy, JTI_BYTES)
    place = await provider.places.next(now)
    claims: dict[str, Any] = {
        "iss": provider.settings.issuer,
        "aud": aud(new.audiences),
        "sub": new.client_id if new.person is None else new.person.subject,
        "client_id": new.client_id,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
        "jti": jti,
        "status": {"status_list": {"idx": place.index, "uri": address(provider.settings.issuer, place.list_id)}},
    }
    scope = " ".join(new.scopes)
    if scope:
        claims["scope"] = scope
    if new.person is not None:
        claims |= _about(new.person)
    token = await sign_jwt(provider.keys.signer_for(SIGNING_ALG), claims, typ=TYP)
    row = {
        "jti": jti,
        "authorization_id": new.person.authorization_id if new.person is not None else None,
        "client_id": new.client_id,
        "audiences": list(new.audiences),
        "scope": scope,
        "issued_at": now,
        "expires_at": expires_at,
        "revoked_at": None,
        "status_position": place.position,
    }
    return Minted(token, provider.settings.access_token_lifetime, row)


def _about(person: Person) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "auth_time": int(person.auth_time.timestamp()),
        "acr": person.acr,
        "amr": list(person.amr),
    }
    if person.authorization_details:
        claims["authorization_details"] = [dict(detail) for detail in person.authorization_details]
    return claims


class LiveAccessToken(NamedTuple):
    """An access token that was verified and found alive. `row` has what the reading statement selected besides.

    `permit` is the gate's answer for a token about a person: which of the items that were asked about may go out.
    """

    claims: Mapping[str, Any]
    client_id: str
    audiences: frozenset[str]
    scopes: frozenset[str]
    row: Row
    facts: Facts
    permit: Permit | None

    @property
    def of_a_person(self) -> bool:
        """Whether the token is about a person, who agreed to it."""
        return self.permit is not None

    @property
    def granted(self) -> frozenset[str]:
        """The items that the person's consent lets flow now."""
        return items_of(self.facts.consent)


_STATEMENT_COLUMNS: Final = (
    *FACTS,
    AccessToken.client_id.label("token_client_id"),
    AccessToken.authorization_id.label("token_authorization_id"),
    AccessToken.audiences.label("token_audiences"),
    AccessToken.scope.label("token_scope"),
    AccessToken.expires_at.label("token_expires_at"),
    AccessToken.revoked_at.label("token_revoked_at"),
)


def _by_jti(*columns: Any) -> Select[*tuple[Any, ...]]:
    return joined(
        select(*_STATEMENT_COLUMNS, *columns)
        .select_from(AccessToken)
        .outerjoin(Client, Client.client_id == AccessToken.client_id)
        .outerjoin(Authorization, Authorization.id == AccessToken.authorization_id)
    ).where(AccessToken.jti == bindparam("jti"))


STANDING: Final = Statement(_by_jti(*AGREED))
# What is released needs the person's key besides: nothing leaves that was not written down under it.
STANDING_AND_CLAIMS: Final = Statement(
    _by_jti(
        Authorization.subject.label("subject"),
        Authorization.claims.label("requested_claims"),
        Authorization.authorization_details.label("authorization_details"),
        Account.profile.label("profile"),
        Account.locale.label("locale"),
        Account.updated_at.label("updated_at"),
        PersonKey.sealed.label("sealed_key"),
    ).outerjoin(PersonKey, PersonKey.subject_id == Authorization.account_id)
)


def verify_signature(provider: Provider, token: str, *, now: datetime, expired_too: bool = False) -> Mapping[str, Any]:
    """The claims of one of our own access tokens, by its signature, kind, issuer and time. Error: `invalid_token`.

    Not enough to act on: whether it is still alive is in the database.
    """
    ring = provider.keys
    known = provider.verified.recall(ring, token)
    if known is not None and (expired_too or now.timestamp() < known["exp"]):
        return known
    try:
        claims = verify_jwt(
            token,
            keys=ring.verification_keys(),
            expected_algs=frozenset({SIGNING_ALG}),
            now=now,
            expected_typ=TYP,
            expected_issuer=provider.settings.issuer,
            require=("exp", "iat", "jti", "aud", "sub", "client_id"),
            verify_expiry=not expired_too,
            leeway_seconds=0,
        ).claims
    except keys_errors.InvalidToken as refused:
        raise InvalidToken("the access token is not valid", detail=refused.detail) from None
    provider.verified.remember(ring, token, claims)
    return claims


async def verify_access_token(
    provider: Provider,
    token: str,
    *,
    now: datetime,
    statement: Statement = STANDING,
    asked: Asks | None = None,
    is_use: bool = False,
) -> LiveAccessToken:
    """Verifies a token and asks the database, in one statement, whether it still lives.

    Whom it is for (`audiences`) is for the caller to check.
    `asked` reads the items that are wanted; `is_use` says that whoever asks receives data by the answer.
    Errors: `invalid_token`; `UsesSpent` when only the uses that were agreed to are.
    """
    claims = verify_signature(provider, token, now=now)
    row = await provider.database.driver.row(statement, {"jti": claims["jti"]})
    if row is None:
        raise InvalidToken("the access token is not valid", detail="not recorded")
    facts = facts_of(row)
    return LiveAccessToken(
        claims=claims,
        client_id=row.token_client_id,
        audiences=frozenset(row.token_audiences),
        scopes=frozenset(row.token_scope.split()),
        row=row,
        facts=facts,
        permit=_weighed(row, facts, now, items=asked(row) if asked is not None else frozenset(), is_use=is_use),
    )


def _weighed(row: Row, facts: Facts, now: datetime, *, items: frozenset[str], is_use: bool) -> Permit | None:
    """The gate's answer for a token about a person; nothing for a living one of an app itself."""
    cause = _own_cause_of_death(row, facts, now)
    if cause is not None:
        raise InvalidToken("the access token is no longer valid", detail=cause)
    if row.token_authorization_id is None:
        return None
    answer = weigh(facts, now, items=items, is_use=is_use)
    if isinstance(answer, Permit):
        return answer
    if answer.reason is Reason.USES_SPENT:
        raise UsesSpent(answer.cause)
    raise InvalidToken("the access token is no longer valid", detail=answer.cause)


def _own_cause_of_death(row: Row, facts: Facts, now: datetime) -> str | None:
    if row.token_revoked_at is not None:
        return "the token was revoked"
    if row.token_expires_at <= now:
        return "the token has expired"
    if row.token_authorization_id is None and facts.client_status != "live":
        return "the client is disabled"
    return None
