"""Who is signed in at this request."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from idp.browser import session_cookie_of
from idp.provider import Provider
from idp.sessions.store import CurrentSession, current_session


async def signed_in(
    provider: Provider, request: Request, session: AsyncSession, *, now: datetime, with_roles: bool = False
) -> CurrentSession | None:
    """The person whose session cookie came with this request, by the provider's settings."""
    return await current_session(
        session,
        session_cookie_of(request),
        now=now,
        idle=timedelta(seconds=provider.settings.session_idle_lifetime),
        absolute=timedelta(seconds=provider.settings.session_absolute_lifetime),
        with_roles=with_roles,
    )
