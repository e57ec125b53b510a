"""The home page: who is signed in, and the way to what they can do here."""

from starlette.requests import Request
from starlette.responses import Response

from idp.provider import provider_of
from idp.sessions.current import signed_in


async def home(request: Request) -> Response:
    """GET /."""
    provider = provider_of(request)
    async with provider.database.reading() as session:
        current = await signed_in(provider, request, session, now=provider.clock(), with_roles=True)
    return provider.pages.render(
        request,
        "home.html",
        {
            "display_name": current.display_name if current is not None else None,
            "roles": sorted(current.roles) if current is not None else [],
        },
        locale=provider.pages.locale_of(request),
    )
