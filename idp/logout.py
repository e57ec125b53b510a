"""Signing out: at an app's request, or from our own pages.

Without an ID token that names this very person in this very session, nobody is signed out before they said yes: any
page on the web can point a browser here. And nobody is sent to an address that the app did not register to the letter.
Spec: OpenID Connect RP-Initiated Logout 1.0 §2, §3, §4.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from idp.audit import AuditKind, record
from idp.browser import (
    CSRF_FIELD,
    Form,
    browser_or_new,
    check_form_post,
    clear_session,
    client_address,
    csrf_token,
    read_form,
    session_cookie_of,
    set_browser,
)
from idp.clients.registry import RegisteredClient
from idp.errors import InvalidRequest, PageRefusal
from idp.protocol import parse_parameters
from idp.provider import Provider, provider_of
from idp.sessions.current import signed_in
from idp.sessions.hint import is_about, read_hint
from idp.sessions.store import CurrentSession
from idp.sessions.store import end_session as end

CONTEXT: Final = "end_session"
MAX_VALUE: Final = 8192

UNREGISTERED: Final = (
    "The app asked to send you to an address that it has not registered. You have not been signed out."
)
CONTRADICTORY: Final = "The app contradicted itself about which app it is. You have not been signed out."
MALFORMED: Final = "The app did not ask as it should. You have not been signed out."


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutRequest:
    """What was asked, in the specification's words; empty is not sent."""

    id_token_hint: str = ""
    client_id: str = ""
    post_logout_redirect_uri: str = ""
    state: str = ""
    logout_hint: str = ""
    ui_locales: str = ""

    def said(self) -> dict[str, str]:
        """The parameters that were sent."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks: the app if it is known, whether its hint is believed, and where to go afterwards."""

    client: RegisteredClient | None
    hint_names: bool
    destination: str | None


async def end_session(request: Request) -> Response:
    """GET and POST /end_session."""
    provider = provider_of(request)
    now = provider.clock()
    if request.method != "POST":
        return await _asked(provider, request, _from_query(request), now=now)
    form = await read_form(request, max_bytes=provider.settings.max_body_bytes)
    if CSRF_FIELD in form:
        return await _decided(provider, request, form, now=now)
    logout = _from_form(form)
    if session_cookie_of(request) is None:
        # A form on the app's site comes without our SameSite=Lax cookie; a GET brings it.
        here = f"{provider.settings.issuer}/end_session"
        return _redirect(f"{here}?{urlencode(logout.said())}")
    return await _asked(provider, request, logout, now=now)


def _from_query(request: Request) -> LogoutRequest:
    try:
        sent = parse_parameters(request.scope["query_string"])
    except InvalidRequest as refused:
        raise PageRefusal(MALFORMED, detail=str(refused)) from None
    return _checked({name: sent.get(name, "") for name in LogoutRequest.__slots__})


def _from_form(form: Form) -> LogoutRequest:
    return _checked({name: form.one(name) for name in LogoutRequest.__slots__})


def _checked(values: dict[str, str]) -> LogoutRequest:
    if any(len(value) > MAX_VALUE for value in values.values()):
        raise PageRefusal(MALFORMED, detail="a parameter is too long")
    return LogoutRequest(**values)


async def _asked(provider: Provider, request: Request, logout: LogoutRequest, *, now: datetime) -> Response:
    async with provider.database.reading() as session:
        current = await signed_in(provider, request, session, now=now)
    asking = await _who_asks(provider, logout, current, now=now)
    if current is None:
        return _goodbye(provider, request, logout, asking)
    if not asking.hint_names:
        return _confirm(provider, request, logout, asking, current)
    await _end(provider, request, current, asking, now=now)
    return _goodbye(provider, request, logout, asking)


async def _decided(provider: Provider, request: Request, form: Form, *, now: datetime) -> Response:
    check_form_post(request, form, context=CONTEXT, issuer=provider.settings.issuer)
    if form.one("decision") != "yes":
        return _redirect(f"{provider.settings.issuer}/")
    logout = _from_form(form)
    async with provider.database.reading() as session:
        current = await signed_in(provider, request, session, now=now)
    # The hidden fields came through the browser: the address is checked again as if it were new.
    asking = await _who_asks(provider, logout, current, now=now)
    if current is not None:
        await _end(provider, request, current, asking, now=now)
    return _goodbye(provider, request, logout, asking)


async def _who_asks(
    provider: Provider, logout: LogoutRequest, current: CurrentSession | None, *, now: datetime
) -> Asking:
    hint = read_hint(provider, logout.id_token_hint, now=now) if logout.id_token_hint else None
    if hint is not None and logout.client_id and hint.client_id != logout.client_id:
        raise PageRefusal(CONTRADICTORY, detail="client_id is not the audience of id_token_hint")
    client_id = logout.client_id or (hint.client_id if hint is not None else "")
    client = await provider.clients.get(client_id, now) if client_id else None
    destination = logout.post_logout_redirect_uri or None
    if destination is not None and (client is None or destination not in client.post_logout_redirect_uris):
        raise PageRefusal(UNREGISTERED, detail="post_logout_redirect_uri is not registered, or no app is named")
    names = (
        hint is not None
        and client is not None
        and current is not None
        and is_about(hint, current, client, provider=provider)
    )
    return Asking(client=client, hint_names=names, destination=destination)


def _confirm(
    provider: Provider, request: Request, logout: LogoutRequest, asking: Asking, current: CurrentSession
) -> Response:
    browser = browser_or_new(request, provider.entropy)
    locale = provider.pages.locale_of(request, ui_locales=logout.ui_locales)
    fields = {
        "client_id": asking.client.client_id if asking.client is not None else "",
        "post_logout_redirect_uri": asking.destination or "",
        "state": logout.state,
        "ui_locales": logout.ui_locales,
    }
    response = provider.pages.render(
        request,
        "logout.html",
        {
            "csrf": csrf_token(browser, CONTEXT),
            "fields": {name: value for name, value in fields.items() if value},
            "display_name": current.display_name,
            "app_name": asking.client.name(locale) if asking.client is not None else None,
        },
        locale=locale,
        form_action=(asking.destination,) if asking.destination is not None else (),
    )
    set_browser(response, browser)
    return response


async def _end(provider: Provider, request: Request, current: CurrentSession, asking: Asking, *, now: datetime) -> None:
    async with provider.database.transaction() as session:
        await end(session, current.id, now=now)
        await record(
            session,
            AuditKind.LOGGED_OUT,
            now=now,
            entropy=provider.entropy,
            account_id=current.account_id,
            client_id=asking.client.client_id if asking.client is not None else None,
            session_id=current.id,
            address=client_address(request, provider.settings.trusted_proxies),
            detail={"confirmed": not asking.hint_names},
        )


def _goodbye(provider: Provider, request: Request, logout: LogoutRequest, asking: Asking) -> Response:
    if asking.destination is not None:
        response: Response = _redirect(_with_state(asking.destination, logout.state))
    else:
        response = provider.pages.render(
            request,
            "logged_out.html",
            {"continue_to": None, "app_name": None},
            locale=provider.pages.locale_of(request, ui_locales=logout.ui_locales),
        )
    clear_session(response)
    return response


def _with_state(destination: str, state: str) -> str:
    if not state:
        return destination
    parts = urlsplit(destination)
    query = "&".join(filter(None, (parts.query, urlencode({"state": state}))))
    return urlunsplit(parts._replace(query=query))


def _redirect(to: str) -> Response:
    return RedirectResponse(to, status_code=303, headers={"Cache-Control": "no-store"})
