"""`satupintu ending`: a purpose version, agreement, agency or app ends, and all its consents with it."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from consent.purposes import versions_of
from consent.registry.agreements import agreement_versions_of
from consent.withdrawal.endings import (
    AGENCY,
    AGREEMENT_VERSION,
    CLIENT,
    PURPOSE_VERSION,
    EndingView,
    approve_ending,
    list_endings,
    preview,
    propose_ending,
    reject_ending,
)
from idp.audit import AuditKind
from idp.cli.acting import By, Reason, acting, agency_of
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_one, show_rows
from idp.clients.management import show_client
from idp.withdrawals import shut_client

app = typer.Typer(help="Endings: what ends with all its consents.", no_args_is_help=True)

Purpose = Annotated[str, typer.Option("--purpose", help="A purpose's code, with --version.")]
Agreement = Annotated[str, typer.Option("--agreement", help="An agreement's code, with --version.")]
Agency = Annotated[str, typer.Option("--agency", help="An agency's code.")]
Client = Annotated[str, typer.Option("--client", help="An app's client_id.")]
Version = Annotated[int, typer.Option("--version", help="Which version of the purpose or agreement.")]
EndingId = Annotated[str, typer.Argument(help="The ending's id (`satupintu ending list`).")]
COLUMNS = ("id", "object_kind", "object_id", "status", "ended", "proposed_by", "approved_by", "created_at")


@app.command("preview")
def show_preview(
    purpose: Purpose = "",
    agreement: Agreement = "",
    agency: Agency = "",
    client: Client = "",
    version: Version = 0,
    as_json: AsJson = False,
) -> None:
    """Count what would end, by app, agency and status. Nothing ends."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.reading() as session:
            kind, object_id = await named(
                session, purpose=purpose, agreement=agreement, agency=agency, client=client, version=version
            )
            return {
                "object_kind": kind,
                "object_id": object_id,
                **(await preview(session, kind, object_id)).as_json(),
            }

    show_one(run(work()), as_json=as_json)


@app.command("propose")
def propose(
    by: By,
    reason: Reason,
    purpose: Purpose = "",
    agreement: Agreement = "",
    agency: Agency = "",
    client: Client = "",
    version: Version = 0,
    as_json: AsJson = False,
) -> None:
    """Propose an ending. Nothing ends before somebody else approves."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            kind, object_id = await named(
                session, purpose=purpose, agreement=agreement, agency=agency, client=client, version=version
            )
            ending = await propose_ending(
                session,
                object_kind=kind,
                object_id=object_id,
                reason=reason,
                proposed_by=await acting(session, by),
                now=context.now,
                entropy=context.entropy,
            )
            await context.note(
                session, AuditKind.ENDING_PROPOSED, ending_id=ending.id, of=f"{kind} {object_id}", by_whom=by
            )
            return describe(ending)

    show_one(run(work()), as_json=as_json)


@app.command("approve")
def approve(ending_id: EndingId, by: By, as_json: AsJson = False) -> None:
    """Approve what somebody else proposed: nothing flows from here on. A running server ends the consents."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            ending = await approve_ending(
                session,
                ending_id,
                by=await acting(session, by),
                shut_client=shut_client(context.entropy, by=by),
                now=context.now,
                entropy=context.entropy,
            )
            await context.note(session, AuditKind.ENDING_APPROVED, ending_id=ending.id, by_whom=by)
            return describe(ending)

    show_one(run(work()), as_json=as_json)


@app.command("reject")
def reject(ending_id: EndingId, by: By, as_json: AsJson = False) -> None:
    """Drop a proposal."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            ending = await reject_ending(session, ending_id, by=await acting(session, by), now=context.now)
            await context.note(session, AuditKind.ENDING_REJECTED, ending_id=ending.id, by_whom=by)
            return describe(ending)

    show_one(run(work()), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the endings, the newest first, and how far they are."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            return [describe(ending) for ending in await list_endings(session)]

    show_rows(run(work()), columns=COLUMNS, as_json=as_json, empty="Nothing ends.")


async def named(
    session: AsyncSession, *, purpose: str, agreement: str, agency: str, client: str, version: int
) -> tuple[str, str]:
    """What ends, as `endings` knows it. Error: `Refused`."""
    if sum(map(bool, (purpose, agreement, agency, client))) != 1:
        raise Refused("name one of --purpose, --agreement, --agency and --client")
    if agency:
        return AGENCY, (await agency_of(session, agency)).id
    if client:
        await show_client(session, client)
        return CLIENT, client
    kind = PURPOSE_VERSION if purpose else AGREEMENT_VERSION
    versions = await (versions_of(session, purpose) if purpose else agreement_versions_of(session, agreement))
    for one in versions:
        if one.version == version:
            return kind, one.id
    raise Refused(f"there is no version {version} of {purpose or agreement}; name one with --version")


def describe(ending: EndingView) -> dict[str, object]:
    """An ending as commands show it."""
    return {
        "id": ending.id,
        "object_kind": ending.object_kind,
        "object_id": ending.object_id,
        "reason": ending.reason,
        "status": ending.status,
        "consents": ending.preview["consents"],
        "people": ending.preview["people"],
        "ended": ending.ended,
        "proposed_by": ending.proposed_by["name"],
        "approved_by": ending.approved_by["name"] if ending.approved_by else None,
        "created_at": ending.created_at,
        "started_at": ending.started_at,
        "finished_at": ending.finished_at,
    }
