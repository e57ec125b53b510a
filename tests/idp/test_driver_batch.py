"""Many requests' rows at once: each is written while what it rests on stands, and only then. On both databases."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import pytest
from sqlalchemy import Table, func, insert, select, update

from consent.log.models import LogEntry
from consent.uses.models import Use
from idp.database import Database
from idp.driver.statement import Batch, Statement
from idp.tokens.tables import AUTHORIZATIONS, REFRESH_TOKENS
from keys.entropy import Entropy, new_row_id, sha256
from tests.idp.test_driver import INSERT_AUTHORIZATION, NOW, an_authorization
from tests.support.databases import only_postgresql
from tests.support.statements import statements

pytestmark = pytest.mark.anyio

USES: Final = cast(Table, Use.__table__)
LOG_ENTRIES: Final = cast(Table, LogEntry.__table__)

# Rows that may be written while their family stands. Three tables, two with columns of one name and one value.
ROWS: Final = Batch(
    tables=(USES, LOG_ENTRIES, REFRESH_TOKENS),
    fixed={
        "evidence": "observed",
        "action": "“x” \N{GRINNING FACE}",
        "kind": 2,
        **dict.fromkeys(
            ("consent_id", "purpose_version_id", "provider_agency_id", "delay_basis", "batch_id", "reference"), None
        ),
        **dict.fromkeys(("log_index", "rotated_at"), None),
    },
    key="id",
    stands={"authorization_id": AUTHORIZATIONS.c.id, "person": AUTHORIZATIONS.c.account_id},
    holds=AUTHORIZATIONS.c.revoked_at.is_(None),
)
IDS: Final = [f"018f0000-0000-7000-8000-{number:012d}" for number in range(100)]


def a_row(family: str, number: int, **changes: Any) -> dict[str, Any]:
    values = {
        "id": IDS[number],
        "at": NOW,
        "subject_id": IDS[0],
        "agency_id": IDS[0],
        "client_id": "sehat “x” \N{GRINNING FACE}",
        "legal_basis": "consent",
        "visible_from": NOW + timedelta(days=1) if number == 2 else None,
        "body": b"\x00\xff",
        "commitment": bytes(32),
        "authorization_id": family,
        "person": family,
        "issued_at": NOW,
        "expires_at": NOW + timedelta(seconds=number),
        "token_sha256": sha256(f"{number}".encode()),
    }
    return {**values, **changes}


async def families(database: Database, entropy: Entropy, count: int) -> list[str]:
    made = [new_row_id(entropy, NOW) for _ in range(count)]
    for number, family in enumerate(made):
        row = an_authorization(family, code_sha256=sha256(f"{number}".encode()))
        await database.driver.row(INSERT_AUTHORIZATION, row)
    return made


async def revoke(database: Database, family: str) -> None:
    async with database.transaction() as session:
        await session.execute(update(AUTHORIZATIONS).where(AUTHORIZATIONS.c.id == family).values(revoked_at=NOW))


async def kept(database: Database) -> list[list[Any]]:
    """The ids of the uses and of the log's entries, and how many tokens there are."""
    async with database.reading() as session:
        ids = [list(await session.scalars(select(one.c.id).order_by(one.c.id))) for one in (USES, LOG_ENTRIES)]
        return [*ids, list(await session.scalars(select(func.count()).select_from(REFRESH_TOKENS)))]


async def test_every_row_whose_guard_stands_is_written_into_every_table(database: Database, entropy: Entropy) -> None:
    one, other = await families(database, entropy, 2)
    rows = [a_row(one, 1), a_row(other, 2), a_row(one, 3)]
    assert await database.driver.batch(ROWS, rows) == set(IDS[1:4])
    assert await kept(database) == [IDS[1:4], IDS[1:4], [3]]
    async with database.reading() as session:
        use = (await session.execute(select(USES).where(USES.c.id == IDS[2]))).one()
        entry = (await session.execute(select(LOG_ENTRIES).where(LOG_ENTRIES.c.id == IDS[2]))).one()
        token = (await session.execute(select(REFRESH_TOKENS).where(REFRESH_TOKENS.c.authorization_id == other))).one()
    assert (use.at, use.visible_from, use.body, use.batch_id) == (NOW, NOW + timedelta(days=1), b"\x00\xff", None)
    assert (use.client_id, use.action) == ("sehat “x” \N{GRINNING FACE}", "“x” \N{GRINNING FACE}")
    assert (entry.at, entry.kind, entry.commitment, entry.log_index) == (NOW, 2, bytes(32), None)
    assert (token.issued_at, token.expires_at) == (NOW, NOW + timedelta(seconds=2))


