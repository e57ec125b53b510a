"""Signs status lists, each as the rows say at the moment.

Spec: draft-ietf-oauth-status-list-20 §5.1 (the token), §9 (aggregation), §13.1 (when a list may go), §13.6 (caching).
"""

import gzip
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, select

from idp.driver.statement import Statement
from idp.provider import Provider
from idp.status_list.encoding import BITS, encode
from idp.status_list.models import StatusBlock
from idp.status_list.places import BLOCK, SIZE, address
from idp.status_list.published import Published
from idp.status_list.standing import statuses
from keys.jwks import etag
from keys.jws import sign_jwt

SIGNING_ALG: Final = "ES256"
TYP: Final = "statuslist+jwt"
BLOCKS: Final = SIZE // BLOCK
# A resource server that cannot reach us may go by an old list for this many of its times to live, and no longer.
LIFETIMES: Final = 3

_IS_LIVE: Final = Statement(
    select(StatusBlock.id)
    .where(
        StatusBlock.id >= bindparam("first"),
        StatusBlock.id < bindparam("beyond"),
        StatusBlock.expires_at > bindparam("now"),
    )
    .limit(1)
)
_LIVE: Final[Select[Any]] = (
    select((StatusBlock.id // BLOCKS).label("list_id"))
    .where(StatusBlock.expires_at > bindparam("now"))
    .distinct()
    .order_by("list_id")
)


async def live_lists(provider: Provider, *, now: datetime) -> list[str]:
    """The addresses of the lists that may have a living token on them."""
    async with provider.database.reading() as session:
        ids = (await session.scalars(_LIVE, {"now": now})).all()
    return [address(provider.settings.issuer, list_id) for list_id in ids]


async def published(provider: Provider, list_id: int, *, now: datetime) -> Published | None:
    """A list as it is now; nothing when no token on it can live any more, or none ever did."""
    first = list_id * BLOCKS
    places = {"first": first, "beyond": first + BLOCKS, "now": now}
    if await provider.database.driver.row(_IS_LIVE, places) is None:
        return None

    async def build(last: Published | None) -> Published:
        return await _build(provider, list_id, last, now=provider.clock())

    return await provider.status_lists.fresh(list_id, build)


async def _build(provider: Provider, list_id: int, last: Published | None, *, now: datetime) -> Published:
    async with provider.database.reading() as session:
        lst = encode(await statuses(session, list_id, now=now), size=SIZE)
    ttl = provider.settings.status_list_ttl
    if last is not None and last.lst == lst and 0 <= (now - last.signed_at).total_seconds() < ttl / 2:
        # It says what is so now; and whoever has these very bytes need not be sent them again.
        return last
    issuer, issued_at = provider.settings.issuer, int(now.timestamp())
    claims = {
        "iss": issuer,
        "sub": address(issuer, list_id),
        "iat": issued_at,
        "exp": issued_at + LIFETIMES * ttl,
        "ttl": ttl,
        "status_list": {"bits": BITS, "lst": lst, "aggregation_uri": aggregation(issuer)},
    }
    token = (await sign_jwt(provider.keys.signer_for(SIGNING_ALG), claims, typ=TYP)).encode()
    return Published(lst=lst, signed_at=now, token=token, packed=gzip.compress(token, mtime=0), tag=etag(token))


def aggregation(issuer: str) -> str:
    """Where the addresses of all lists are."""
    return f"{issuer}/status-lists"
