"""`satupintu citizen`: people's accounts."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from idp.accounts.directory import (
    create_account,
    disable_account,
    enable_account,
    require_account,
    set_password,
)
from idp.accounts.password_policy import refuse_weak
from idp.accounts.passwords import Passwords
from idp.audit import AuditKind
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_one
from idp.clock import system_clock

app = typer.Typer(help="Citizens: people's accounts.", no_args_is_help=True)

Username = Annotated[str, typer.Argument(help="What they log in with.")]
Password = Annotated[
    str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when not given.")
]


@app.command("create")
def create(
    username: Username,
    name: Annotated[str, typer.Option(help="Their full name.")],
    password: Password,
    profile: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A JSON file with further claims about them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an account for a person."""
    claims = {**(_read(profile) if profile else {}), "name": name}

    async def work() -> dict[str, object]:
        async with opened() as context:
            password_hash = await _hash(password)
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
                await context.note(session, AuditKind.ACCOUNT_CREATED, account_id=account.id)
                return {"username": account.username, "reference": account.id, "name": name}

    show_one(run(work()), as_json=as_json)


@app.command("disable")
def disable(username: Username, as_json: AsJson = False) -> None:
    """Close an account: its sessions and tokens end at once. Its consents stay as evidence."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            account = await disable_account(session, username=username, now=context.now)
            await context.note(session, AuditKind.ACCOUNT_DISABLED, account_id=account.id)
            return {"username": account.username, "disabled_at": account.disabled_at}

    show_one(run(work()), as_json=as_json)


@app.command("enable")
def enable(username: Username, as_json: AsJson = False) -> None:
    """Open a disabled account again. Its ended sessions and tokens stay ended."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            account = await enable_account(session, username=username)
            await context.note(session, AuditKind.ACCOUNT_ENABLED, account_id=account.id)
            return {"username": account.username, "disabled_at": account.disabled_at}

    show_one(run(work()), as_json=as_json)


@app.command("set-password")
def change_password(username: Username, password: Password, as_json: AsJson = False) -> None:
    """Give a person a new password. Their sessions, and the tokens from them, end at once."""

    async def work() -> dict[str, object]:
        async with opened() as context:
            password_hash = await _hash(password)
            async with context.database.transaction() as session:
                account = await require_account(session, username)
                refuse_weak(password, [account.username])
                now = system_clock()  # after the hash was made, which takes a while
                await set_password(session, account.id, password_hash=password_hash, now=now)
                await context.note(session, AuditKind.PASSWORD_CHANGED, account_id=account.id)
                return {"username": account.username, "password_changed_at": now}

    show_one(run(work()), as_json=as_json)


async def _hash(password: str) -> str:
    passwords = Passwords(parallelism=1)
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()


def _read(file: Path) -> dict[str, Any]:
    try:
        claims = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as broken:
        raise Refused(f"{file} is not JSON: {broken}") from None
    if not isinstance(claims, dict):
        raise Refused(f"{file} must be a JSON object")
    return claims
