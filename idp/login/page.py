"""What the login page shows."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from consent.models import Agency
from idp.browser import csrf_token
from idp.interaction.models import Interaction
from idp.provider import Provider


async def show_login(
    provider: Provider,
    request: Request,
    interaction: Interaction,
    *,
    browser: bytes,
    username: str,
    error: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The login page of an interaction, with what was wrong with the last try."""
    locale = interaction.locale
    app_name, agency_name = await _who_asks(provider, interaction, locale)
    return provider.pages.render(
        request,
        "login.html",
        {
            "interaction": interaction.id,
            "csrf": csrf_token(browser, interaction.id),
            "username": username,
            "error": error,
            "app_name": app_name,
            "agency_name": agency_name,
        },
        locale=locale,
        status=status,
        form_action=_leads_to(interaction),
        headers=headers,
    )


def _leads_to(interaction: Interaction) -> tuple[str, ...]:
    # Where consent covers the request, the answer to this form redirects to the app; Chromium holds that to the CSP.
    redirect_uri = (interaction.request or {}).get("redirect_uri")
    return (redirect_uri,) if redirect_uri else ()


async def _who_asks(provider: Provider, interaction: Interaction, locale: str) -> tuple[str | None, str | None]:
    if interaction.client_id is None:
        return None, None
    client = await provider.clients.get(interaction.client_id, provider.clock())
    if client is None:
        return None, None
    async with provider.database.reading() as session:
        agency = await session.get(Agency, client.agency_id)
    names = agency.names if agency is not None else {}
    return client.name(locale), names.get(locale) or next(iter(names.values()), "")
