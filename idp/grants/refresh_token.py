"""`refresh_token`: a token is exchanged for its successor, and presenting a spent one ends the family.

The one exception is the retry: an answer can be lost on its way, and whoever asks again within seconds gets the same
successor again. That starts no second lineage, so a thief gains nothing that the owner's next use would not betray.
Spec: RFC 6749 §6; RFC 9700 §4.14.2; OpenID Connect Core §12.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.gate import Permit
from consent.vault import PersonKey
from idp.audit import AuditKind, record
from idp.clients.models import Client
from idp.driver.statement import Once, Row, Statement
from idp.errors import InvalidGrant, TemporarilyUnavailable
from idp.grants.issuing import (
    ATTEMPTS,
    AUTHORIZATION_COLUMNS,
    PERSON_COLUMNS,
    Basis,
    Issued,
    answer_for,
    basis_of,
    permit_of,
    person_of,
)
from idp.grants.request import Answer, TokenRequest
from idp.tokens.audience import audiences, requested_resources
from idp.tokens.liveness import FACTS, Dead, Facts, facts_of, joined
from idp.tokens.models import Authorization
from idp.tokens.refresh_token import digest, row_of, successor_of
from idp.tokens.revoke import revoke_family
from idp.tokens.scope import narrow
from idp.tokens.tables import AUTHORIZATIONS, REFRESH_TOKENS
from idp.uses.tables import consent_stands, standing_as

_NEXT: Final = REFRESH_TOKENS.alias("next_token")
_STANDING: Final = Statement(
    joined(
        select(
            *FACTS,
            *AUTHORIZATION_COLUMNS,
            *PERSON_COLUMNS,
            REFRESH_TOKENS.c.client_id.label("token_client_id"),
            REFRESH_TOKENS.c.expires_at.label("token_expires_at"),
            REFRESH_TOKENS.c.rotated_at.label("token_rotated_at"),
            _NEXT.c.token_sha256.label("next_sha256"),
            _NEXT.c.rotated_at.label("next_rotated_at"),
        )
        .select_from(REFRESH_TOKENS)
        .join(Authorization, AUTHORIZATIONS.c.id == REFRESH_TOKENS.c.authorization_id)
        .outerjoin(Client, Client.client_id == REFRESH_TOKENS.c.client_id)
    )
    .outerjoin(PersonKey, PersonKey.subject_id == AUTHORIZATIONS.c.account_id)
    .outerjoin(_NEXT, _NEXT.c.token_sha256 == bindparam("next_digest"))
    .where(REFRESH_TOKENS.c.token_sha256 == bindparam("token_digest"))
)
_SPEND: Final = (
    update(REFRESH_TOKENS)
    .where(REFRESH_TOKENS.c.token_sha256 == bindparam("token_digest"), REFRESH_TOKENS.c.rotated_at.is_(None))
    .values(rotated_at=bindparam("at"))
    .returning(REFRESH_TOKENS.c.token_sha256)
)
_ROTATE: Final = Once(_SPEND)
# The ID token tells of the person, so the consent must stand until that is written down.
_ROTATE_AND_TELL: Final = Once(_SPEND.where(consent_stands()))
# A lost answer is given again: the token stays as it is, and what is told again is written again.
_TELL_AGAIN: Final = Once(
    update(REFRESH_TOKENS)
    .where(REFRESH_TOKENS.c.token_sha256 == bindparam("token_digest"), consent_stands())
    .values(rotated_at=REFRESH_TOKENS.c.rotated_at)
    .returning(REFRESH_TOKENS.c.token_sha256)
)


class Use(Enum):
    """What presenting a token amounts to."""

    FIRST = auto()
    RETRY = auto()
    REUSE = auto()


@dataclass(frozen=True, slots=True)
class Link:
    """Where a token stands in its chain."""

    rotated_at: datetime | None
    has_successor: bool
    successor_rotated_at: datetime | None


def judge(link: Link, *, now: datetime, retry_window: timedelta) -> Use:
    """Whether this is a token's first use, the retry of a lost answer, or the use of a spent token.

    It is a retry only while the successor is unused: once that was used, its owner has it, and somebody else is asking.
    """
    if link.rotated_at is None:
        return Use.FIRST
    # Of two at once, the slower may have looked at its clock first, and another process's clock may be behind.
    recent = abs(now - link.rotated_at) < retry_window
    return Use.RETRY if recent and link.has_successor and link.successor_rotated_at is None else Use.REUSE


async def refresh_token(request: TokenRequest) -> Answer:
    """Exchanges a refresh token. Errors: `invalid_request`, `invalid_grant`, `invalid_scope`, `invalid_target`."""
    token = request.parameters.require("refresh_token")
    successor = successor_of(token, secret=request.provider.keys.secret("refresh"))
    for _ in range(ATTEMPTS):
        answer = await _attempt(request, token, successor)
        if answer is not None:
            return answer
    raise TemporarilyUnavailable("too much at once; try again", detail="the consent is changed all the time")


async def _attempt(request: TokenRequest, token: str, successor: str) -> Answer | None:
    """Looks, decides, and spends the token. Nothing when what was looked at changed before it could be spent.

    Another request was faster, then: the next look finds a retry, or worse. Or the consent was changed.
    """
    row = await _read(request, token, successor)
    use = _use(request, row)
    basis = basis_of(row, len(FACTS))
    facts = facts_of(row)
    permit = await _check(request, row, basis, use)
    # Everything that a client can get wrong by mistake is checked before its token is spent.
    scopes = narrow(
        request.parameters.get("scope"),
        allowed=[scope for scope in basis.scope.split() if scope in request.client.scopes],
    )
    chosen = audiences(
        requested_resources(request.parameters.get("resource")),
        granted=basis.resources,
        client=request.client,
        issuer=request.provider.settings.issuer,
    )
    # The nonce was the login's; this ID token answers none. Spec: OpenID Connect Core §12.2.
    issued = await answer_for(
        request,
        basis,
        person_of(row, len(FACTS) + len(AUTHORIZATION_COLUMNS)),
        facts,
        permit,
        scopes=scopes,
        audiences=chosen,
        refresh_token=successor,
        nonce=None,
    )
    if use is Use.FIRST:
        written = await _rotate(request, token, successor, basis, facts, issued)
    else:
        written = await _answer_again(request, token, facts, issued)
    return issued.answer if written else None


async def _read(request: TokenRequest, token: str, successor: str) -> Row:
    row = await request.provider.database.driver.row(
        _STANDING, {"token_digest": digest(token), "next_digest": digest(successor)}
    )
    if row is None:
        raise InvalidGrant("the refresh token is not valid", detail="unknown refresh token")
    return row


def _use(request: TokenRequest, row: Row) -> Use:
    link = Link(row.token_rotated_at, row.next_sha256 is not None, row.next_rotated_at)
    window = timedelta(seconds=request.provider.settings.refresh_retry_window)
    return judge(link, now=request.now, retry_window=window)


async def _check(request: TokenRequest, row: Row, basis: Basis, use: Use) -> Permit:
    """The token is this client's, unspent, within its times, and what it rests on still holds."""
    if row.token_client_id != request.client.client_id:
        await _record(request, basis, reason="the refresh token is another client's")
        raise InvalidGrant("the refresh token is not valid", detail="another client's refresh token")
    if use is Use.REUSE:
        # Two parties hold this token, and one of them stole it: the family ends before anybody is answered.
        await _end_family(request, basis)
        raise InvalidGrant("the refresh token is not valid", detail="a spent refresh token")
    permit = _end_of_time(request, row, basis) or permit_of(facts_of(row), basis, now=request.now)
    if isinstance(permit, Dead):
        await _record(request, basis, reason=permit.cause)
        raise InvalidGrant("the refresh token is not valid any more", detail=permit.cause)
    return permit