async def test_a_row_whose_guard_is_gone_is_not_written_and_harms_no_other(
    database: Database, entropy: Entropy
) -> None:
    one, other = await families(database, entropy, 2)
    await revoke(database, one)
    nobodys = new_row_id(entropy, NOW)
    rows = [a_row(one, 1), a_row(other, 2), a_row(nobodys, 3), a_row(other, 4, person=one)]
    assert await database.driver.batch(ROWS, rows) == {IDS[2]}
    assert await database.driver.batch(ROWS, [a_row(one, 4)]) == frozenset()
    assert await kept(database) == [[IDS[2]], [IDS[2]], [1]]


async def test_when_one_row_cannot_be_written_none_is(database: Database, entropy: Entropy) -> None:
    one, other = await families(database, entropy, 2)
    rows = [a_row(one, 1), a_row(other, 2, token_sha256=sha256(b"1"))]
    with pytest.raises(Exception, match=r"(?i)unique"):
        await database.driver.batch(ROWS, rows)
    assert await kept(database) == [[], [], [0]]
    assert await database.driver.batch(ROWS, [a_row(one, 1)]) == {IDS[1]}


async def test_a_moment_without_a_zone_is_refused(database: Database, entropy: Entropy) -> None:
    (one,) = await families(database, entropy, 1)
    with pytest.raises(Exception, match="naive datetime"):
        await database.driver.batch(ROWS, [a_row(one, 1, issued_at=datetime(2026, 1, 1))])
    assert await kept(database) == [[], [], [0]]
    assert NOW.tzinfo is UTC


@only_postgresql
async def test_a_batch_is_one_statement(database: Database, entropy: Entropy) -> None:
    one, other = await families(database, entropy, 2)
    with statements(database) as seen:
        await database.driver.batch(ROWS, [a_row(one, 1), a_row(other, 2)])
        await database.driver.batch(ROWS, [a_row(one, number) for number in range(3, 60)])
    assert len(seen) == 2


async def _later(rows: Sequence[dict[str, Any]], database: Database) -> asyncio.Task[frozenset[Any]]:
    task = asyncio.create_task(database.driver.batch(ROWS, rows, waits=True))
    await asyncio.sleep(0.2)
    return task


@only_postgresql
async def test_a_row_can_wait_for_whoever_changes_its_guard_and_then_sees_what_came_of_it(
    database: Database, entropy: Entropy
) -> None:
    one, other = await families(database, entropy, 2)
    async with database.transaction() as session:
        await session.execute(update(AUTHORIZATIONS).where(AUTHORIZATIONS.c.id == one).values(revoked_at=NOW))
        await session.execute(update(AUTHORIZATIONS).where(AUTHORIZATIONS.c.id == other).values(offline=True))
        ended, changed = await _later([a_row(one, 1)], database), await _later([a_row(other, 2)], database)
        assert not ended.done()
        assert not changed.done()
    assert await ended == frozenset()
    assert await changed == {IDS[2]}


@only_postgresql
async def test_otherwise_a_row_whose_guard_is_being_changed_is_left_out(database: Database, entropy: Entropy) -> None:
    one, other = await families(database, entropy, 2)
    async with database.transaction() as session:
        await session.execute(update(AUTHORIZATIONS).where(AUTHORIZATIONS.c.id == one).values(offline=True))
        assert await asyncio.wait_for(database.driver.batch(ROWS, [a_row(one, 1), a_row(other, 2)]), 5) == {IDS[2]}
        assert await asyncio.wait_for(database.driver.batch(ROWS, [a_row(one, 3)]), 5) == frozenset()


@only_postgresql
async def test_nobody_changes_what_a_row_rests_on_before_it_is_committed(database: Database, entropy: Entropy) -> None:
    """The other way about: the row is written first, so whoever revokes has to wait until it is there."""
    (one,) = await families(database, entropy, 1)
    slow = Statement(insert(REFRESH_TOKENS))
    taken = {**a_row(one, 1), "rotated_at": None}
    async with database.transaction() as session:
        # Somebody holds the same key of a refresh token, so the batch stands still with its guard locked.
        await session.execute(slow.core, {name: taken[name] for name in (one.name for one in REFRESH_TOKENS.columns)})
        writing = await _later([a_row(one, 1)], database)
        revoking = asyncio.create_task(revoke(database, one))
        await asyncio.sleep(0.2)
        assert not revoking.done()
        await session.rollback()
    assert await writing == {IDS[1]}
    await asyncio.wait_for(revoking, 5)
