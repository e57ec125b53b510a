"""The page that asks whether to go on as the person who is signed in. Nobody is signed out here.

Spec: OpenID Connect Core §3.1.2.1 (prompt=select_account).
"""

from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from idp.browser import browser_of, csrf_token, read_form
from idp.errors import PageRefusal
from idp.interaction.advance import advance, follow
from idp.interaction.outcome import respond
from idp.interaction.page import AtPage, check_page_post, come_to_page
from idp.interaction.steps import SelectAccount
from idp.interaction.store import ask_to_log_in, confirm_account
from idp.provider import Provider, provider_of

UNEXPECTED = "This form was not filled in as expected."


async def select_account(request: Request) -> Response:
    """GET and POST /select-account."""
    provider = provider_of(request)
    if request.method == "POST":
        return await _choose(provider, request, now=provider.clock())
    return await _show(provider, request, now=provider.clock())


async def _show(provider: Provider, request: Request, *, now: datetime) -> Response:
    interaction_id = request.query_params.get("interaction", "")
    browser = browser_of(request)
    async with provider.database.transaction() as session:
        at = await come_to_page(provider, request, session, interaction_id=interaction_id, browser=browser, now=now)
        if isinstance(at, AtPage) and not isinstance(at.step, SelectAccount):
            at = await follow(provider, session, at.interaction, at.gathered, at.step, now=now)
    if not isinstance(at, AtPage):
        return respond(provider, request, at)
    assert browser is not None
    assert at.current is not None
    locale = at.interaction.locale
    return provider.pages.render(
        request,
        "select_account.html",
        {
            "interaction": at.interaction.id,
            "csrf": csrf_token(browser, at.interaction.id),
            "display_name": at.current.display_name,
            "app_name": at.gathered.client.name(locale),
        },
        locale=locale,
        form_action=(at.gathered.request.redirect_uri,),
    )


async def _choose(provider: Provider, request: Request, *, now: datetime) -> Response:
    form = await read_form(request, max_bytes=provider.settings.max_body_bytes)
    interaction_id, browser = check_page_post(provider, request, form)
    choice = form.one("choice")
    if choice not in {"continue", "other"}:
        raise PageRefusal(UNEXPECTED, detail="neither to continue nor to use another account")
    async with provider.database.transaction() as session:
        at = await come_to_page(provider, request, session, interaction_id=interaction_id, browser=browser, now=now)
        if not isinstance(at, AtPage):
            outcome = at
        elif not isinstance(at.step, SelectAccount):
            outcome = await follow(provider, session, at.interaction, at.gathered, at.step, now=now)
        elif choice == "other" or at.current is None:
            # Whoever is signed in stays so until somebody else really logs in.
            ask_to_log_in(at.interaction)
            outcome = await advance(provider, request, session, at.interaction, now=now)
        else:
            confirm_account(at.interaction, session_id=at.current.id, now=now)
            outcome = await advance(provider, request, session, at.interaction, now=now)
    return respond(provider, request, outcome)
