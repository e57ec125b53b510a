"""`satupintu stream`: where apps, and agencies that give data, are told of withdrawals."""

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from consent.agencies import list_agencies
from consent.withdrawal.streams import StreamView, list_streams, put_stream, remove_stream, set_status
from idp.audit import AuditKind
from idp.cli.acting import agency_of
from idp.cli.context import Context, opened, run
from idp.cli.output import AsJson, Refused, show_one, show_rows
from idp.clients.management import show_client
from idp.outbound.addresses import read_target
from idp.outbound.errors import FetchRefused
from idp.outbound.fetch import policy_of

app = typer.Typer(help="Event streams: where withdrawals are told.", no_args_is_help=True)

Client = Annotated[str, typer.Option("--client", help="The app's client_id.")]
Agency = Annotated[str, typer.Option("--agency", help="The code of an agency that gives data, for what it must stop.")]
COLUMNS = ("client_id", "agency", "delivery", "endpoint", "status", "failures", "rests_until", "last_error")


@app.command("add")
def add(
    client: Client = "",
    agency: Agency = "",
    endpoint: Annotated[str, typer.Option(help="Where events are pushed to (https); without it they are polled.")] = "",
    authorization_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file with the Authorization header that the endpoint wants."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say where an app or an agency is told, in place of what was said before. What waits is sent at once."""

    async def work() -> dict[str, object]:
        async with opened() as context:
            if endpoint:
                try:
                    read_target(endpoint, policy_of(context.settings))
                except FetchRefused as refused:
                    # An operator may know what whoever registers an endpoint may not.
                    raise Refused(refused.detail) from None
            async with context.database.transaction() as session:
                agency_id, client_id = await listener(session, client=client, agency=agency)
                stream = await put_stream(
                    session,
                    agency_id=agency_id,
                    client_id=client_id,
                    delivery="push" if endpoint else "poll",
                    endpoint=endpoint or None,
                    authorization=authorization_file.read_text("utf-8").strip() if authorization_file else None,
                    now=context.now,
                    entropy=context.entropy,
                )
                await _note(context, session, "put", stream)
                return await describe(session, stream)

    show_one(run(work()), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the streams, and how their endpoints do."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            return [await describe(session, stream) for stream in await list_streams(session)]

    show_rows(run(work()), columns=COLUMNS, as_json=as_json, empty="No streams yet: events wait to be polled.")


@app.command("pause")
def pause(client: Client = "", agency: Agency = "", as_json: AsJson = False) -> None:
    """Stop the telling. The clock of what is due does not stop."""
    show_one(run(_turn(client, agency, "paused")), as_json=as_json)


@app.command("resume")
def resume(client: Client = "", agency: Agency = "", as_json: AsJson = False) -> None:
    """Go on telling, and try at once what failed before."""
    show_one(run(_turn(client, agency, "enabled")), as_json=as_json)


@app.command("remove")
def remove(client: Client = "", agency: Agency = "", as_json: AsJson = False) -> None:
    """Forget where somebody was told. What they were not told waits to be polled."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            agency_id, client_id = await listener(session, client=client, agency=agency)
            await remove_stream(session, agency_id=agency_id, client_id=client_id)
            await context.note(session, AuditKind.STREAM_CHANGED, client_id=client_id or None, did="removed")
            return {"removed": client or agency}

    show_one(run(work()), as_json=as_json)


async def _turn(client: str, agency: str, status: str) -> dict[str, object]:
    async with opened() as context, context.database.transaction() as session:
        agency_id, client_id = await listener(session, client=client, agency=agency)
        stream = await set_status(session, agency_id=agency_id, client_id=client_id, status=status, now=context.now)
        await _note(context, session, status, stream)
        return await describe(session, stream)


async def listener(session: AsyncSession, *, client: str, agency: str) -> tuple[str, str]:
    """Whose stream: an app's, or an agency's with no app. Error: `Refused`."""
    if bool(client) == bool(agency):
        raise Refused("name either an app with --client or an agency with --agency")
    if client:
        return (await show_client(session, client)).agency_id, client
    return (await agency_of(session, agency)).id, ""


async def describe(session: AsyncSession, stream: StreamView) -> dict[str, object]:
    """A stream as commands show it."""
    codes = {agency.id: agency.code for agency in await list_agencies(session)}
    return {
        "id": stream.id,
        "client_id": stream.client_id or "(the agency)",
        "agency": codes.get(stream.agency_id),
        "delivery": stream.delivery,
        "endpoint": stream.endpoint,
        "has_authorization": stream.has_authorization,
        "status": stream.status,
        "failures": stream.failures,
        "rests_until": stream.rests_until,
        "last_error": stream.last_error,
        "updated_at": stream.updated_at,
    }


async def _note(context: Context, session: AsyncSession, did: str, stream: StreamView) -> None:
    await context.note(
        session,
        AuditKind.STREAM_CHANGED,
        client_id=stream.client_id or None,
        did=did,
        stream_id=stream.id,
        endpoint=stream.endpoint or "",
    )