def _end_of_time(request: TokenRequest, row: Row, basis: Basis) -> Dead | None:
    if row.token_expires_at <= request.now:
        return Dead("the refresh token has expired")
    if basis.refresh_expires_at <= request.now:
        return Dead("the authorization's absolute lifetime is over")
    return None


async def _rotate(
    request: TokenRequest, token: str, successor: str, basis: Basis, facts: Facts, issued: Issued
) -> bool:
    """Spends the token, and keeps its successor and what was issued. False when it was spent already."""
    next_row = row_of(
        request.provider,
        successor,
        authorization_id=basis.authorization_id,
        client_id=request.client.client_id,
        family_expires_at=basis.refresh_expires_at,
        now=request.now,
    )
    driver = request.provider.database.driver
    spending = {"token_digest": digest(token), "at": request.now}
    then = {**issued.then, REFRESH_TOKENS: next_row}
    if issued.discloses:
        telling = {**spending, **standing_as(facts.consent)}
        return await driver.once(_ROTATE_AND_TELL, telling, then) is not None
    return await driver.once(_ROTATE, spending, then) is not None


async def _answer_again(request: TokenRequest, token: str, facts: Facts, issued: Issued) -> bool:
    """Keeps what a retry was given. False when the consent is not as it was any more."""
    driver = request.provider.database.driver
    telling = {"token_digest": digest(token), **standing_as(facts.consent)}
    return await driver.once(_TELL_AGAIN, telling, issued.then) is not None


async def _end_family(request: TokenRequest, basis: Basis) -> None:
    async with request.provider.database.transaction() as session:
        await revoke_family(session, basis.authorization_id, because="refresh_reuse", now=request.now)
        await _note(session, request, basis, AuditKind.REFRESH_REPLAYED, reason="a spent refresh token was presented")


async def _record(request: TokenRequest, basis: Basis, *, reason: str) -> None:
    async with request.provider.database.transaction() as session:
        await _note(session, request, basis, AuditKind.GRANT_REFUSED, reason=reason)


async def _note(session: AsyncSession, request: TokenRequest, basis: Basis, kind: AuditKind, *, reason: str) -> None:
    await record(
        session,
        kind,
        now=request.now,
        entropy=request.provider.entropy,
        account_id=basis.account_id,
        client_id=request.client.client_id,
        detail={"grant": "refresh_token", "reason": reason, "authorization": basis.authorization_id},
    )
