"""GET and POST /authorize: an app asks for a person.

Until client and redirect URI are known to be good, whatever is wrong is told on a page: to redirect would send people,
and errors, wherever a stranger says. From then on every refusal goes to the app.
Spec: OpenID Connect Core §3.1.2; RFC 6749 §4.1.1 and §4.1.2.1; RFC 9700 §4.11.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response

from idp.authorize.checks import check_request
from idp.authorize.hint import settle_hint
from idp.authorize.parameters import AuthorizationRequest, echoable_state, parse_request
from idp.authorize.redirect_uri import choose_redirect_uri
from idp.authorize.response import error_answer, response_mode_for, see_other, send_answer
from idp.browser import BROWSER_COOKIE, SESSION_COOKIE
from idp.clients.registry import RegisteredClient
from idp.errors import InvalidRequest, OAuthError, PageRefusal
from idp.interaction.advance import advance_new
from idp.interaction.at_once import answer_at_once
from idp.interaction.outcome import Outcome, respond
from idp.protocol import Parameters, parse_parameters, read_body
from idp.provider import Provider, provider_of

log = structlog.get_logger()

MALFORMED: Final = "The app sent you here with a request that cannot be read."
UNKNOWN_APP: Final = "The app that sent you here is not registered with Satu Pintu."
# Longer addresses are cut by some proxies.
MAX_ADDRESS: Final = 6000


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and where answers go: both known to be good."""

    client: RegisteredClient
    redirect_uri: str
    parameters: Parameters


async def authorize(request: Request) -> Response:
    """GET and POST /authorize."""
    if request.method == "HEAD":
        return Response(status_code=405, headers={"Allow": "GET, POST"})
    provider = provider_of(request)
    now = provider.clock()
    asker = await _who_asks(provider, await _read(provider, request), now=now)
    try:
        asked = await _what_is_asked(provider, asker, now=now)
    except OAuthError as error:
        return _refuse(provider, request, asker, error)
    if _cookies_were_withheld(request):
        address = f"{provider.pages.base}/authorize?{urlencode(_as_pairs(asker.parameters))}"
        if len(address) > MAX_ADDRESS:
            # To go on would give the browser a new secret in place of its own, at any site's wish.
            raise PageRefusal(MALFORMED, detail="a cross-site POST too long to be repeated as a GET")
        return see_other(address)
    outcome: Outcome | None = await answer_at_once(provider, request, asked, asker.client, now=now)
    if outcome is None:
        async with provider.database.transaction() as session:
            outcome = await advance_new(provider, request, session, asked, asker.client, now=now)
    return respond(provider, request, outcome)


async def _read(provider: Provider, request: Request) -> Parameters:
    query: bytes = request.scope["query_string"]
    if query and request.method == "POST":
        # Two places for parameters are two readings: a proxy that looks at one would be passed by the other.
        raise PageRefusal(MALFORMED, detail="a POST has its parameters in the body only")
    try:
        if request.method == "POST":
            return parse_parameters(await read_body(request, max_bytes=provider.settings.max_body_bytes))
        return parse_parameters(query)
    except InvalidRequest as refused:
        raise PageRefusal(MALFORMED, detail=str(refused)) from None


async def _who_asks(provider: Provider, parameters: Parameters, *, now: datetime) -> Asker:
    client_id = parameters.get("client_id")
    client = await provider.clients.get(client_id, now) if client_id is not None else None
    if client is None:
        raise PageRefusal(UNKNOWN_APP, detail="client_id is missing, unknown or disabled")
    return Asker(client, choose_redirect_uri(parameters.get("redirect_uri"), client), parameters)


async def _what_is_asked(provider: Provider, asker: Asker, *, now: datetime) -> AuthorizationRequest:
    asked = parse_request(
        asker.parameters,
        client_id=asker.client.client_id,
        redirect_uri=asker.redirect_uri,
        redirect_uri_was_sent="redirect_uri" in asker.parameters,
    )
    check_request(asked, asker.client)
    return await settle_hint(provider, asked, now=now)


def _refuse(provider: Provider, request: Request, asker: Asker, error: OAuthError) -> Response:
    log.info("authorize_refused", client_id=asker.client.client_id, error=error.code, why=str(error))
    answer = error_answer(
        error,
        redirect_uri=asker.redirect_uri,
        response_mode=response_mode_for(asker.parameters.get("response_mode"), asker.client),
        state=echoable_state(asker.parameters),
        issuer=provider.settings.issuer,
    )
    return send_answer(provider.pages, request, answer)


def _cookies_were_withheld(request: Request) -> bool:
    """Whether the app posted and the browser kept our cookies back, as SameSite=Lax makes it.

    The person's session would not be seen, and a new browser cookie would replace theirs. A GET brings the cookies.
    """
    return request.method == "POST" and not {BROWSER_COOKIE, SESSION_COOKIE} & request.cookies.keys()


def _as_pairs(parameters: Parameters) -> list[tuple[str, str]]:
    pairs = []
    for name, value in parameters.items():
        pairs += [(name, one) for one in value.split(" ")] if name == "resource" else [(name, value)]
    return pairs
