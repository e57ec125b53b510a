"""`/consent/v1/stream`: where an app wants to be told, as the Shared Signals Framework writes it down.

One stream for each app, and under `/consent/v1/agency` one for each agency that gives data. What is delivered cannot be
chosen: a withdrawal is the law's. So `events_requested` is taken and changes nothing, and a stream can be paused, not
disabled.
Spec: OpenID Shared Signals Framework 1.0 §8.1.1 and §8.1.2.
"""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from consent.agencies import list_agencies
from consent.http.api.answers import NO_STORE, json_answer
from consent.http.api.document import needs, refusal
from consent.http.api.events import SCOPE, Finds, of_agency, own, read_json
from consent.http.api.ports import ApiPorts, ApiRefusal
from consent.withdrawal.errors import NoStream, StreamRefused
from consent.withdrawal.polling import Listener
from consent.withdrawal.streams import POLL, PUSH, StreamView, put_stream, remove_stream, set_status, stream_of
from consent.withdrawal.tokens import EVENT_TYPES, audience_of_agency

PUSH_METHOD: Final = "urn:ietf:rfc:8935"
POLL_METHOD: Final = "urn:ietf:rfc:8936"
METHODS: Final = {PUSH_METHOD: PUSH, POLL_METHOD: POLL}

Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class DeliveryMethod(BaseModel):
    """How: `endpoint_url` is for push. `authorization_header` is sent with each token, and never shown again."""

    model_config = ConfigDict(strict=True)

    method: Literal["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"]
    endpoint_url: Text | None = None
    authorization_header: Text | None = None


