"""A witness's memory in one SQLite file: for each log, the latest tree that was cosigned.

The file must never be restored from a backup: a witness that has forgotten a tree can be made to cosign another one.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Final

from consent.log.errors import LogError
from consent.log.witness import NOTHING_SEEN, Seen, origin_hash

MAX_EVIDENCE: Final = 100
_FORMAT: Final = 1
_BUSY_SECONDS: Final = 5.0
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS seen (origin TEXT PRIMARY KEY, origin_hash TEXT NOT NULL UNIQUE,"
    " size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS evidence (origin TEXT NOT NULL, note TEXT NOT NULL, why TEXT NOT NULL,"
    " at TEXT NOT NULL, PRIMARY KEY (origin, note)) STRICT",
)


class SqliteWitnessState:
    """The memory of one witness. Several processes may share the file; each step is one transaction of SQLite's."""

    def __init__(self, path: Path) -> None:
        """Opens the file, and makes it when there is none. Raises `LogError` when it is not a witness's memory."""
        self._lock = Lock()
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            # With EXTRA, a commit has reached the disk, directory entry included, before it returns.
            self._connection.execute("PRAGMA synchronous = EXTRA")
            with self._writing() as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version not in {0, _FORMAT}:
                    raise LogError(f"{path} was written by another version of the witness")
                for table in _TABLES:
                    connection.execute(table)
                connection.execute(f"PRAGMA user_version = {_FORMAT}")
        except sqlite3.DatabaseError as broken:
            self._connection.close()
            raise LogError(f"{path} is not a witness's memory: {broken}") from None

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def latest(self, origin: str) -> Seen:
        """The latest tree that was cosigned; `NOTHING_SEEN` for a log that never came."""
        with self._lock:
            row = self._connection.execute("SELECT size, root FROM seen WHERE origin = ?", (origin,)).fetchone()
        return NOTHING_SEEN if row is None else Seen(*row)

    def advance(self, origin: str, *, expected: Seen, seen: Seen, note: str) -> bool:
        """Replaces `expected` by `seen`, durably before it returns; False and nothing done if it is not there."""
        with self._writing() as connection:
            row = connection.execute("SELECT size, root FROM seen WHERE origin = ?", (origin,)).fetchone()
            if (NOTHING_SEEN if row is None else Seen(*row)) != expected:
                return False
            connection.execute(
                "INSERT INTO seen (origin, origin_hash, size, root, note) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note",
                (origin, origin_hash(origin), seen.size, seen.root, note),
            )
        return True

    def keep_evidence(self, origin: str, *, why: str, note: str, at: datetime) -> None:
        """Keeps a checkpoint that contradicts an earlier one: the first hundred, or a log could fill the disk."""
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO evidence (origin, note, why, at)"
                " SELECT ?, ?, ?, ? WHERE (SELECT count(*) FROM evidence WHERE origin = ?) < ?",
                (origin, note, why, at.astimezone(UTC).isoformat(), origin, MAX_EVIDENCE),
            )

    def evidence(self) -> list[tuple[str, str, str, str]]:
        """What was kept: origin, why, the note, and when it came."""
        with self._lock:
            return self._connection.execute("SELECT origin, why, note, at FROM evidence ORDER BY at").fetchall()

    def cosigned(self, origin_hash: str) -> str | None:
        """The latest cosigned checkpoint, by the lower-case hex SHA-256 of the origin."""
        with self._lock:
            row = self._connection.execute("SELECT note FROM seen WHERE origin_hash = ?", (origin_hash,)).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            # IMMEDIATE takes the write lock before reading: what was compared is what is replaced.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk ends some transactions by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
