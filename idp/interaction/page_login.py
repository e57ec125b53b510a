"""A login that no app asked for: one of our own pages needs to know who is there."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from idp.browser import browser_of, browser_or_new
from idp.interaction.outcome import page_of, respond
from idp.interaction.return_to import check_return_to
from idp.interaction.store import begin_page
from idp.provider import Provider


async def begin_page_login(provider: Provider, request: Request, return_to: str) -> Response:
    """Takes the person to the login, and back to one of our own pages (`/`, `/my/…`, `/console…`) afterwards."""
    now = provider.clock()
    browser = browser_or_new(request, provider.entropy)
    async with provider.database.transaction() as session:
        interaction = await begin_page(
            session,
            check_return_to(return_to),
            browser=browser,
            locale=provider.pages.locale_of(request),
            lifetime=timedelta(seconds=provider.settings.interaction_lifetime),
            now=now,
            entropy=provider.entropy,
        )
    is_new = browser_of(request) is None
    return respond(provider, request, page_of(interaction, "/login", new_browser=browser if is_new else None))
