"""`satupintu demo`: the whole story on one machine."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from idp import migrate
from idp.cli.context import run as run_work
from idp.cli.output import AsJson, Refused, show_json
from idp.clock import system_clock
from idp.database import Database
from idp.demo import state as demo_state
from idp.demo.run import Demo, DemoFailed
from idp.demo.seed import seed
from idp.demo.state import DemoState
from idp.settings import Settings
from idp.setup import prepare_keys
from keys.entropy import SystemEntropy

app = typer.Typer(help="The demonstration: a provider, two ministries' apps, three people.", no_args_is_help=True)

DataDir = Annotated[Path, typer.Option(help="Where the demonstration keeps its data.")]
DEFAULT_DIR = Path("var/demo")


@app.command("run")
def run(
    data_dir: DataDir = DEFAULT_DIR,
    host: Annotated[str, typer.Option(help="The provider's listening address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The provider's port.", min=1, max=65535)] = 8000,
    health_port: Annotated[int, typer.Option(help="The health app's port.", min=1, max=65535)] = 8001,
    population_port: Annotated[int, typer.Option(help="The population app's port.", min=1, max=65535)] = 8002,
) -> None:
    """Prepare everything that is missing, start the provider and the two apps, and say what to try."""
    issuer = f"http://localhost:{port}"
    settings = Settings(issuer=issuer, data_dir=data_dir)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = demo_state.load(data_dir)

    async def prepare() -> DemoState:
        entropy, now = SystemEntropy(), system_clock()
        await migrate.upgrade(settings.url)
        database = Database(settings.url, pool_size=1)
        try:
            await prepare_keys(database, settings, now=now, entropy=entropy)
            return await seed(
                database,
                known=known,
                issuer=issuer,
                urls={"health": f"http://localhost:{health_port}", "population": f"http://localhost:{population_port}"},
                now=now,
                entropy=entropy,
            )
        finally:
            await database.dispose()

    state = run_work(prepare())
    demo_state.save(data_dir, state)
    environment = {
        **os.environ,
        "SATUPINTU_ISSUER": issuer,
        "SATUPINTU_DATA_DIR": str(data_dir),
        "SATUPINTU_DATABASE_URL": "",
        "SATUPINTU_MODE": "development",
    }
    demo = Demo(state, environment=environment, port=port, host=host)
    try:
        demo.start()
        sys.stdout.write(describe(state))
        sys.stdout.flush()
        demo.wait()
    except DemoFailed as failed:
        raise Refused(str(failed)) from None
    finally:
        demo.stop()


@app.command("info")
def info(data_dir: DataDir = DEFAULT_DIR, as_json: AsJson = False) -> None:
    """Say where the demonstration is and who can log in."""
    state = demo_state.load(data_dir)
    if state is None:
        raise Refused(f"there is no demonstration in {data_dir} yet; start one with: satupintu demo run")
    if as_json:
        show_json(state.public())
    else:
        sys.stdout.write(describe(state))


def describe(state: DemoState) -> str:
    """The demonstration in words."""
    health, population = state.apps
    people = "\n".join(f"    {p.username:<8}{p.password:<36} {p.role.replace('_', ' ')}" for p in state.people)
    return f"""
Satu Pintu is open.

    {state.issuer:<26}the one door: sign in, see and take back consents
    {health.url:<26}the Ministry of Health's app ({health.client_id})
    {population.url:<26}the population office's app ({population.client_id})

Who can log in (made for this machine at the first run):

{people}

What to try:
    1. Open {health.url}, press "Masuk dengan Satu Pintu", log in as {state.people[0].username}, choose what to share.
    2. Open {population.url}: no password again, only its own question.
    3. Open {state.issuer}/my/consents: see what you agreed to, take one back, return to that app.
    4. Open {state.issuer}/console as {state.people[-1].username}: every consent event, filters, exports.

Stop with Ctrl-C. The data stays; `make clean-demo` starts over.
"""
