"""`satupintu verify`: checks a receipt offline, as `python -m consent.log.verify` does with less installed."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from consent.log.verify import run
from idp.cli.output import AsJson


def verify(
    file: Annotated[Path, typer.Argument(help="The receipt file.")],
    trust: Annotated[Path, typer.Option(metavar="TRUST.json", help="The keys that you trust.")],
    as_json: AsJson = False,
) -> None:
    """Check a consent receipt, offline. Exit code: 0 it holds, 1 refused, 2 not checked, 3 not yet in the log."""
    code, text = run(file, trust, as_json=as_json)
    sys.stdout.write(text)
    raise typer.Exit(code)
