"""`authorization_code`: a code becomes tokens, once.

The code is burned before anything about it is looked at, and stays burned whatever is wrong with the rest.
Spec: RFC 6749 §4.1.3; OpenID Connect Core §3.1.3; RFC 7636 §4.6; RFC 9700 §2.1.1, §4.5, §4.8.
"""

from typing import Final

from sqlalchemy import bindparam, select, update

from consent.models import ConsentRecord
from idp.accounts.models import Account
from idp.audit import AuditKind, record
from idp.clients.models import Client
from idp.errors import InvalidGrant
from idp.grants.issuing import AUTHORIZATION_COLUMNS, PERSON_COLUMNS, Basis, PersonNow, answer_for, basis_of, person_of
from idp.grants.pkce import check_verifier
from idp.grants.request import Answer, TokenRequest
from idp.sessions.models import LoginSession
from idp.tokens.audience import audiences, requested_resources
from idp.tokens.liveness import FACTS, Facts, cause_of_death
from idp.tokens.models import Authorization
from idp.tokens.refresh_token import digest, first_token, keep
from idp.tokens.revoke import revoke_family
from idp.tokens.tables import AUTHORIZATIONS, AnyRow, AnySelect

_BURN: Final = (
    update(AUTHORIZATIONS)
    .where(
        AUTHORIZATIONS.c.code_sha256 == bindparam("code_digest"),
        AUTHORIZATIONS.c.client_id == bindparam("client"),
        AUTHORIZATIONS.c.redeemed_at.is_(None),
    )
    .values(redeemed_at=bindparam("at"))
    .returning(
        *AUTHORIZATION_COLUMNS,
        AUTHORIZATIONS.c.code_expires_at,
        AUTHORIZATIONS.c.redirect_uri,
        AUTHORIZATIONS.c.redirect_uri_was_sent,
        AUTHORIZATIONS.c.code_challenge,
    )
)
_SEEN: Final = select(
    AUTHORIZATIONS.c.id, AUTHORIZATIONS.c.client_id, AUTHORIZATIONS.c.account_id, AUTHORIZATIONS.c.redeemed_at
).where(AUTHORIZATIONS.c.code_sha256 == bindparam("code_digest"))
_STANDING: Final[AnySelect] = (
    select(*FACTS, *PERSON_COLUMNS)
    .select_from(Authorization)
    .outerjoin(Client, Client.client_id == Authorization.client_id)
    .outerjoin(Account, Account.id == Authorization.account_id)
    .outerjoin(ConsentRecord, ConsentRecord.id == Authorization.consent_id)
    .outerjoin(LoginSession, LoginSession.id == Authorization.session_id)
    .where(Authorization.id == bindparam("authorization"))
)


async def authorization_code(request: TokenRequest) -> Answer:
    """Redeems a code. Errors: `invalid_request`, `invalid_grant`, `invalid_target`."""
    code = request.parameters.require("code")
    burned = await _burn(request, code)
    basis = basis_of(burned, 0)
    try:
        _check_binding(request, burned)
        person = await _check_standing(request, basis)
    except InvalidGrant as refused:
        await _record_refusal(request, basis, refused)
        raise
    chosen = audiences(
        requested_resources(request.parameters.get("resource")),
        granted=basis.resources,
        client=request.client,
        issuer=request.provider.settings.issuer,
    )
    return await answer_for(
        request,
        basis,
        person,
        scopes=tuple(basis.scope.split()),
        audiences=chosen,
        refresh_token=await _refresh_token(request, basis),
    )


async def _burn(request: TokenRequest, code: str) -> AnyRow:
    code_digest = digest(code)
    burned = (
        await request.session.execute(
            _BURN, {"code_digest": code_digest, "client": request.client.client_id, "at": request.now}
        )
    ).one_or_none()
    if burned is not None:
        return burned
    seen = (await request.session.execute(_SEEN, {"code_digest": code_digest})).one_or_none()
    if seen is None:
        raise InvalidGrant("the code is not valid", detail="unknown code")
    if seen.client_id == request.client.client_id:
        await _end_replayed_family(request, seen)
        raise InvalidGrant("the code is not valid", detail="the code was used before")
    await record(
        request.session,
        AuditKind.GRANT_REFUSED,
        now=request.now,
        entropy=request.provider.entropy,
        account_id=seen.account_id,
        client_id=request.client.client_id,
        detail={"grant": "authorization_code", "reason": "the code is another client's", "client": seen.client_id},
    )
    raise InvalidGrant("the code is not valid", detail="another client's code")


async def _end_replayed_family(request: TokenRequest, seen: AnyRow) -> None:
    # Two parties hold this code, and one of them stole it. Which of the two was first is unknown, so both lose.
    was_alive = await revoke_family(request.session, seen.id, because="code_reuse", now=request.now)
    await record(
        request.session,
        AuditKind.CODE_REPLAYED,
        now=request.now,
        entropy=request.provider.entropy,
        account_id=seen.account_id,
        client_id=request.client.client_id,
        detail={"authorization": seen.id, "family_was_alive": was_alive},
    )


def _check_binding(request: TokenRequest, burned: AnyRow) -> None:
    """The code is fresh, and redeemed by the same party that asked for it."""
    if burned.code_expires_at <= request.now:
        raise InvalidGrant("the code has expired")
    redirect_uri = request.parameters.get("redirect_uri")
    if redirect_uri is None and burned.redirect_uri_was_sent:
        raise InvalidGrant("redirect_uri is missing: it was in the authorization request")
    if redirect_uri is not None and redirect_uri != burned.redirect_uri:
        raise InvalidGrant("redirect_uri differs from that of the authorization request")
    client = request.client
    check_verifier(
        request.parameters.get("code_verifier"),
        expected_challenge=burned.code_challenge,
        required=client.require_pkce or client.is_public,
    )


async def _check_standing(request: TokenRequest, basis: Basis) -> PersonNow:
    row = (await request.session.execute(_STANDING, {"authorization": basis.authorization_id})).one()
    cause = cause_of_death(Facts(*row[: len(FACTS)]), request.now)
    if cause is not None:
        raise InvalidGrant("the authorization does not hold any more", detail=cause)
    return person_of(row, len(FACTS))


async def _refresh_token(request: TokenRequest, basis: Basis) -> str | None:
    if not basis.offline or "refresh_token" not in request.client.grant_types:
        return None
    token = first_token(request.provider)
    await keep(
        request.provider,
        request.session,
        token,
        authorization_id=basis.authorization_id,
        client_id=request.client.client_id,
        family_expires_at=basis.refresh_expires_at,
        now=request.now,
    )
    return token


async def _record_refusal(request: TokenRequest, basis: Basis, refused: InvalidGrant) -> None:
    await record(
        request.session,
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
