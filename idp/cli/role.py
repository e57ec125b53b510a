"""`satupintu role`: who may do more than a citizen."""

from typing import Annotated

import typer

from idp.accounts.directory import grant_role, revoke_role
from idp.audit import AuditKind
from idp.cli.context import opened, run
from idp.cli.output import AsJson, show_one

app = typer.Typer(help="Roles: privacy officers, assisting officers.", no_args_is_help=True)

Username = Annotated[str, typer.Argument(help="What they log in with.")]
Role = Annotated[str, typer.Argument(help="privacy_officer or assisting_officer.")]


@app.command("grant")
def grant(username: Username, role: Role, as_json: AsJson = False) -> None:
    """Give a person a role."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            account_id = await grant_role(session, username=username, role=role, granted_by="operator", now=context.now)
            await context.note(session, AuditKind.ROLE_GRANTED, account_id=account_id, role=role)
            return {"username": username, "role": role, "granted": True}

    show_one(run(work()), as_json=as_json)


@app.command("revoke")
def revoke(username: Username, role: Role, as_json: AsJson = False) -> None:
    """Take a role away."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            account_id = await revoke_role(session, username=username, role=role)
            await context.note(session, AuditKind.ROLE_REVOKED, account_id=account_id, role=role)
            return {"username": username, "role": role, "granted": False}

    show_one(run(work()), as_json=as_json)
