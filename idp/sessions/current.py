"""Who is signed in at this request."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from idp.browser import session_cookie_of
from idp.provider import Provider
from idp.sessions.store import CurrentSession, can_write, current_session, is_touch_due, touch


async def signed_in(
    provider: Provider, request: Request, session: AsyncSession, *, now: datetime, with_roles: bool = False
) -> CurrentSession | None:
    """The person whose session cookie came with this request, by the provider's settings."""
    current = await current_session(
        session,
        session_cookie_of(request),
        now=now,
        idle=timedelta(seconds=provider.settings.session_idle_lifetime),
        absolute=timedelta(seconds=provider.settings.session_absolute_lifetime),
        with_roles=with_roles,
    )
    if current is not None and is_touch_due(current, now=now) and not can_write(session):
        # SQLite lets one connection write while another reads.
        async with provider.database.transaction() as writing:
            await touch(writing, current.id, now=now)
    return current