class StreamRequest(BaseModel):
    """A stream as its receiver wants it."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={
            "examples": [{"delivery": {"method": PUSH_METHOD, "endpoint_url": "https://sehat.example.go.id/events"}}]
        },
    )

    stream_id: Text | None = None
    delivery: DeliveryMethod
    events_requested: list[Text] | None = Field(default=None, max_length=100)
    description: Text | None = None


class StatusRequest(BaseModel):
    """Whether the stream is being sent."""

    model_config = ConfigDict(strict=True)

    stream_id: Text | None = None
    status: Literal["enabled", "paused"]
    reason: Text | None = None


def router(ports: ApiPorts) -> APIRouter:
    """The operations, documented."""
    made = APIRouter(tags=["stream"])
    for prefix, finds in (("", own(ports)), ("/agency", of_agency(ports))):
        _add_stream(made, Streams(ports, prefix, finds), prefix)
    return made


class Streams:
    """The handlers of one kind of listener."""

    def __init__(self, ports: ApiPorts, prefix: str, finds: Finds) -> None:
        self._ports = ports
        self._prefix = prefix
        self._finds = finds

    async def read(self, request: Request) -> Response:
        """The stream named by `stream_id`; without one, a list of the one or none that there is."""
        _caller, listener = await self._finds(request)
        stream = await self._stream(listener)
        wanted = request.query_params.get("stream_id")
        if wanted is not None and (stream is None or stream.id != wanted):
            raise ApiRefusal(404, "not_found", "there is no such stream")
        shown = [] if stream is None else [await self._shown(stream)]
        return json_answer(shown[0] if wanted is not None else shown)

    async def write(self, request: Request) -> Response:
        """Makes the stream (POST), or puts another in its place (PUT)."""
        _caller, listener = await self._finds(request)
        asked = await read_json(request, StreamRequest)
        known = await self._stream(listener)
        if request.method == "POST" and known is not None:
            raise ApiRefusal(409, "exists", "there is a stream already; replace it by PUT")
        if asked.stream_id is not None and (known is None or known.id != asked.stream_id):
            raise ApiRefusal(404, "not_found", "there is no such stream")
        delivery = METHODS[asked.delivery.method]
        endpoint = asked.delivery.endpoint_url if delivery == PUSH else None
        fault = None if endpoint is None else self._ports.events.check_endpoint(endpoint)
        if fault is not None:
            raise ApiRefusal(400, "invalid_endpoint", fault)
        try:
            async with self._ports.transaction() as session:
                stream = await put_stream(
                    session,
                    agency_id=listener.agency_id,
                    client_id=listener.client_id,
                    delivery=delivery,
                    endpoint=endpoint,
                    authorization=asked.delivery.authorization_header,
                    now=self._ports.clock(),
                    entropy=self._ports.entropy,
                )
        except StreamRefused as refused:
            raise ApiRefusal(400, "invalid_request", str(refused)) from None
        return json_answer(await self._shown(stream), status=201 if request.method == "POST" else 200)

    async def remove(self, request: Request) -> Response:
        """Forgets the stream; what is not told waits to be polled."""
        _caller, listener = await self._finds(request)
        try:
            async with self._ports.transaction() as session:
                await self._must_be_named(request.query_params.get("stream_id"), listener)
                await remove_stream(session, agency_id=listener.agency_id, client_id=listener.client_id)
        except NoStream as unknown:
            raise ApiRefusal(404, "not_found", str(unknown)) from None
        return Response(status_code=204, headers=NO_STORE)

    async def read_status(self, request: Request) -> Response:
        """Whether the stream is being sent."""
        _caller, listener = await self._finds(request)
        stream = await self._must_be_named(request.query_params.get("stream_id"), listener)
        return json_answer({"stream_id": stream.id, "status": stream.status})

    async def write_status(self, request: Request) -> Response:
        """Pauses, or goes on. The clock of what is due does not stop."""
        _caller, listener = await self._finds(request)
        asked = await read_json(request, StatusRequest)
        await self._must_be_named(asked.stream_id, listener)
        async with self._ports.transaction() as session:
            stream = await set_status(
                session,
                agency_id=listener.agency_id,
                client_id=listener.client_id,
                status=asked.status,
                now=self._ports.clock(),
            )
        return json_answer({"stream_id": stream.id, "status": stream.status})

    async def _stream(self, listener: Listener) -> StreamView | None:
        try:
            async with self._ports.reading() as session:
                return await stream_of(session, agency_id=listener.agency_id, client_id=listener.client_id)
        except NoStream:
            return None

    async def _must_be_named(self, stream_id: str | None, listener: Listener) -> StreamView:
        stream = await self._stream(listener)
        if stream is None or (stream_id is not None and stream_id != stream.id):
            raise ApiRefusal(404, "not_found", "there is no such stream")
        return stream

    async def _shown(self, stream: StreamView) -> dict[str, Any]:
        audience = stream.client_id
        if not audience:
            async with self._ports.reading() as session:
                codes = {agency.id: agency.code for agency in await list_agencies(session)}
            audience = audience_of_agency(codes[stream.agency_id])
        by_push = stream.delivery == PUSH
        endpoint = stream.endpoint if by_push else f"{self._ports.issuer}/consent/v1{self._prefix}/events/poll"
        return {
            "stream_id": stream.id,
            "iss": self._ports.issuer,
            "aud": audience,
            "events_supported": list(EVENT_TYPES),
            "events_delivered": list(EVENT_TYPES),
            "delivery": {"method": PUSH_METHOD if by_push else POLL_METHOD, "endpoint_url": endpoint},
        }


def _add_stream(made: APIRouter, streams: Streams, prefix: str) -> None:
    suffix = "_agency" if prefix else ""
    whose = "the agency's systems want" if prefix else "the app wants"
    by_id = {
        "name": "stream_id",
        "in": "query",
        "required": False,
        "schema": {"type": "string"},
    }
    body = {"required": True, "content": {"application/json": {"schema": StreamRequest.model_json_schema()}}}
    status_body = {"required": True, "content": {"application/json": {"schema": StatusRequest.model_json_schema()}}}
    missing = {404: refusal("There is no such stream.")}

    def add(method: str, path: str, handler: Any, summary: str, name: str, **more: Any) -> None:
        extra = {**needs(SCOPE), **more.pop("extra", {})}
        made.add_api_route(
            f"{prefix}{path}",
            handler,
            methods=[method],
            summary=summary,
            operation_id=f"{name}{suffix}",
            response_model=None,
            openapi_extra=extra,
            **more,
        )

    add(
        "GET",
        "/stream",
        streams.read,
        f"Where {whose} to be told",
        "read_stream",
        extra={"parameters": [by_id]},
        responses=missing,
    )
    add(
        "POST",
        "/stream",
        streams.write,
        f"Say where {whose} to be told",
        "create_stream",
        extra={"requestBody": body},
        status_code=201,
        responses={409: refusal("There is a stream already.")},
    )
    add(
        "PUT", "/stream", streams.write, "Say it anew", "replace_stream", extra={"requestBody": body}, responses=missing
    )
    add(
        "DELETE",
        "/stream",
        streams.remove,
        "Forget where",
        "delete_stream",
        extra={"parameters": [by_id]},
        status_code=204,
        responses=missing,
    )
    add(
        "GET",
        "/stream/status",
        streams.read_status,
        "Whether it is being sent",
        "read_stream_status",
        extra={"parameters": [by_id]},
        responses=missing,
    )
    add(
        "POST",
        "/stream/status",
        streams.write_status,
        "Pause, or go on",
        "update_stream_status",
        extra={"requestBody": status_body},
        responses=missing,
    )
