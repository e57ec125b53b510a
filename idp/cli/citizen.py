"""`satupintu citizen`: people's accounts."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from idp.accounts.directory import create_account, disable_account
from idp.accounts.passwords import Passwords
from idp.audit import AuditKind, record
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_one

app = typer.Typer(help="Citizens: people's accounts.", no_args_is_help=True)


@app.command("create")
def create(
    username: Annotated[str, typer.Argument(help="What they log in with.")],
    name: Annotated[str, typer.Option(help="Their full name.")],
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when not given.")
    ],
    profile: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A JSON file with further claims about them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an account for a person."""
    claims = {**(_read(profile) if profile else {}), "name": name}

    async def work() -> dict[str, object]:
        async with opened() as context:
            passwords = Passwords(parallelism=1)
            try:
                password_hash = await passwords.hash(password)
            finally:
                passwords.close()
            async with context.database.transaction() as session:
                account = await create_account(
                    session,
                    username=username,
                    password=password,
                    password_hash=password_hash,
                    profile=claims,
                    now=context.now,
                    entropy=context.entropy,
                )
                return {"username": account.username, "reference": account.id, "name": name}

    show_one(run(work()), as_json=as_json)


@app.command("disable")
def disable(username: Annotated[str, typer.Argument(help="What they log in with.")], as_json: AsJson = False) -> None:
    """Close an account: its sessions and tokens end at once. Its consents stay as evidence."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            account = await disable_account(session, username=username, now=context.now)
            await record(
                session,
                AuditKind.ACCOUNT_DISABLED,
                now=context.now,
                entropy=context.entropy,
                account_id=account.id,
                detail={"by": "operator"},
            )
            return {"username": account.username, "disabled_at": account.disabled_at}

    show_one(run(work()), as_json=as_json)


def _read(file: Path) -> dict[str, Any]:
    try:
        claims = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as broken:
        raise Refused(f"{file} is not JSON: {broken}") from None
    if not isinstance(claims, dict):
        raise Refused(f"{file} must be a JSON object")
    return claims
