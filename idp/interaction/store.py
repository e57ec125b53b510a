"""Interactions as rows: begun, found again by the browser that began them, finished once.

An interaction's id travels in addresses and is worth nothing without the browser's cookie, so that a link to somebody's
half-done login cannot be finished, or watched, by somebody else.
Spec: RFC 9700 §4.7; OWASP CSRF Prevention (login CSRF).
"""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from idp.authorize.parameters import AuthorizationRequest
from idp.browser import browser_digest
from idp.errors import PageRefusal
from idp.interaction.models import Interaction
from idp.language import chosen_language
from keys.entropy import Entropy, constant_time_equals, new_token

UNKNOWN: Final = "This page is not valid any more. Please start again from the app."
EXPIRED: Final = "This page was open for too long. Please start again from the app."
FINISHED: Final = "This has already been done. Please start again from the app."
OTHER_BROWSER: Final = "This page belongs to another browser. Please start again from the app, in this browser."

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def begin_authorize(
    session: AsyncSession,
    request: AuthorizationRequest,
    *,
    browser: bytes,
    locale: str,
    lifetime: timedelta,
    now: datetime,
    entropy: Entropy,
) -> Interaction:
    """Keeps an app's request on the server for as long as the person needs, where nobody can change it."""
    interaction = _new(browser=browser, locale=locale, lifetime=lifetime, now=now, entropy=entropy)
    interaction.kind = "authorize"
    interaction.client_id = request.client_id
    interaction.request = request.to_json()
    session.add(interaction)
    await session.flush()
    return interaction


async def begin_page(
    session: AsyncSession,
    return_to: str,
    *,
    browser: bytes,
    locale: str,
    lifetime: timedelta,
    now: datetime,
    entropy: Entropy,
) -> Interaction:
    """Keeps the address of the page of ours that needs a login."""
    interaction = _new(browser=browser, locale=locale, lifetime=lifetime, now=now, entropy=entropy)
    interaction.kind = "page"
    interaction.return_to = return_to
    session.add(interaction)
    await session.flush()
    return interaction


def _new(*, browser: bytes, locale: str, lifetime: timedelta, now: datetime, entropy: Entropy) -> Interaction:
    return Interaction(
        id=new_token(entropy),
        browser_sha256=browser_digest(browser),
        locale=locale,
        created_at=now,
        expires_at=now + lifetime,
    )


async def load(
    session: AsyncSession, *, interaction_id: str, browser: bytes | None, now: datetime, lock: bool = False
) -> Interaction:
    """The interaction of this browser. Error: `PageRefusal` when it is unknown, another's, over or too old.

    `lock` makes a second post of the same form wait for the first, and then find it finished.
    """
    if browser is None:
        raise PageRefusal(OTHER_BROWSER, status=403, detail="no browser cookie")
    if _ID.fullmatch(interaction_id) is None:
        raise PageRefusal(UNKNOWN, detail="not an interaction's id")
    statement = select(Interaction).where(Interaction.id == interaction_id)
    if lock:
        # SQLite has one writer, which is us already; it ignores FOR UPDATE.
        statement = statement.with_for_update().execution_options(populate_existing=True)
    interaction = (await session.execute(statement)).scalar_one_or_none()
    if interaction is None:
        raise PageRefusal(UNKNOWN, detail="no such interaction")
    if not constant_time_equals(interaction.browser_sha256, browser_digest(browser)):
        raise PageRefusal(OTHER_BROWSER, status=403, detail="another browser's interaction")
    if interaction.finished_at is not None:
        raise PageRefusal(FINISHED, detail="finished already")
    if interaction.expires_at <= now:
        raise PageRefusal(EXPIRED, detail="expired")
    return interaction


async def finish(session: AsyncSession, interaction: Interaction, *, now: datetime) -> None:
    """Ends the interaction, once. Called before anything is issued. Error: `PageRefusal` when it was over already."""
    await session.flush()
    finished = await session.scalar(
        update(Interaction)
        .where(Interaction.id == interaction.id, Interaction.finished_at.is_(None))
        .values(finished_at=now)
        .returning(Interaction.id)
        .execution_options(synchronize_session=False)
    )
    if finished is None:
        raise PageRefusal(FINISHED, detail="finished already")


def keep_language(interaction: Interaction, request: Request) -> None:
    """A language chosen on one page is the language of the interaction's next pages too."""
    chosen = chosen_language(request)
    if chosen is not None:
        interaction.locale = chosen


def start_over(interaction: Interaction) -> None:
    """Forgets what was done so far: what one person did is not the word of the next who logs in."""
    interaction.logged_in_at = None
    interaction.session_id = None
    interaction.account_confirmed_at = None
    interaction.consented_at = None
    interaction.consent_id = None


def ask_to_log_in(interaction: Interaction) -> None:
    """Makes the request ask for a login, as if the app had: the person wants to use another account."""
    start_over(interaction)
    asked = AuthorizationRequest.from_json(interaction.request or {})
    interaction.request = replace(asked, prompt=asked.prompt | {"login"}).to_json()


def confirm_account(interaction: Interaction, *, session_id: str, now: datetime) -> None:
    """Notes that the person goes on as who they are."""
    _bind(interaction, session_id)
    interaction.account_confirmed_at = now


def note_consent(interaction: Interaction, *, session_id: str, consent_id: str, now: datetime) -> None:
    """Notes that the person decided here, and which consent came of it."""
    _bind(interaction, session_id)
    interaction.consented_at = now
    interaction.consent_id = consent_id


def _bind(interaction: Interaction, session_id: str) -> None:
    if interaction.session_id != session_id:
        start_over(interaction)
        interaction.session_id = session_id
