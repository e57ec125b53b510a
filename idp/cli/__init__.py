"""`satupintu`: what an operator needs. `python -m idp` is the same program."""

import logging
import sys

import typer

from idp.cli import agency, citizen, client, db, demo, keys, purpose, role, serve
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
app.add_typer(db.app, name="db")
app.add_typer(keys.app, name="keys")
app.add_typer(agency.app, name="agency")
app.add_typer(purpose.app, name="purpose")
app.add_typer(client.app, name="client")
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
