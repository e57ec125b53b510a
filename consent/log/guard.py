"""The guard against rollback: the newest checkpoint that this host has let out, in a file outside the database.

A database that is restored from a backup has forgotten the newest part of the log. Going on from there would sign a
second tree of a size that was signed before: a fork, by the log's own key, out of nobody's malice. The database cannot
know that it is old; this file can. It is written before a checkpoint is shown to anybody, so whatever anybody has seen
of this host's, the file has, or something newer.

Each host has a file of its own. Other hosts' checkpoints reach it when this host shows them; witnesses, who answer 409,
are the second guard.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from consent.log.checkpoint import Checkpoint
from consent.log.errors import LogError
from consent.log.note import MAX_NOTE_BYTES, Note
from consent.log.store import frontier_of

_HOW_TO_GO_ON: Final = "see docs/operate/log.md, A restored backup"


class RolledBack(LogError):
    """The database is older than what was let out of it, or another one. Nothing may be signed, nothing served."""


class Guard:
    """The file, and what it says. Any number of processes of one host share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: tuple[tuple[int, int, int], Checkpoint] | None = None

    def known(self) -> Checkpoint | None:
        """The newest checkpoint that was let out, whoever on this host did it; None when there was none.

        Raises `RolledBack` when the file cannot be read as one: then nobody knows what was let out.
        """
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return None
        # A rename gives another inode, so the same three numbers are the same file.
        stamp = (state.st_ino, state.st_mtime_ns, state.st_size)
        if self._read is None or self._read[0] != stamp:
            self._read = (stamp, self._parse())
        return self._read[1]

    def _parse(self) -> Checkpoint:
        try:
            with self.path.open("rb") as file:
                return Checkpoint.parse(Note.parse(file.read(MAX_NOTE_BYTES + 1)).text)
        except LogError as broken:
            raise RolledBack(
                f"{self.path} is not a checkpoint ({broken.why}), so nobody knows what was let out; {_HOW_TO_GO_ON}"
            ) from None

    def advance(self, note: Note) -> None:
        """Has the file hold this checkpoint, or a larger one, durably before it returns. Raises `RolledBack`.

        What if we die here? The file is written under another name, flushed, and renamed: it has the old content or the
        new, whole. The rename is durable once the folder is flushed; until then nobody is shown the checkpoint.
        """
        checkpoint = Checkpoint.parse(note.text)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(self.path.with_name(f"{self.path.name}.lock")):
            known = self.known()
            if known is not None:
                if known.origin != checkpoint.origin:
                    raise _another_log(self.path, known, checkpoint.origin)
                if known.size == checkpoint.size and known.root != checkpoint.root:
                    raise _forked(self.path, known)
                if known.size >= checkpoint.size:
                    return
            self._write(str(note).encode())

    def _write(self, content: bytes) -> None:
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process of this host at a time. The kernel takes the lock back from whoever dies."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def refuse_rollback(
    session: AsyncSession, guard: Guard, *, known: Checkpoint | None, stored: Checkpoint | None
) -> None:
    """Checks that the database's tree begins with what was let out on this host. Raises `RolledBack`.

    `known` was read from the file before `stored` was read from the database; the other way round, whoever goes on in
    between would look like a rollback. A tree that is ahead of the file is right: somebody died between a commit and
    the file, or another host has gone on.
    """
    if known is None or known == stored:
        return
    if stored is not None and stored.origin != known.origin:
        raise _another_log(guard.path, known, stored.origin)
    size = 0 if stored is None else stored.size
    if size < known.size:
        raise RolledBack(
            f"this database's log has {size} leaves, and a checkpoint of {known.size} leaves has been let out of it "
            f"({guard.path}): the database is an older copy; {_HOW_TO_GO_ON}"
        )
    if known.size and (await frontier_of(session, known.size)).root() != known.root:
        raise _forked(guard.path, known)


def _forked(path: Path, known: Checkpoint) -> RolledBack:
    return RolledBack(
        f"this database's log is another tree than the one that was let out of it at {known.size} leaves ({path}): an "
        f"older copy that went on by itself, or altered rows; {_HOW_TO_GO_ON}"
    )


def _another_log(path: Path, known: Checkpoint, origin: str) -> RolledBack:
    return RolledBack(
        f"{path} is about the log {known.origin}, and this database has the log {origin}. If this is a new "
        f"installation, or the log was begun anew on purpose, move that file away; else {_HOW_TO_GO_ON}"
    )
