"""`satupintu witness`: a witness for logs of others. It needs nothing of a provider, and should not be run by one."""

import sqlite3
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from consent.http.witness import witness_app
from consent.log.errors import LogError
from consent.log.signers import NoteSigner
from consent.log.vkey import VerifierKey
from consent.log.witness import Witness
from consent.log.witness_keys import make_witness_keys, read_witness_keys
from consent.log.witness_state import SqliteWitnessState
from idp.cli.output import Refused
from idp.clock import system_clock
from keys.entropy import SystemEntropy


def witness(
    log: Annotated[list[str], typer.Option(metavar="VKEY", help="The key of a log to witness; may be repeated.")],
    state: Annotated[Path, typer.Option(help="The witness's memory. Never restore it from a backup.")],
    key: Annotated[Path, typer.Option(help="The witness's private keys; made at the first start.")],
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8010,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    name: Annotated[str | None, typer.Option(help="The witness's name, when its keys are made.")] = None,
) -> None:
    """Witness logs: cosign a checkpoint only if that log has kept everything that was cosigned before.

    Prints the vkeys by which others can believe this witness, one a line, and then serves until it is stopped.
    """
    try:
        keys = [VerifierKey.parse(text) for text in log]
        signers = _signers(key, name)
        memory = SqliteWitnessState(state)
        serving = Witness(log_keys=keys, signers=signers, state=memory)
    except (LogError, OSError, sqlite3.Error) as refused:
        raise Refused(str(refused)) from None
    sys.stdout.write("".join(f"{vkey}\n" for vkey in serving.vkeys))
    sys.stdout.flush()
    for origin, why, _, at in memory.evidence():
        sys.stderr.write(f"satupintu: EVIDENCE since {at} against {origin}: {why}\n")
    sys.stderr.write(f"satupintu: witnessing {', '.join(sorted({k.name for k in keys}))} on {host}:{port}\n")
    sys.stderr.flush()
    try:
        uvicorn.run(
            witness_app(serving, clock=system_clock),
            host=host,
            port=port,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            log_level="warning",
            timeout_keep_alive=60,
        )
    finally:
        memory.close()


def _signers(path: Path, name: str | None) -> tuple[NoteSigner, ...]:
    try:
        signers = read_witness_keys(path)
    except FileNotFoundError:
        entropy = SystemEntropy()
        return make_witness_keys(path, name=name, seeds=(entropy.token_bytes(32), entropy.token_bytes(32)))
    if name is not None and any(signer.vkey.name != name for signer in signers):
        raise Refused(f"the keys in {path} have another name than {name}")
    return signers
