"""Sends what the outbox holds: claim, commit, send, record. Every process does; what one has claimed no other has.

No connection to the database is held while an endpoint is waited for, and each endpoint is waited for by one task.
Spec: RFC 8935 §2 (push); RFC 8417.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

import structlog

from consent.withdrawal.sending import (
    LEASE,
    Claimed,
    claim,
    is_anything_due,
    record_refused,
    record_sent,
    record_unreachable,
    release,
)
from consent.withdrawal.tokens import ALG, TYP, Told, claims_of, told
from idp.outbound.errors import FetchRefused
from idp.outbound.fetch import Fetched
from idp.provider import Provider
from keys.jws import sign_jwt

log = structlog.get_logger()

EVERY_SECONDS: Final = 1.0
A_HANDFUL: Final = 50  # deliveries that one claim takes
_PATIENCE: Final = LEASE / 2
_MAX_SAID: Final = 200
_ACCEPTED: Final = 202


class NotTaken(Exception):
    """The endpoint did not take a token. `is_endpoint` tells whether it would take no other either."""

    def __init__(self, why: str, *, is_endpoint: bool) -> None:
        super().__init__(why)
        self.why = why
        self.is_endpoint = is_endpoint


class Sender:
    """Sends while the process lives. `send_due` is one round, for who wants to wait for it."""

    def __init__(self, provider: Provider, *, lease: timedelta = LEASE) -> None:
        self._provider = provider
        self._lease = lease
        self._most = provider.settings.events_at_once
        self._places = asyncio.Semaphore(max(self._most, 1))
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._most > 0:
            self._loop = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        running = [task for task in (self._loop, *self._busy.values()) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def send_due(self) -> int:
        """Sends all that is due now, and returns how many were tried."""
        tried = 0
        while started := await self._start():
            tried += started
            while self._busy:
                await asyncio.gather(*self._busy.values())
        return tried

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                while await self._start():
                    pass
            except Exception:  # the next second tries again; a dead sender would tell nobody
                log.exception("claiming_deliveries_failed")

    async def _start(self) -> int:
        """Claims a handful and starts a task for each endpoint of it. Returns how many were claimed."""
        if len(self._busy) >= self._most:
            return 0
        provider = self._provider
        async with provider.database.reading() as session:
            # Most seconds there is nothing, and a look costs no lock.
            if not await is_anything_due(session, now=provider.clock()):
                return 0
        async with provider.database.transaction() as session:
            claimed = await claim(
                session, now=provider.clock(), limit=A_HANDFUL, busy=tuple(self._busy), lease=self._lease
            )
        endpoints: dict[str, list[Claimed]] = {}
        for one in claimed:
            endpoints.setdefault(one.stream_id, []).append(one)
        for stream_id, group in endpoints.items():
            task = asyncio.create_task(self._send_all(group))
            self._busy[stream_id] = task
            task.add_done_callback(lambda _task, stream_id=stream_id: self._busy.pop(stream_id, None))  # type: ignore[misc]
        return len(claimed)

    async def _send_all(self, group: Sequence[Claimed]) -> None:
        """Sends to one endpoint, one after the other, until it fails or the lease is half over."""
        provider = self._provider
        begun = asyncio.get_running_loop().time()
        left = list(group)
        try:
            async with self._places:
                async with provider.database.reading() as session:
                    tokens = {one.delivery_id: one for one in await told(session, [one.delivery_id for one in group])}
                while left and asyncio.get_running_loop().time() - begun < _PATIENCE.total_seconds():
                    one = left.pop(0)
                    if not await self._send(one, tokens[one.delivery_id]):
                        break
        except Exception:  # the lease frees what is left
            log.exception("sending_deliveries_failed", stream=group[0].stream_id)
            return
        if left:
            async with provider.database.transaction() as session:
                await release(session, left)

    async def _send(self, claimed: Claimed, what: Told) -> bool:
        """Sends one token and records what came of it. Returns whether the endpoint should get another."""
        provider = self._provider
        token = await self.signed(what)
        headers = {"Content-Type": f"application/{TYP}", "Accept": "application/json"}
        if claimed.authorization is not None:
            headers["Authorization"] = claimed.authorization
        refused: NotTaken | None = None
        try:
            answer = await provider.outbound.send("POST", claimed.endpoint, headers=headers, body=token.encode())
            check_taken(answer)
        except FetchRefused as broken:
            log.info("delivery_failed", delivery=claimed.delivery_id, reason=broken.reason, detail=broken.detail)
            refused = NotTaken(broken.told, is_endpoint=True)
        except NotTaken as answered:
            log.info("delivery_refused", delivery=claimed.delivery_id, why=answered.why)
            refused = answered
        async with provider.database.transaction() as session:
            now = provider.clock()
            if refused is None:
                await record_sent(session, claimed, now=now)
            elif refused.is_endpoint:
                await record_unreachable(session, claimed, why=refused.why, now=now, entropy=provider.entropy)
            else:
                await record_refused(session, claimed, why=refused.why, now=now, entropy=provider.entropy)
        return refused is None or not refused.is_endpoint

    async def signed(self, what: Told) -> str:
        """A delivery's token."""
        provider = self._provider
        claims = claims_of(what, issuer=provider.settings.issuer, name=provider.subjects.sub)
        return await sign_jwt(provider.keys.signer_for(ALG), claims, typ=TYP)


def check_taken(answer: Fetched) -> None:
    """202 is yes. 400 with an error code is no to this token; anything else is an endpoint that does not work.

    Error: `NotTaken`. Spec: RFC 8935 §2.2 and §2.3.
    """
    if answer.status == _ACCEPTED:
        return
    said = _error_of(answer) if answer.status == 400 else None
    if said is None:
        raise NotTaken(f"the endpoint answered {answer.status} where 202 was due", is_endpoint=True)
    raise NotTaken(f"the endpoint refused: {said}", is_endpoint=False)


def _error_of(answer: Fetched) -> str | None:
    """The error that a recipient names, as one printable line."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("err"), str):
        return None
    words = [said["err"], *([said["description"]] if isinstance(said.get("description"), str) else [])]
    line = ": ".join(words)[:_MAX_SAID]
    return "".join(character if character.isprintable() else "?" for character in line)
