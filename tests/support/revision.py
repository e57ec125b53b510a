"""Writes the next migration from what changed in the models: `make revision m="what changed"`.

The result is a draft: read it, add what a comparison cannot know (data to move, CHECK constraints), then commit it.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from idp import migrate
from tests.support.databases import sqlite_url


def main(message: str) -> None:
    """Migrates an empty SQLite file to the newest revision and compares it with the models."""
    versions = Path(migrate.__file__).parents[1] / "migrations" / "versions"
    number = len(list(versions.glob("*.py"))) + 1

    async def write(url: str) -> None:
        await migrate.upgrade(url)
        await migrate.revise(url, message=message, revision_id=f"{number:04}")

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(write(sqlite_url(Path(folder) / "empty.db")))


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or sys.exit('say what changed: make revision m="..."'))
