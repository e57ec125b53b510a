"""The login page: GET shows it, POST verifies a password, signs in, and hands over to the next step.

A wrong password, an unknown username and a disabled account get the same answer after the same time. A guess is counted,
and the count committed, before the password is looked at.
Spec: OpenID Connect Core §3.1.2.3; OWASP Authentication Cheat Sheet; RFC 9110 §15.4.4 (303: the password is not sent on).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from idp.accounts.directory import normalise_username
from idp.audit import AuditKind, record
from idp.browser import (
    Form,
    browser_digest,
    browser_of,
    check_form_post,
    client_address,
    csrf_token,
    read_form,
    session_cookie_of,
    set_session,
)
from idp.errors import PageRefusal, TemporarilyUnavailable
from idp.interaction.advance import advance
from idp.interaction.models import Interaction
from idp.interaction.store import load
from idp.login.factors.password import Candidate, find_candidate, renew_hash, verify
from idp.login.factors.verified import VerifiedFactor
from idp.login.known_browsers import remember_browser
from idp.login.page import start_of_a_page_login, show_login
from idp.provider import Provider, provider_of
from idp.sessions.store import start_session
from idp.throttle import LoginBuckets, count_attempt, give_back, login_buckets, throttle_key

WRONG: Final = "The username or the password is not right."
INCOMPLETE: Final = "Please type your username and your password."
TOO_MANY: Final = "There were too many attempts. Please wait a quarter of an hour, or use a device on which you have signed in before."
BUSY: Final = "Very many people are signing in at this moment. Please try again in a minute."
NO_COOKIE: Final = "Your browser did not send back the cookie that it was given. Please allow cookies, and start again from the app."


@dataclass(frozen=True, slots=True)
class Attempt:
    """One posted login: what was typed, where, and from where. The password is never shown by `repr`."""

    provider: Provider
    request: Request
    interaction: Interaction
    browser: bytes
    username: str
    candidate: Candidate | None
    address: str
    now: datetime
