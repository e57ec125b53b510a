"""`authorization_code`: a code becomes tokens, once.

A code that its client presents is spent, whatever is wrong with the rest: the tokens are written by the very statement
that burns it, and a refusal burns it too.
Spec: RFC 6749 §4.1.3; OpenID Connect Core §3.1.3; RFC 7636 §4.6; RFC 9700 §2.1.1, §4.5, §4.8.
"""

from typing import Final, NoReturn

from sqlalchemy import bindparam, select, update

from consent.gate import Permit
from consent.vault import PersonKey
from idp.audit import AuditKind, record
from idp.clients.models import Client
from idp.driver.statement import Once, Row, Statement, Values
from idp.errors import InvalidGrant, OAuthError, TemporarilyUnavailable
from idp.grants.issuing import (
    ATTEMPTS,
    AUTHORIZATION_COLUMNS,
    PERSON_COLUMNS,
    Basis,
    answer_for,
    basis_of,
    permit_of,
    person_of,
)
from idp.grants.pkce import check_verifier
from idp.grants.request import Answer, TokenRequest
from idp.tokens.audience import audiences, requested_resources
from idp.tokens.liveness import FACTS, Dead, Facts, facts_of, joined
from idp.tokens.models import Authorization
from idp.tokens.refresh_token import digest, first_token, row_of
from idp.tokens.revoke import revoke_family
from idp.tokens.tables import AUTHORIZATIONS, REFRESH_TOKENS
from idp.uses.tables import consent_stands, standing_as

# Everything that decides about a code, in one look.
_FOUND: Final = Statement(
    joined(
        select(
            *FACTS,
            *AUTHORIZATION_COLUMNS,
            *PERSON_COLUMNS,
            AUTHORIZATIONS.c.client_id.label("code_client_id"),
            AUTHORIZATIONS.c.redeemed_at,
            AUTHORIZATIONS.c.code_expires_at,
            AUTHORIZATIONS.c.redirect_uri,
            AUTHORIZATIONS.c.redirect_uri_was_sent,
            AUTHORIZATIONS.c.code_challenge,
        )
        .select_from(Authorization)
        .outerjoin(Client, Client.client_id == Authorization.client_id)
    )
    .outerjoin(PersonKey, PersonKey.subject_id == Authorization.account_id)
    .where(AUTHORIZATIONS.c.code_sha256 == bindparam("code_digest"))
)
_SPEND: Final = (
    update(AUTHORIZATIONS)
    .where(
        AUTHORIZATIONS.c.code_sha256 == bindparam("code_digest"),
        AUTHORIZATIONS.c.client_id == bindparam("client"),
        AUTHORIZATIONS.c.redeemed_at.is_(None),
    )
    .values(redeemed_at=bindparam("at"))
    .returning(AUTHORIZATIONS.c.id)
)
# A withdrawal revokes the authorization in its own transaction: nothing is issued after its answer.
_BURN: Final = Once(_SPEND.where(AUTHORIZATIONS.c.revoked_at.is_(None)))
# The ID token tells of the person, so the consent must stand until that is written down.
_BURN_AND_TELL: Final = Once(_SPEND.where(AUTHORIZATIONS.c.revoked_at.is_(None), consent_stands()))


async def authorization_code(request: TokenRequest) -> Answer:
    """Redeems a code. Errors: `invalid_request`, `invalid_grant`, `invalid_target`."""
    code_digest = digest(request.parameters.require("code"))
    for _ in range(ATTEMPTS):
        answer = await _attempt(request, code_digest)
        if answer is not None:
            return answer
    raise TemporarilyUnavailable("too much at once; try again", detail="the consent is changed all the time")


