"""`satupintu`: what an operator needs. `python -m idp` is the same program."""

import logging
import sys

import typer

from idp.cli import (
    agency,
    agreement,
    attribute,
    citizen,
    client,
    db,
    demo,
    ending,
    erase,
    keys,
    log,
    purpose,
    receipt,
    registry,
    role,
    serve,
    stream,
    uses,
    verify,
    withdrawal,
    witness,
)
from idp.cli.output import Refused
from idp.logs import configure_logs

app = typer.Typer(
    name="satupintu",
    help="One door: run and look after a Satu Pintu provider.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
app.command("serve")(serve.serve)
app.command("witness")(witness.witness)
app.command("verify")(verify.verify)
app.add_typer(db.app, name="db")
app.add_typer(keys.app, name="keys")
app.add_typer(log.app, name="log")
app.add_typer(receipt.app, name="receipt")
app.add_typer(erase.app, name="erase")
app.add_typer(agency.app, name="agency")
app.add_typer(attribute.app, name="attribute")
app.add_typer(purpose.app, name="purpose")
app.add_typer(agreement.app, name="agreement")
app.add_typer(registry.app, name="registry")
app.add_typer(client.app, name="client")
app.add_typer(stream.app, name="stream")
app.add_typer(uses.app, name="uses")
app.add_typer(withdrawal.app, name="withdrawal")
app.add_typer(ending.app, name="ending")
app.add_typer(citizen.app, name="citizen")
app.add_typer(role.app, name="role")
app.add_typer(demo.app, name="demo")


def main() -> None:
    """Runs the program. A refusal is one clear line on standard error and exit code 1."""
    # What a command did, it says itself; `serve` sets the level of the provider's own logs.
    configure_logs(level=logging.WARNING)
    try:
        app()
    except Refused as refused:
        sys.stderr.write(f"satupintu: {refused}\n")
        sys.exit(1)
