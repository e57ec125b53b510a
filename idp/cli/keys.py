"""`satupintu keys`: the ring of signing keys."""

from typing import Annotated

import typer

from idp.audit import AuditKind
from idp.cli.context import opened, run
from idp.cli.output import AsJson, show_one, show_rows
from keys.ring import list_keys, retire, rotate

app = typer.Typer(help="Signing keys: see, rotate, retire.", no_args_is_help=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the keys and the state of each."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            return [
                {
                    "alg": key.alg,
                    "state": key.state,
                    "kid": key.kid,
                    "created_at": key.created_at,
                    "signing_since": key.signing_since,
                    "retired_at": key.retired_at,
                }
                for key in await list_keys(session)
            ]

    show_rows(run(work()), columns=("alg", "state", "kid", "created_at"), as_json=as_json, empty="No keys yet.")


@app.command("rotate")
def rotate_(
    alg: Annotated[str, typer.Argument(help="RS256, PS256, ES256, EdDSA or Ed25519.")], as_json: AsJson = False
) -> None:
    """Make the next key of an algorithm. It is published first, and signs once every app can know it."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            kid = await rotate(session, context.master_key, alg=alg, now=context.now, entropy=context.entropy)
            await context.note(session, AuditKind.KEYS_ROTATED, alg=alg, kid=kid)
            return {"alg": alg, "kid": kid, "state": "pending"}

    show_one(run(work()), as_json=as_json)


@app.command("retire")
def retire_(
    kid: Annotated[str, typer.Argument(help="The key's id.")],
    force: Annotated[bool, typer.Option(help="Also when it is the one that signs; its successor takes over.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a key out of use at once: what it signed is no longer believed."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            await retire(session, kid, now=context.now, force=force)
            await context.note(session, AuditKind.KEY_RETIRED, kid=kid)
            return {"kid": kid, "state": "retired"}

    show_one(run(work()), as_json=as_json)
