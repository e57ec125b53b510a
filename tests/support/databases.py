"""Freshly migrated databases, one for each test, copied from a template that is migrated once a session."""

import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import PostgresqlServer, locked, run_apart, unique_name

BOTH = ("sqlite", "postgresql")

#: Marks for tests that make sense on one database only.
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

Prepare = Callable[[str], Coroutine[Any, Any, None]]


def sqlite_url(path: Path) -> str:
    """The address of an SQLite file."""
    return f"sqlite+aiosqlite:///{path}"


def sqlite_template(folder: Path, prepare: Prepare) -> Path:
    """A prepared SQLite file to copy, made once for all workers."""
    template = folder / "template.db"
    with locked(folder / "template.lock"):
        if not template.exists():
            half = folder / "half.db"
            run_apart(lambda: prepare(sqlite_url(half)))
            # Closing the last connection has folded the write-ahead log into the file: one file to copy.
            half.rename(template)
    return template


def copy_sqlite(template: Path, folder: Path) -> str:
    """A copy of the template, as an address."""
    path = folder / "satupintu.db"
    shutil.copyfile(template, path)
    return sqlite_url(path)


def postgresql_template(server: PostgresqlServer, folder: Path, prepare: Prepare) -> str:
    """A prepared PostgreSQL database to copy, made once for all workers. Its name tells nobody else's."""
    name_file = folder / "postgresql-template"
    with locked(folder / "template.lock"):
        if name_file.exists() and server.has_database(name := name_file.read_text(encoding="ascii")):
            return name
        name = unique_name("template")
        url = server.create_database(name)
        run_apart(lambda: prepare(url))
        name_file.write_text(name, encoding="ascii")
    return name
