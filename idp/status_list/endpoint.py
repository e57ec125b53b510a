"""`/status-lists/{id}`: what became of the tokens that we issued, for resource servers that do not ask at each request.

Anybody may read it: it says of a number whether it is valid, and only who holds the token knows whose number that is.
Spec: draft-ietf-oauth-status-list-20 §8.1 and §8.2 (request, response), §8.4 (`time`), §9 (aggregation).
"""

import re
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from idp.answers import NO_STORE, cacheable_answer
from idp.cors import for_everybody
from idp.provider import provider_of
from idp.status_list.publishing import live_lists, published
from keys.jwks import etag

MEDIA_TYPE: Final = "application/statuslist+jwt"
_LIST_ID: Final = re.compile(r"0|[1-9][0-9]{0,11}")
_ACCEPTABLE: Final = frozenset({MEDIA_TYPE, "application/*", "*/*"})


def routes() -> list[Route]:
    """The lists, and the list of lists."""
    return [
        Route("/status-lists", status_lists, methods=["GET"]),
        Route("/status-lists/{list_id}", status_list, methods=["GET"]),
    ]


@for_everybody
async def status_lists(request: Request) -> Response:
    """The addresses of all lists that are served."""
    provider = provider_of(request)
    document = orjson.dumps({"status_lists": await live_lists(provider, now=provider.clock())})
    max_age = provider.settings.status_list_ttl
    return cacheable_answer(request, document, tag=etag(document), max_age=max_age, media_type="application/json")


@for_everybody
async def status_list(request: Request) -> Response:
    """One list, signed."""
    provider = provider_of(request)
    if "time" in request.query_params:
        # What was so at another time would let whoever keeps a token's number follow its person. Spec: §12.7.
        return _refused(501, "the past is not told")
    if not _accepts(request):
        return _refused(406, f"there is {MEDIA_TYPE} only")
    list_id = request.path_params["list_id"]
    found = None
    if _LIST_ID.fullmatch(list_id) is not None:
        found = await published(provider, int(list_id), now=provider.clock())
    if found is None:
        return _refused(404, "there is no such list")
    headers = {"Vary": "Accept-Encoding"}
    document, tag = found.token, found.tag
    if _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        document, tag = found.packed, f'{tag[:-1]}-gzip"'
    # A cache on the way adds its time to that of the resource server: half of it is enough.
    max_age = provider.settings.status_list_ttl // 2
    return cacheable_answer(request, document, tag=tag, max_age=max_age, media_type=MEDIA_TYPE, headers=headers)


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status_code=status, headers=NO_STORE)


def _accepts(request: Request) -> bool:
    ranges = [one for line in request.headers.getlist("accept") for one in line.split(",")]
    return not ranges or any(_is_wanted(one, _ACCEPTABLE) for one in ranges)


def _takes_gzip(request: Request) -> bool:
    codings = ",".join(request.headers.getlist("accept-encoding")).split(",")
    return any(_is_wanted(one, frozenset({"gzip"})) for one in codings)


def _is_wanted(range_: str, names: frozenset[str]) -> bool:
    """Whether an element of `Accept…` names one of these, and not with `q=0`. Spec: RFC 9110 §12.4.2."""
    name, *parameters = (part.strip().lower() for part in range_.split(";"))
    return name in names and not any(re.fullmatch(r"q=0(\.0{0,3})?", one) for one in parameters)
