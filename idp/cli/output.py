"""How commands answer: tables for people, JSON for programs, one clear line when they refuse."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

# Somebody copies these out of the table, and half an id on the next line is none.
NEVER_FOLDED = frozenset({"kid", "client_id", "code"})

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]


class Refused(Exception):
    """The command refuses; its text is the one line that says why."""


def show_rows(rows: Sequence[dict[str, Any]], *, columns: Sequence[str], as_json: bool, empty: str) -> None:
    """Prints rows: a table of the named columns, or a JSON array of everything."""
    if as_json:
        show_json(rows)
        return
    if not rows:
        sys.stdout.write(f"{empty}\n")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        if column in NEVER_FOLDED:
            longest = max(len(_cell_of_table(row.get(column))) for row in rows)
            table.add_column(column.replace("_", " "), no_wrap=True, overflow="ignore", min_width=longest)
        else:
            table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell_of_table(row.get(column)) for column in columns))
    Console(soft_wrap=False).print(table, crop=False)


def show_one(row: dict[str, Any], *, as_json: bool) -> None:
    """Prints one thing: a line for each member, or a JSON object."""
    if as_json:
        show_json(row)
        return
    width = max(len(name) for name in row)
    for name, value in row.items():
        sys.stdout.write(f"{name.replace('_', ' '):<{width}}  {_cell(value)}\n")


def show_json(value: Any) -> None:
    """Prints JSON, times in ISO 8601."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_jsonable) + "\n")


def _jsonable(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _cell_of_table(value: object) -> str:
    # A table has room for one language; JSON keeps both.
    if isinstance(value, dict) and value.keys() == {"id", "en"}:
        return _cell(value["id"])
    return _cell(value)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_cell(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return " ".join(_cell(inner) for inner in value)
    return str(value)
