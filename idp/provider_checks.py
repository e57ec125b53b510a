"""A data provider's check: who asks, and what is on record, in one statement.

The caller's own token and the consent that it asks about are found side by side. Nothing of the consent is looked at
before the caller is known and allowed to ask. A yes is noted before it is given (`idp/uses/checked.py`).
Spec: RFC 6750 §2.1; RFC 9068 §4; RFC 9700 §2.3 (a token shown to whom it is not for tells nothing).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, select, true
from sqlalchemy.orm import aliased
from starlette.requests import Request

from consent.checks import known as checks
from consent.checks.judge import judge
from consent.checks.question import Asked, Asking, Known, Verdict
from consent.http.api.ports import ApiCaller, ApiRefusal
from consent.models import Agency, ConsentRecord, Purpose
from consent.uses.recorder import NotRecorded, TooManyUses
from idp.accounts.models import Account
from idp.api_access import CALLER, COLUMNS, caller_and_more
from idp.clients.models import Client
from idp.driver.statement import Row, Statement
from idp.errors import InvalidToken
from idp.provider import Provider
from idp.sessions.models import LoginSession
from idp.tokens.access_token import verify_signature
from idp.tokens.liveness import CHECKS, FACTS, facts_of
from idp.tokens.models import AccessToken, Authorization
from keys.entropy import new_row_id

SCOPE: Final = "consent:check"
_LOOKS: Final = 3

_CALLERS_AGENCY: Final = aliased(Agency)
# The app that would receive, and the person: what ends everything, whatever was agreed to.
_SERVED: Final = (Client.agency_id, Client.status, Account.id, Account.disabled_at)
_TOKEN: Final = (AccessToken.audiences, AccessToken.expires_at, AccessToken.revoked_at)


def _beside_the_caller(asked: Select[Any]) -> Statement:
    """The caller's token, its agency, and what is asked about, which may not be there."""
    found = asked.subquery("asked")
    return Statement(
        CALLER.add_columns(_CALLERS_AGENCY.code, _CALLERS_AGENCY.status, *found.c)
        .outerjoin(_CALLERS_AGENCY, _CALLERS_AGENCY.id == Client.agency_id)
        .outerjoin(found, true())
    )


def _numbered(columns: Sequence[Any]) -> list[Any]:
    # Several tables have a `status`, and a fact may be read twice: only the place tells which is which.
    return [column.label(f"asked_{place}") for place, column in enumerate(columns)]


BY_SUBJECT: Final = _beside_the_caller(
    checks.joined(select(*_numbered((*checks.COLUMNS, *_SERVED))).select_from(ConsentRecord))
    .outerjoin(Client, Client.client_id == ConsentRecord.client_id)
    .outerjoin(Account, Account.id == ConsentRecord.subject_id)
    .where(
        ConsentRecord.subject_ref == bindparam("asked_sub"),
        ConsentRecord.client_id == bindparam("asked_client"),
        Purpose.code == bindparam("asked_purpose"),
    )
    .order_by(*checks.ORDER)
    .limit(1)
)
BY_TOKEN: Final = _beside_the_caller(
    checks.joined(
        select(*_numbered((*checks.COLUMNS, *_SERVED, *_TOKEN, *FACTS)))
        .select_from(AccessToken)
        .join(Authorization, Authorization.id == AccessToken.authorization_id)
        .join(ConsentRecord, ConsentRecord.id == Authorization.consent_id)
        .outerjoin(Client, Client.client_id == AccessToken.client_id)
        .outerjoin(Account, Account.id == Authorization.account_id)
        .outerjoin(LoginSession, LoginSession.id == Authorization.session_id)
    ).where(AccessToken.jti == bindparam("asked_jti"))
)
_AGENCY_AT: Final = len(COLUMNS)
_ASKED_AT: Final = _AGENCY_AT + 2
_SERVED_AT: Final = _ASKED_AT + len(checks.COLUMNS)
_TOKEN_AT: Final = _SERVED_AT + len(_SERVED)
_FACTS_AT: Final = _TOKEN_AT + len(_TOKEN)


