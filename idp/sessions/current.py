"""Who is signed in at this request."""

from datetime import datetime, timedelta
from typing import TypedDict

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from idp.browser import session_cookie_of
from idp.provider import Provider
from idp.sessions.store import CurrentSession, can_write, current_session, is_touch_due, touch


class Lifetimes(TypedDict):
    """How long a session may be left alone, and how long it may last."""

    idle: timedelta
    absolute: timedelta


def lifetimes(provider: Provider) -> Lifetimes:
    """What the settings say of sessions."""
    settings = provider.settings
    return {
        "idle": timedelta(seconds=settings.session_idle_lifetime),
        "absolute": timedelta(seconds=settings.session_absolute_lifetime),
    }


async def signed_in(
    provider: Provider, request: Request, session: AsyncSession, *, now: datetime, with_roles: bool = False
) -> CurrentSession | None:
    """The person whose session cookie came with this request, by the provider's settings."""
    current = await current_session(
        session, session_cookie_of(request), now=now, **lifetimes(provider), with_roles=with_roles
    )
    if current is not None and is_touch_due(current, now=now) and not can_write(session):
        # SQLite lets one connection write while another reads.
        async with provider.database.transaction() as writing:
            await touch(writing, current.id, now=now)
    return current