async def _attempt(request: TokenRequest, code_digest: bytes) -> Answer | None:
    """Looks, decides, and burns the code. Nothing when what was looked at changed before it could be burned."""
    burning = {"code_digest": code_digest, "client": request.client.client_id, "at": request.now}
    found = await request.provider.database.driver.row(_FOUND, {"code_digest": code_digest})
    if found is None:
        raise InvalidGrant("the code is not valid", detail="unknown code")
    basis = basis_of(found, len(FACTS))
    facts = facts_of(found)
    await _check_first_use(request, found, basis)
    try:
        _check_binding(request, found)
        permit = _check_standing(request, basis, facts)
        chosen = audiences(
            requested_resources(request.parameters.get("resource")),
            granted=basis.resources,
            client=request.client,
            issuer=request.provider.settings.issuer,
        )
    except OAuthError as refused:
        await _burn_for_nothing(request, burning, basis, refused)
        raise
    refresh_token = _refresh_token(request, basis)
    issued = await answer_for(
        request,
        basis,
        person_of(found, len(FACTS) + len(AUTHORIZATION_COLUMNS)),
        facts,
        permit,
        scopes=tuple(basis.scope.split()),
        audiences=chosen,
        refresh_token=refresh_token,
        nonce=basis.nonce,
    )
    if refresh_token is not None:
        issued.then[REFRESH_TOKENS] = row_of(
            request.provider,
            refresh_token,
            authorization_id=basis.authorization_id,
            client_id=request.client.client_id,
            family_expires_at=basis.refresh_expires_at,
            now=request.now,
        )
    driver = request.provider.database.driver
    if issued.discloses:
        burned = await driver.once(_BURN_AND_TELL, {**burning, **standing_as(facts.consent)}, issued.then)
    else:
        burned = await driver.once(_BURN, burning, issued.then)
    return issued.answer if burned is not None else None


async def _check_first_use(request: TokenRequest, found: Row, basis: Basis) -> None:
    """The code is this client's, and nobody has used it."""
    if found.code_client_id != request.client.client_id:
        async with request.provider.database.transaction() as session:
            await record(
                session,
                AuditKind.GRANT_REFUSED,
                now=request.now,
                entropy=request.provider.entropy,
                account_id=basis.account_id,
                client_id=request.client.client_id,
                detail={
                    "grant": "authorization_code",
                    "reason": "the code is another client's",
                    "client": found.code_client_id,
                },
            )
        raise InvalidGrant("the code is not valid", detail="another client's code")
    if found.redeemed_at is not None:
        await _refuse_replay(request, basis)


async def _refuse_replay(request: TokenRequest, basis: Basis) -> NoReturn:
    # Two parties hold this code, and one of them stole it. Which of the two was first is unknown, so both lose.
    async with request.provider.database.transaction() as session:
        was_alive = await revoke_family(session, basis.authorization_id, because="code_reuse", now=request.now)
        await record(
            session,
            AuditKind.CODE_REPLAYED,
            now=request.now,
            entropy=request.provider.entropy,
            account_id=basis.account_id,
            client_id=request.client.client_id,
            detail={"authorization": basis.authorization_id, "family_was_alive": was_alive},
        )
    raise InvalidGrant("the code is not valid", detail="the code was used before")


def _check_binding(request: TokenRequest, found: Row) -> None:
    """The code is fresh, and redeemed by the same party that asked for it."""
    if found.code_expires_at <= request.now:
        raise InvalidGrant("the code has expired")
    redirect_uri = request.parameters.get("redirect_uri")
    if redirect_uri is None and found.redirect_uri_was_sent:
        raise InvalidGrant("redirect_uri is missing: it was in the authorization request")
    if redirect_uri is not None and redirect_uri != found.redirect_uri:
        raise InvalidGrant("redirect_uri differs from that of the authorization request")
    client = request.client
    check_verifier(
        request.parameters.get("code_verifier"),
        expected_challenge=found.code_challenge,
        required=client.require_pkce or client.is_public,
    )


def _check_standing(request: TokenRequest, basis: Basis, facts: Facts) -> Permit:
    permit = permit_of(facts, basis, now=request.now)
    if isinstance(permit, Dead):
        raise InvalidGrant("the authorization does not hold any more", detail=permit.cause)
    return permit


def _refresh_token(request: TokenRequest, basis: Basis) -> str | None:
    wanted = basis.offline and "refresh_token" in request.client.grant_types
    return first_token(request.provider) if wanted else None


async def _burn_for_nothing(request: TokenRequest, burning: Values, basis: Basis, refused: OAuthError) -> None:
    """Spends the code of a request that is refused: whoever holds it may not try until it fits."""
    async with request.provider.database.transaction() as session:
        burned = (await session.execute(_SPEND, burning)).one_or_none()
        if burned is not None and isinstance(refused, InvalidGrant):
            await record(
                session,
                AuditKind.GRANT_REFUSED,
                now=request.now,
                entropy=request.provider.entropy,
                account_id=basis.account_id,
                client_id=request.client.client_id,
                detail={
                    "grant": "authorization_code",
                    "reason": refused.detail or refused.description,
                    "authorization": basis.authorization_id,
                },
            )
    if burned is None:
        await _refuse_replay(request, basis)
