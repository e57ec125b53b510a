"""The answer to the app: success or error, in the mode it asked for, always with `iss`, never cached or leaked.

Spec: RFC 6749 §4.1.2 and §4.1.2.1; RFC 9207 §2; RFC 9700 §4.2 and §4.12 (303, never 307); OAuth 2.0 Form Post Response
Mode §2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from idp.answers import printable
from idp.authorize.checks import DEFAULT_RESPONSE_MODE, RESPONSE_MODES
from idp.clients.registry import RegisteredClient
from idp.errors import OAuthError
from idp.pages import Pages

REDIRECT_HEADERS: Final = {"Cache-Control": "no-store", "Pragma": "no-cache", "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to be sent once its transaction has been committed. `redirect_uri` has been matched."""

    redirect_uri: str
    response_mode: str
    parameters: Mapping[str, str]


def code_answer(*, redirect_uri: str, response_mode: str, code: str, state: str | None, issuer: str) -> Answer:
    """A successful answer. Spec: RFC 6749 §4.1.2; RFC 9207 §2."""
    parameters = {"code": code, **_echo(state), "iss": issuer}
    return Answer(redirect_uri=redirect_uri, response_mode=response_mode, parameters=parameters)


def error_answer(error: OAuthError, *, redirect_uri: str, response_mode: str, state: str | None, issuer: str) -> Answer:
    """A refusal. Spec: RFC 6749 §4.1.2.1; RFC 9207 §2."""
    parameters = {"error": error.code}
    if error.description:
        parameters["error_description"] = printable(error.description)
    parameters |= {**_echo(state), "iss": issuer}
    return Answer(redirect_uri=redirect_uri, response_mode=response_mode, parameters=parameters)


def response_mode_for(sent: str | None, client: RegisteredClient) -> str:
    """The mode to answer in: the one that was sent if the client may have it, else one that it may have.

    An error about the mode itself has to travel in some mode.
    """
    if sent in RESPONSE_MODES and sent in client.response_modes:
        return str(sent)
    if DEFAULT_RESPONSE_MODE in client.response_modes:
        return DEFAULT_RESPONSE_MODE
    return next((mode for mode in RESPONSE_MODES if mode in client.response_modes), DEFAULT_RESPONSE_MODE)


def send_answer(pages: Pages, request: Request, answer: Answer) -> Response:
    """The answer as HTTP: a 303, or a page with a form that posts itself."""
    if answer.response_mode == "form_post":
        return pages.form_post(request, action=answer.redirect_uri, fields=answer.parameters)
    return see_other(with_query(answer.redirect_uri, answer.parameters))


def with_query(uri: str, parameters: Mapping[str, str]) -> str:
    """The address with parameters added; what it had in its query stays. Spec: RFC 6749 §3.1.2."""
    separator = "" if uri.endswith(("?", "&")) else "&" if "?" in uri else "?"
    return f"{uri}{separator}{urlencode(parameters)}"


def see_other(location: str) -> Response:
    """A 303: the next request is a GET without a body, whatever the last one was. Spec: RFC 9110 §15.4.4."""
    return Response(status_code=303, headers={"Location": location, **REDIRECT_HEADERS})


def _echo(state: str | None) -> dict[str, str]:
    return {} if state is None else {"state": state}
