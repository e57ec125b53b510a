"""`satupintu serve`: the provider, as a server."""

import sys
from typing import Annotated

import typer
import uvicorn

from idp import migrate
from idp.cli.context import read_settings, run, settings_of_a_database
from idp.cli.log import check_log
from idp.cli.output import Refused


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; more than one needs PostgreSQL.")] = 1,
) -> None:
    """Serve the provider. The database must be up to date (`satupintu db upgrade`)."""
    settings = read_settings()
    if workers > 1 and settings.url.startswith("sqlite"):
        raise Refused("SQLite is for one process; set SATUPINTU_DATABASE_URL to a PostgreSQL database for more workers")
    settings_of_a_database()
    differences = run(migrate.check_revision(settings.url))
    if differences:
        raise Refused(f"{differences}; run: satupintu db upgrade")
    run(check_log())
    sys.stderr.write(f"satupintu: serving {settings.issuer} on {host}:{port}\n")
    uvicorn.run(
        "idp.asgi:make",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        access_log=False,  # uvicorn's own writes the query, and with it codes and hints
        proxy_headers=False,  # idp.browser reads forwarded addresses, and only from proxies named in the settings
        server_header=False,
        log_level="warning",
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=16384,
        loop="uvloop",
        http="httptools",
    )
