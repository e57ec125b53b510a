import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from consent.log.beginning import BeginningRefused, begin_anew
from consent.log.checkpoint import Checkpoint
from consent.log.guard import Guard, RolledBack
from consent.log.note import Note
from consent.log.sequencer import AnotherOrigin
from idp.database import Database
from idp.running_log import OriginRefused, refuse_an_older_copy, settled_origin
from tests.consent.log.running import RunningLog, check_all, open_log, some_keys
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.settings import a_vault, settings_for

pytestmark = pytest.mark.anyio


@pytest.fixture
def log(database: Database, tmp_path: Path, clock: FakeClock) -> RunningLog:
    return open_log(database, tmp_path, clock)


class Backup:
    """What `pg_dump` does to the log's tables: a copy of one moment, to be put back later."""

    TABLES = ("consent_log_entries", "consent_log_tiles", "consent_log_checkpoints", "consent_log_heads")

    async def take(self, database: Database) -> None:
        async with database.transaction() as session:
            for table in self.TABLES:
                await session.execute(text(f"CREATE TABLE backup_{table} AS SELECT * FROM {table}"))

    async def restore(self, database: Database) -> None:
        async with database.transaction() as session:
            for table in self.TABLES:
                await session.execute(text(f"DELETE FROM {table}"))
                await session.execute(text(f"INSERT INTO {table} SELECT * FROM backup_{table}"))


def file_says(log: RunningLog) -> Checkpoint:
    return Checkpoint.parse(Note.parse((log.published.guard.path).read_text()).text)


async def test_the_file_has_every_checkpoint_before_anybody_is_shown_it(log: RunningLog) -> None:
    await log.grow(3)
    assert file_says(log).size == 3
    # Another process, or a death between the commit and the file: the database is ahead.
    other = open_log(log.database, log.published.guard.path.parent / "another-host", log.clock)
    await other.grow(2)
    assert file_says(log).size == 3
    served = await log.published.served()
    assert served.size == 5
    assert file_says(log) == served.checkpoint


async def test_a_restored_backup_signs_nothing_and_shows_nothing(log: RunningLog) -> None:
    await log.grow(3)
    backup = Backup()
    await backup.take(log.database)
    await log.grow(4)
    await backup.restore(log.database)
    await log.append(1)
    with pytest.raises(
        RolledBack, match=r"3 leaves, and a checkpoint of 7 leaves.*an older copy.*docs/operate/log\.md"
    ):
        await log.sequence()
    with pytest.raises(RolledBack):
        await log.published.served()
    assert await check_all(log.database) == 3


async def test_a_restored_backup_that_went_on_elsewhere_is_known_by_its_root(log: RunningLog) -> None:
    await log.grow(3)
    backup = Backup()
    await backup.take(log.database)
    await log.grow(4)
    await backup.restore(log.database)
    unguarded = open_log(log.database, log.published.guard.path.parent / "without-memory", log.clock)
    await unguarded.grow(9)
    with pytest.raises(RolledBack, match="another tree than the one that was let out of it at 7 leaves"):
        await log.sequence_waiting()
    with pytest.raises(RolledBack, match="another tree"):
        await log.published.served()


async def test_a_newer_database_is_no_rollback(log: RunningLog) -> None:
    await log.grow(3)
    old_file = log.published.guard.path.read_bytes()
    await log.grow(300, 5)
    log.published.guard.path.write_bytes(old_file)
    await log.grow(2)
    assert file_says(log).size == await check_all(log.database) == 310


async def test_a_server_refuses_to_start_on_an_older_copy(log: RunningLog, database_url: str, tmp_path: Path) -> None:
    settings = settings_for(database_url, tmp_path)
    await refuse_an_older_copy(settings, log.database)
    await log.grow(3)
    await refuse_an_older_copy(settings, log.database)
    backup = Backup()
    await backup.take(log.database)
    await log.grow(1)
    await backup.restore(log.database)
    with pytest.raises(RolledBack, match="an older copy"):
        await refuse_an_older_copy(settings, log.database)


@only_sqlite
async def test_a_database_that_was_lost_and_made_anew_is_refused(
    log: RunningLog, tmp_path: Path, database_url: str
) -> None:
    empty = tmp_path / "empty.db"
    shutil.copyfile(database_url.partition(":///")[2], empty)
    await log.grow(3)
    fresh = Database(f"sqlite+aiosqlite:///{empty}", vault=a_vault())
    with pytest.raises(RolledBack, match="0 leaves, and a checkpoint of 3"):
        await open_log(fresh, tmp_path, log.clock).sequence()
    await fresh.dispose()


async def test_a_file_that_nobody_can_read_stops_the_log(log: RunningLog) -> None:
    await log.grow(3)
    log.published.guard.path.write_text("half a checkp")
    await log.append(1)
    with pytest.raises(RolledBack, match="is not a checkpoint"):
        await log.sequence()


def test_the_file_never_goes_back(tmp_path: Path) -> None:
    guard, keys = Guard(tmp_path / "log-head"), some_keys()
    notes = [keys.sign(size=size, root=bytes([size] * 32), now=FakeClock()()) for size in (1, 2, 3)]
    for note in (notes[1], notes[0], notes[2], notes[1]):
        guard.advance(note)
    assert guard.known() == Checkpoint.parse(notes[2].text)
    with pytest.raises(RolledBack, match="another tree"):
        guard.advance(keys.sign(size=3, root=bytes(32), now=FakeClock()()))
    with pytest.raises(RolledBack, match=r"is about the log idp\.test/log"):
        guard.advance(some_keys("b.test/log").sign(size=9, root=bytes(32), now=FakeClock()()))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["log-head", "log-head.lock"]


async def test_half_a_draft_beside_the_file_harms_nothing(log: RunningLog) -> None:
    await log.grow(2)
    (log.published.guard.path.parent / ".log-head.abc").write_text("died while writing")
    await log.grow(2)
    assert file_says(log).size == 4


async def test_what_is_left_of_a_log_goes_on_under_another_name(log: RunningLog, tmp_path: Path) -> None:
    await log.grow(3)
    backup = Backup()
    await backup.take(log.database)
    await log.grow(4)
    await backup.restore(log.database)
    keys = some_keys("idp.test/log/2")
    async with log.database.transaction() as session:
        old, note = await begin_anew(session, keys, now=log.clock())
    assert (old.origin, old.size) == ("idp.test/log", 3)
    assert Checkpoint.parse(note.text).size == 3
    with pytest.raises(RolledBack, match="If this is a new"):
        await log.published.served()
    log.published.guard.path.rename(tmp_path / "of-the-old-log")
    with pytest.raises(AnotherOrigin):
        await log.sequence_waiting()
    log.published.keys = keys
    await log.grow(2)
    newest = await log.newest()
    assert (newest.checkpoint.origin, newest.size) == ("idp.test/log/2", 6)
    assert await check_all(log.database) == 6
    async with log.database.transaction() as session:
        with pytest.raises(BeginningRefused, match="another name"):
            await begin_anew(session, keys, now=log.clock())


async def test_a_log_is_named_after_the_issuer_and_keeps_its_name_when_that_changes(
    log: RunningLog, database_url: str, tmp_path: Path
) -> None:
    settings = settings_for(database_url, tmp_path)
    assert settings.log_name == "idp.test/log"
    await log.grow(1)
    async with log.database.reading() as session:
        moved = settings_for(database_url, tmp_path, issuer="https://other.test")
        assert await settled_origin(session, moved) == "idp.test/log"
        with pytest.raises(OriginRefused, match="keeps"):
            await settled_origin(session, settings_for(database_url, tmp_path, log_origin="other.test/log"))
