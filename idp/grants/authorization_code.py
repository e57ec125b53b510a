"""`authorization_code`: a code becomes tokens, once.

A code that its client presents is spent, whatever is wrong with the rest: the tokens are written by the very statement
that burns it, and a refusal burns it too.
Spec: RFC 6749 §4.1.3; OpenID Connect Core §3.1.3; RFC 7636 §4.6; RFC 9700 §2.1.1, §4.5, §4.8.
"""

from typing import Final, NoReturn

from sqlalchemy import Table, bindparam, select, update

from consent.models import ConsentRecord
from idp.accounts.models import Account
from idp.audit import AuditKind, record
from idp.clients.models import Client
from idp.driver.statement import Once, Row, Statement, Values
from idp.errors import InvalidGrant, OAuthError
from idp.grants.issuing import AUTHORIZATION_COLUMNS, PERSON_COLUMNS, Basis, answer_for, basis_of, person_of
from idp.grants.pkce import check_verifier
from idp.grants.request import Answer, TokenRequest
from idp.sessions.models import LoginSession
from idp.tokens.audience import audiences, requested_resources
from idp.tokens.liveness import FACTS, Facts, cause_of_death
from idp.tokens.models import Authorization
from idp.tokens.refresh_token import digest, first_token, row_of
from idp.tokens.revoke import revoke_family
from idp.tokens.tables import ACCESS_TOKENS, AUTHORIZATIONS, REFRESH_TOKENS

# Everything that decides about a code, in one look.
_FOUND: Final = Statement(
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
    .outerjoin(Account, Account.id == Authorization.account_id)
    .outerjoin(ConsentRecord, ConsentRecord.id == Authorization.consent_id)
    .outerjoin(LoginSession, LoginSession.id == Authorization.session_id)
    .where(AUTHORIZATIONS.c.code_sha256 == bindparam("code_digest"))
)
_BURN: Final = Once(
    update(AUTHORIZATIONS)
    .where(
        AUTHORIZATIONS.c.code_sha256 == bindparam("code_digest"),
        AUTHORIZATIONS.c.client_id == bindparam("client"),
        AUTHORIZATIONS.c.redeemed_at.is_(None),
    )
    .values(redeemed_at=bindparam("at"))
    .returning(AUTHORIZATIONS.c.id)
)


async def authorization_code(request: TokenRequest) -> Answer:
    """Redeems a code. Errors: `invalid_request`, `invalid_grant`, `invalid_target`."""
    code_digest = digest(request.parameters.require("code"))
    burning = {"code_digest": code_digest, "client": request.client.client_id, "at": request.now}
    found = await request.provider.database.driver.row(_FOUND, {"code_digest": code_digest})
    if found is None:
        raise InvalidGrant("the code is not valid", detail="unknown code")
    basis = basis_of(found, len(FACTS))
    await _check_first_use(request, found, basis)
    try:
        _check_binding(request, found)
        _check_standing(request, found)
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
    answer, access_token_row = await answer_for(
        request,
        basis,
        person_of(found, len(FACTS) + len(AUTHORIZATION_COLUMNS)),
        scopes=tuple(basis.scope.split()),
        audiences=chosen,
        refresh_token=refresh_token,
        nonce=basis.nonce,
    )
    then: dict[Table, Values] = {ACCESS_TOKENS: access_token_row}
    if refresh_token is not None:
        then[REFRESH_TOKENS] = row_of(
            request.provider,
            refresh_token,
            authorization_id=basis.authorization_id,
            client_id=request.client.client_id,
            family_expires_at=basis.refresh_expires_at,
            now=request.now,
        )
    if await request.provider.database.driver.once(_BURN, burning, then) is None:
        # Another request with this code was faster between our look and our hand.
        await _refuse_replay(request, basis)
    return answer


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


def _check_standing(request: TokenRequest, found: Row) -> None:
    cause = cause_of_death(Facts(*found[: len(FACTS)]), request.now)
    if cause is not None:
        raise InvalidGrant("the authorization does not hold any more", detail=cause)


def _refresh_token(request: TokenRequest, basis: Basis) -> str | None:
    wanted = basis.offline and "refresh_token" in request.client.grant_types
    return first_token(request.provider) if wanted else None


async def _burn_for_nothing(request: TokenRequest, burning: Values, basis: Basis, refused: OAuthError) -> None:
    """Spends the code of a request that is refused: whoever holds it may not try until it fits."""
    async with request.provider.database.transaction() as session:
        burned = (await session.execute(_BURN.update, burning)).one_or_none()
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
