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
from idp.demo.seed import seed, tell_apps
from idp.demo.state import DemoState
from idp.provider import vault_for
from idp.settings import Settings
from idp.setup import prepare_keys
from keys.entropy import SystemEntropy

app = typer.Typer(help="The demonstration: a provider, two ministries' apps, four people.", no_args_is_help=True)

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
        database = Database(settings.url, vault=vault_for(settings, entropy), pool_size=1)
        try:
            await prepare_keys(database, settings, now=now, entropy=entropy)
            state = await seed(
                database,
                known=known,
                issuer=issuer,
                urls={"health": f"http://localhost:{health_port}", "population": f"http://localhost:{population_port}"},
                now=now,
                entropy=entropy,
            )
            async with database.transaction() as session:
                await tell_apps(session, state, now=now, entropy=entropy)
            return state
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
        # The apps are told of withdrawals on this machine.
        "SATUPINTU_OUTBOUND_PRIVATE_NETWORKS": '["127.0.0.0/8"]',
    }
    demo = Demo(state, environment=environment, port=port, host=host)
    try:
        demo.start()
        sys.stdout.write(describe(state, data_dir))
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
        sys.stdout.write(describe(state, data_dir))


def describe(state: DemoState, data_dir: Path) -> str:
    """The demonstration in words. Only what is true: a test opens each address and runs the commands."""
    health, population = state.apps
    citizen = state.people[0].username
    first, second = [p.username for p in state.people if "privacy_officer" in p.role]
    helper = next(p.username for p in state.people if "assisting_officer" in p.role)
    people = "\n".join(f"    {p.username:<8}{p.password:<36} {p.role.replace('_', ' ')}" for p in state.people)
    return f"""
Satu Pintu is open.

    {state.issuer:<26}the one door: sign in, see and take back consents
    {health.url:<26}the Ministry of Health's app ({health.client_id})
    {population.url:<26}the population office's app ({population.client_id})

Who can log in (made for this machine at the first run):

{people}

What to try:
    1. Open {health.url}, press "Masuk dengan Satu Pintu", log in as {citizen}, choose what to share.
    2. Open {population.url}: no password again, only its own question.
    3. Open {state.issuer}/my/consents: pause one, let one item go, or take it all back. The app hears of
       it within a second, erases, and signs that it did; the page shows it. Then return to the app.
    4. On the same page: the receipt of each step, to print or download; and who used your data.
    5. Open {state.issuer}/register without logging in: who may ask for what, and by which law.
    6. Open {state.issuer}/console as {first}: every event, who has to stop, what waits for approval. What {first}
       proposes to end, {second} approves. As {helper}, write down what a person says at a counter.

What you need not believe us:
    {state.issuer}/log/checkpoint    the log's signed head; its keys are at {state.issuer}/log/trust.json

    export SATUPINTU_DATA_DIR={data_dir} SATUPINTU_ISSUER={state.issuer}
    .venv/bin/satupintu log audit          compares every row of the database with the log
    .venv/bin/satupintu log status
    .venv/bin/satupintu verify RECEIPT.json --trust trust.json    a downloaded receipt, without network or database

Stop with Ctrl-C. The data stays; `make clean-demo` starts over.
"""
