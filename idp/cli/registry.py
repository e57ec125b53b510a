"""`satupintu registry`: whether the registry is what its events say."""

import typer

from consent.registry.projection import adopt as adopt_earlier
from consent.registry.projection import check_registry
from consent.registry.projection import rebuild as rebuild_rows
from idp.audit import AuditKind
from idp.cli.acting import By, acting
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_one, show_rows

app = typer.Typer(help="The registry of agencies, purposes and agreements as a whole.", no_args_is_help=True)


@app.command("check")
def check(as_json: AsJson = False) -> None:
    """Compare every row with its events, every event with the one before it and with its leaf."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            found = await check_registry(session)
            return [{"kind": one.object_kind, "which": one.object_id, "what": one.what} for one in found]

    rows = run(work())
    show_rows(rows, columns=("kind", "which", "what"), as_json=as_json, empty="The registry is what its events say.")
    if rows:
        raise Refused(f"{len(rows)} differences")


@app.command("rebuild")
def rebuild(by: By, as_json: AsJson = False) -> None:
    """Write the rows of agencies and the statuses of versions as their events say."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            wrong = await rebuild_rows(session)
            if wrong:
                await context.note(session, AuditKind.REGISTRY_CHANGED, what="registry rebuilt", rows=wrong, by_whom=by)
            return {"rows_put_right": wrong}

    show_one(run(work()), as_json=as_json)


@app.command("adopt")
def adopt(by: By, as_json: AsJson = False) -> None:
    """Give what an earlier version of this program wrote its first event. Once, after an upgrade."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            who = await acting(session, by)
            adopted = await adopt_earlier(session, by=who, now=context.now, entropy=context.entropy)
            if adopted:
                await context.note(session, AuditKind.REGISTRY_CHANGED, what="registry adopted", rows=adopted)
            return {"adopted": adopted}

    show_one(run(work()), as_json=as_json)
