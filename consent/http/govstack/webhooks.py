"""The webhook of the `config` part: the app's event stream, so there is at most one.

Spec: GovStack Consent Building Block API 1.1 (`/config/webhook…`); RFC 8935.
"""

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from consent.http.api.ports import ApiCaller, ApiRefusal
from consent.http.govstack.access import Limit, Offset, configures
from consent.http.govstack.answers import WebhookBody, Webhooks
from consent.http.govstack.ports import GovStackPorts
from consent.http.govstack.schemas import Webhook
from consent.withdrawal.errors import NoStream, StreamRefused
from consent.withdrawal.streams import StreamView, put_stream, remove_stream, set_status, stream_of


def router(ports: GovStackPorts) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/config", tags=["config"])

    @routes.post("/webhook/", operation_id="configWebhookCreate")
    async def create(request: Request, body: WebhookBody) -> WebhookBody:
        """Says where this app is told of withdrawals."""
        return await _put(ports, await configures(ports, request), body.webhook)

    @routes.get("/webhook/{webhookId}/", operation_id="configWebhookRead")
    async def read(request: Request, webhookId: str, revisionId: str | None = None) -> WebhookBody:  # noqa: ARG001 - the standard's
        """Reads this app's webhook."""
        caller = await configures(ports, request)
        async with ports.reading() as session:
            return WebhookBody(webhook=_object(await _own(session, caller, webhookId)))

    @routes.put("/webhook/{webhookId}/", operation_id="configWebhookUpdate")
    async def update(request: Request, webhookId: str, body: WebhookBody) -> WebhookBody:
        """Says it anew."""
        caller = await configures(ports, request)
        async with ports.reading() as session:
            await _own(session, caller, webhookId)
        return await _put(ports, caller, body.webhook)

    @routes.delete("/webhook/{webhookId}/", operation_id="configWebhookDelete")
    async def remove(request: Request, webhookId: str) -> Response:
        """Forgets it; what the app was not told waits to be polled."""
        caller = await configures(ports, request)
        async with ports.transaction() as session:
            await _own(session, caller, webhookId)
            await remove_stream(session, agency_id=caller.agency_id, client_id=caller.client_id)
        return Response(status_code=200)

    @routes.get("/webhooks/", operation_id="configWebhookList")
    async def every(
        request: Request,
        revisionId: str | None = None,  # noqa: ARG001 - the standard's; a webhook has one revision
        offset: Offset = 0,
        limit: Limit = 100,  # noqa: ARG001 - there is at most one
    ) -> Webhooks:
        """This app's webhook, if it has one."""
        caller = await configures(ports, request)
        async with ports.reading() as session:
            try:
                stream = await stream_of(session, agency_id=caller.agency_id, client_id=caller.client_id)
            except NoStream:
                return Webhooks(webhooks=[])
        return Webhooks(webhooks=[_object(stream)][offset:] if stream.endpoint is not None else [])

    return routes


async def _put(ports: GovStackPorts, caller: ApiCaller, asked: Webhook) -> WebhookBody:
    fault = ports.events.check_endpoint(asked.payloadUrl)
    if fault is not None:
        raise ApiRefusal(400, "invalid_request", f"payloadUrl: {fault}")
    own = {"agency_id": caller.agency_id, "client_id": caller.client_id}
    async with ports.transaction() as session:
        try:
            stream = await put_stream(
                session,
                **own,
                delivery="push",
                endpoint=asked.payloadUrl,
                authorization=f"Bearer {asked.secretKey}" if asked.secretKey else None,
                now=ports.clock(),
                entropy=ports.entropy,
            )
            if asked.disabled != (stream.status == "paused"):
                stream = await set_status(
                    session, **own, status="paused" if asked.disabled else "enabled", now=ports.clock()
                )
        except StreamRefused as refused:
            raise ApiRefusal(400, "invalid_request", str(refused)) from None
    return WebhookBody(webhook=_object(stream))


async def _own(session: AsyncSession, caller: ApiCaller, webhook_id: str) -> StreamView:
    stream = await stream_of(session, agency_id=caller.agency_id, client_id=caller.client_id)
    if stream.id != webhook_id or stream.endpoint is None:
        raise NoStream("there is no such webhook")
    return stream


def _object(stream: StreamView) -> Webhook:
    return Webhook(
        id=stream.id,
        payloadUrl=stream.endpoint or "",
        contentType="application/secevent+jwt",
        disabled=stream.status == "paused",
        secretKey="",
    )
