"""What comes of a step, decided within a transaction and sent after it has been committed.

Every caller does the same two lines:

    async with provider.database.transaction() as session:
        outcome = await advance(provider, request, session, interaction, now=now)
    return respond(provider, request, outcome)
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from idp.authorize.response import Answer, see_other, send_answer
from idp.browser import set_browser
from idp.interaction.models import Interaction
from idp.provider import Provider


@dataclass(frozen=True, slots=True)
class GoTo:
    """The browser goes on to a page of ours. `new_browser` is the secret of a browser that had none."""

    path: str
    new_browser: bytes | None = None


Outcome = GoTo | Answer


def page_of(interaction: Interaction, path: str, *, new_browser: bytes | None = None) -> GoTo:
    """One of the pages of an interaction."""
    return GoTo(f"{path}?{urlencode({'interaction': interaction.id})}", new_browser)


def respond(provider: Provider, request: Request, outcome: Outcome) -> Response:
    """The outcome as HTTP. Call it after the transaction."""
    if isinstance(outcome, Answer):
        return send_answer(provider.pages, request, outcome)
    response = see_other(f"{provider.pages.base}{outcome.path}")
    if outcome.new_browser is not None:
        set_browser(response, outcome.new_browser)
    return response
