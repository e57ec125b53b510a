"""The wire to a witness: one POST, with an end to its time and its size.

Spec: C2SP tlog-witness, add-checkpoint
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import httpx2

from consent.log.witness_client import MAX_ANSWER_BYTES, Post, WireAnswer, WitnessUnreachable

SECONDS: Final = 10.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def check_witness_url(url: str) -> None:
    """Raises `ValueError` unless the URL is https, or http on this machine, without a query or a password in it."""
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not secure or not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"not the submission prefix of a witness: {url}")


@asynccontextmanager
async def witness_wire(
    url: str, *, seconds: float = SECONDS, client: httpx2.AsyncClient | None = None
) -> AsyncIterator[Post]:
    """Opens the wire to the witness whose submission prefix is `url`; what it gives is a `Post`, for many uses.

    `client` is for who has one already, with its certificates. Raises `ValueError` on a URL that no witness has.
    """
    check_witness_url(url)
    address = f"{url.rstrip('/')}/add-checkpoint"
    own = client or httpx2.AsyncClient(trust_env=False)

    async def post(body: bytes) -> WireAnswer:
        try:
            # The client's own time-outs are for each read; a witness that drips would outlast them.
            async with asyncio.timeout(seconds):
                return await _exchange(own, address, body, seconds)
        except (httpx2.HTTPError, TimeoutError, OSError) as broken:
            raise WitnessUnreachable(f"{address} does not answer: {type(broken).__name__} {broken}") from None

    try:
        yield post
    finally:
        if client is None:
            await own.aclose()


async def _exchange(client: httpx2.AsyncClient, address: str, body: bytes, seconds: float) -> WireAnswer:
    headers = {"Content-Type": "text/plain; charset=utf-8", "Accept-Encoding": "identity"}
    # No redirects: the checkpoint is for this witness, and a 307 would have it posted wherever the answer says.
    async with client.stream(
        "POST", address, content=body, headers=headers, timeout=seconds, follow_redirects=False
    ) as response:
        read = bytearray()
        async for chunk in response.aiter_bytes():
            read += chunk
            if len(read) > MAX_ANSWER_BYTES:
                raise WitnessUnreachable(f"{address} answers more than a witness has to say")
        return WireAnswer(response.status_code, response.headers.get("content-type", ""), bytes(read))
