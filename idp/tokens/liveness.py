"""Whether what was authorized still holds, asked of the rows themselves at every use.

A withdrawn consent, a disabled person or app, a revoked family, a logout or a changed password end every token with
the commit that says so: there is no list to be told, and no cache that could be late. What hangs on the consent is
`consent.gate`'s to say: a paused one stops its tokens, and they live again when the person resumes it.
Spec: RFC 9700 §4.14; OpenID Connect Core §11 (offline access outlives the session).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Select

from consent import gate
from consent.gate import Permit, Question, Reason
from consent.models import ConsentRecord
from idp.accounts.models import Account
from idp.clients.models import Client
from idp.driver.statement import Row
from idp.sessions.models import LoginSession
from idp.tokens.models import Authorization


class Facts(NamedTuple):
    """What an authorization hangs on, read in one statement. The order is that of `FACTS`."""

    revoked_at: datetime | None
    auth_time: datetime
    offline: bool
    client_id: str | None
    client_agency_id: str | None
    client_status: str | None
    account_id: str | None
    account_disabled_at: datetime | None
    password_changed_at: datetime | None
    session_id: str | None
    session_ended_at: datetime | None
    consent_offline_access: bool | None
    consent: gate.Facts


_OWN: Final = (
    Authorization.revoked_at,
    Authorization.auth_time,
    Authorization.offline,
    Client.client_id.label("live_client_id"),
    Client.agency_id.label("live_agency_id"),
    Client.status,
    Account.id.label("live_account_id"),
    Account.disabled_at,
    Account.password_changed_at,
    LoginSession.id.label("live_session_id"),
    LoginSession.ended_at,
    ConsentRecord.offline_access,
)
FACTS: Final = (*_OWN, *gate.FACTS)

_Statement = TypeVar("_Statement", bound=Select[*tuple[Any, ...]])


def joined(statement: _Statement) -> _Statement:
    """The statement with the tables that `FACTS` needs besides `Authorization` and `Client`, which it has already."""
    return gate.joined(
        statement.outerjoin(Account, Account.id == Authorization.account_id)
        .outerjoin(ConsentRecord, ConsentRecord.id == Authorization.consent_id)
        .outerjoin(LoginSession, LoginSession.id == Authorization.session_id)
    )


def facts_of(row: Row, start: int = 0) -> Facts:
    """Reads `FACTS` from a row, beginning at a column."""
    of_consent = start + len(_OWN)
    return Facts._make((*row[start:of_consent], gate.facts_of(row, of_consent)))


def not_revoked(facts: Facts, _now: datetime) -> str | None:
    """The family was not revoked: no reuse was seen, nobody revoked it."""
    return None if facts.revoked_at is None else "the authorization was revoked"


def client_is_live(facts: Facts, _now: datetime) -> str | None:
    """The app exists and is not disabled."""
    return None if facts.client_status == "live" else "the client is disabled"


def account_is_enabled(facts: Facts, _now: datetime) -> str | None:
    """The person exists and is not disabled."""
    alive = facts.account_id is not None and facts.account_disabled_at is None
    return None if alive else "the account is disabled"


def password_is_older(facts: Facts, _now: datetime) -> str | None:
    """No new password since the login: whoever stole the old one loses what they got with it."""
    changed = facts.password_changed_at
    return None if changed is None or changed <= facts.auth_time else "the password was changed"


def offline_access_is_given(facts: Facts, _now: datetime) -> str | None:
    """Who agreed again without offline access took it back for what was authorized before."""
    given = not facts.offline or facts.consent_offline_access
    return None if given else "the consent does not give offline access any more"


def session_goes_on(facts: Facts, _now: datetime) -> str | None:
    """The person did not log out; what was granted for offline use outlives the session."""
    if facts.offline or (facts.session_id is not None and facts.session_ended_at is None):
        return None
    return "the session has ended"


# What is not the consent's. The consent's own checks are `consent.gate.CHECKS`.
CHECKS: Final[tuple[Callable[[Facts, datetime], str | None], ...]] = (
    not_revoked,
    client_is_live,
    account_is_enabled,
    password_is_older,
    offline_access_is_given,
    session_goes_on,
)


@dataclass(frozen=True, slots=True)
class Dead:
    """Nothing may be issued or released. `reason` is the gate's, where it is the consent that says so."""

    cause: str
    reason: Reason | None = None


def weigh(facts: Facts, now: datetime, *, items: frozenset[str] = frozenset(), is_use: bool = False) -> Permit | Dead:
    """Whether all holds, and which of `items` may go out then. `is_use`: whether they do go out by this answer."""
    for check in CHECKS:
        cause = check(facts, now)
        if cause is not None:
            return Dead(cause)
    question = Question(
        client_id=facts.client_id or "",
        agency_id=facts.client_agency_id or "",
        subject_id=facts.account_id or "",
        items=items,
        is_use=is_use,
    )
    answer = gate.decide(question, facts.consent, now)
    return answer if isinstance(answer, Permit) else Dead(answer.sentence, answer.reason)


def cause_of_death(facts: Facts, now: datetime) -> str | None:
    """Why nothing may be issued any more; nothing when all holds."""
    answer = weigh(facts, now)
    return answer.cause if isinstance(answer, Dead) else None
