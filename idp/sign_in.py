"""GET `/sign-in?to=…`: a login for one of our own pages."""

from starlette.requests import Request
from starlette.responses import Response

from idp.interaction.page_login import begin_page_login
from idp.provider import provider_of


async def sign_in(request: Request) -> Response:
    """Begins a login that ends at `to`, one of our own pages; anywhere else, it ends at home."""
    return await begin_page_login(provider_of(request), request, request.query_params.get("to", "/"))