async def check(provider: Provider, request: Request, asked: Asked) -> Verdict:
    """The verdict for whoever calls. Errors: `ApiRefusal` 401 `invalid_token`, 403, 503 `temporarily_unavailable`."""
    for _ in range(_LOOKS):
        try:
            return await _look(provider, request, asked)
        except NotRecorded:
            continue  # the consent was taken back under our eyes: look what is so now
        except TooManyUses:
            break
    raise ApiRefusal(503, "temporarily_unavailable", "too much at once; try again")


async def _look(provider: Provider, request: Request, asked: Asked) -> Verdict:
    now = provider.clock()
    statement, values = _lookup(provider, asked, now)
    caller, row = await caller_and_more(provider, request, SCOPE, statement, values, now=now)
    agency_code, agency_status = row[_AGENCY_AT:_ASKED_AT]
    if agency_status != "active":
        raise ApiRefusal(403, "access_denied", "the calling agency is suspended")
    known = _known_by_token(row, caller, now) if asked.token is not None else _known_by_subject(row)
    verdict = judge(asked, Asking(agency_id=caller.agency_id, agency_code=agency_code), known, now)
    if known is None or not verdict.items or known.facts.agency_id == caller.agency_id:
        return verdict  # nothing goes from one agency to another
    if asked.token is not None:
        # The token was noted when it was issued, under its own name.
        return replace(verdict, reference=verify_signature(provider, asked.token, now=now)["jti"])
    return replace(verdict, reference=await _note(provider, caller, known, now))


async def _note(provider: Provider, caller: ApiCaller, known: Known, now: datetime) -> str:
    """Notes that the caller may have given data. Errors: `NotRecorded` when the consent has ended; `TooManyUses`."""
    reference = new_row_id(provider.entropy, now)
    await provider.checks.record(
        {
            "id": reference,
            "reference": reference,
            "provider_agency_id": caller.agency_id,
            "at": now,
            "agency_id": known.facts.agency_id,
            "client_id": known.facts.client_id,
            "consent_id": known.facts.consent_id,
        }
    )
    return reference


def _lookup(provider: Provider, asked: Asked, now: datetime) -> tuple[Statement, Mapping[str, Any]]:
    if asked.token is None:
        return BY_SUBJECT, {
            "asked_sub": asked.sub,
            "asked_client": asked.client_id,
            "asked_purpose": asked.purpose,
        }
    try:
        jti = verify_signature(provider, asked.token, now=now)["jti"]
    except InvalidToken:
        jti = ""  # no token has it: whoever calls is still to be known, and then told nothing
    return BY_TOKEN, {"asked_jti": jti}


def _known_by_subject(row: Row) -> Known | None:
    agency_id, status, person_id, disabled_at = row[_SERVED_AT:_TOKEN_AT]
    served = status == "live" and person_id is not None and disabled_at is None
    return checks.known_of(row, _ASKED_AT, recipient_agency_id=agency_id, is_served=served)


def _known_by_token(row: Row, caller: ApiCaller, now: datetime) -> Known | None:
    """Nothing for a token that is not for one of the caller's own resources: it was shown to the wrong door."""
    audiences, expires_at, revoked_at = row[_TOKEN_AT:_FACTS_AT]
    if audiences is None or caller.resources.isdisjoint(audiences):
        return None
    facts = facts_of(row, _FACTS_AT)
    lives = revoked_at is None and expires_at > now
    # The consent is left to the gate, which can say more about it than that the token is dead.
    served = lives and all(still_holds(facts, now) is None for still_holds in CHECKS)
    return checks.known_of(row, _ASKED_AT, recipient_agency_id=row[_SERVED_AT:_TOKEN_AT][0], is_served=served)
