"""Whether what was authorized still holds, asked of the rows themselves at every use.

A withdrawn consent, a disabled person or app, a revoked family, a logout or a changed password end every token with
the commit that says so: there is no list to be told, and no cache that could be late.
Spec: RFC 9700 §4.14; OpenID Connect Core §11 (offline access outlives the session).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from consent.models import ConsentRecord
from idp.accounts.models import Account
from idp.clients.models import Client
from idp.sessions.models import LoginSession
from idp.tokens.models import Authorization


@dataclass(frozen=True, slots=True)
class Facts:
    """What an authorization hangs on, read in one statement. The order is that of `FACTS`."""

    revoked_at: datetime | None
    auth_time: datetime
    offline: bool
    client_status: str | None
    account_id: str | None
    account_disabled_at: datetime | None
    password_changed_at: datetime | None
    consent_status: str | None
    consent_valid_until: datetime | None
    consent_offline_access: bool | None
    session_id: str | None
    session_ended_at: datetime | None


FACTS: Final = (
    Authorization.revoked_at,
    Authorization.auth_time,
    Authorization.offline,
    Client.status,
    Account.id,
    Account.disabled_at,
    Account.password_changed_at,
    ConsentRecord.status,
    ConsentRecord.valid_until,
    ConsentRecord.offline_access,
    LoginSession.id,
    LoginSession.ended_at,
)


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


def consent_is_given(facts: Facts, now: datetime) -> str | None:
    """The person's consent stands, and its time is not over."""
    if facts.consent_status != "given":
        return f"the consent is {facts.consent_status or 'missing'}"
    until = facts.consent_valid_until
    return None if until is None or until > now else "the consent has expired"


def offline_access_is_given(facts: Facts, _now: datetime) -> str | None:
    """Who agreed again without offline access took it back for what was authorized before."""
    given = not facts.offline or facts.consent_offline_access
    return None if given else "the consent does not give offline access any more"


def session_goes_on(facts: Facts, _now: datetime) -> str | None:
    """The person did not log out; what was granted for offline use outlives the session."""
    if facts.offline or (facts.session_id is not None and facts.session_ended_at is None):
        return None
    return "the session has ended"


CHECKS: Final[tuple[Callable[[Facts, datetime], str | None], ...]] = (
    not_revoked,
    client_is_live,
    account_is_enabled,
    password_is_older,
    consent_is_given,
    offline_access_is_given,
    session_goes_on,
)


def cause_of_death(facts: Facts, now: datetime) -> str | None:
    """Why nothing may be issued or released any more; nothing when all holds."""
    for check in CHECKS:
        cause = check(facts, now)
        if cause is not None:
            return cause
    return None
