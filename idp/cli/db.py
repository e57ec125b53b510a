"""`satupintu db`: the schema, and the keys that everything needs."""

import typer

from idp import migrate
from idp.cli.context import opened, read_settings, run, settings_of_a_database
from idp.cli.output import AsJson, Refused, show_one
from idp.setup import prepare_keys

app = typer.Typer(help="The database: bring it up to date, check it.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(as_json: AsJson = False) -> None:
    """Bring the database to this release's schema, and make the first keys if there are none."""
    settings = read_settings()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # passwords' hashes and keys live there

    async def work() -> dict[str, object]:
        revision = await migrate.upgrade(settings.url)
        async with opened() as context:
            made = await prepare_keys(context.database, settings, now=context.now, entropy=context.entropy)
        return {"revision": revision, "keys_made": made}

    show_one(run(work()), as_json=as_json)


@app.command("check")
def check(as_json: AsJson = False) -> None:
    """Say whether the database has this release's schema. Exit code 1 when it has not."""
    settings = settings_of_a_database()

    async def work() -> list[str]:
        return await migrate.check(settings.url)

    differences = run(work())
    if differences:
        raise Refused("the schema is not this release's: " + "; ".join(differences))
    show_one({"schema": "up to date"}, as_json=as_json)
