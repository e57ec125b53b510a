"""One use: sealed under the person's key, committed to as a whole, and read again as it was written."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from consent.log.entry import Kind, commit
from consent.log.models import LogEntry
from consent.uses.disclosure import Disclosure, read, write
from consent.uses.models import Use
from idp.database import Database
from keys.entropy import Entropy, SystemEntropy
from keys.errors import SealBroken
from keys.personal import PersonalKey
from tests.support.databases import only_sqlite

NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
ID = "018f0000-0000-7000-8000-000000000001"
OTHER = "018f0000-0000-7000-8000-000000000002"
USE = Disclosure(
    id=ID,
    at=NOW,
    subject_id=OTHER,
    consent_id=None,
    purpose_version_id=None,
    agency_id=OTHER,
    client_id="app",
    action="lookup",
    items=("email", "name"),
    provider_agency_id=OTHER,
    evidence="reported",
    legal_basis="public_task",
    legal_citation="UU 24/2013 pasal 58",
    jti="jti",
    system="SIAK “pusat” \N{GRINNING FACE}",
    officer="petugas-7",
    reason="verifikasi",
    reference="r-1",
    seen_from=NOW,
    delay_basis="UU 8/1981",
)


def key() -> PersonalKey:
    return PersonalKey.generate(SystemEntropy())[0]


@pytest.mark.anyio
@only_sqlite
async def test_a_use_is_read_as_it_was_written(database: Database, entropy: Entropy) -> None:
    mine = key()
    written = write(USE, mine, entropy=entropy)
    async with database.transaction() as session:
        await session.execute(insert(Use), [written.use])
        await session.execute(insert(LogEntry), [written.entry])
    async with database.reading() as session:
        row = (await session.execute(select(*Use.__table__.columns))).one()
        entry = (await session.execute(select(*LogEntry.__table__.columns))).one()
    assert read(row, mine) == USE
    assert entry.commitment == commit(mine.opening(ID), USE.as_json())
    assert (entry.id, entry.kind, entry.at) == (ID, Kind.ACCESS, NOW)
    with pytest.raises(SealBroken):
        read(row, key())


def test_what_tells_of_the_person_is_not_readable_in_the_row(entropy: Entropy) -> None:
    use = write(USE, key(), entropy=entropy).use
    for word in ("email", "petugas-7", "58", "verifikasi", "SIAK"):
        assert word not in repr(use)


@pytest.mark.parametrize("name", list(Disclosure._fields))
def test_the_leaf_commits_to_every_member(name: str, entropy: Entropy) -> None:
    mine = key()
    other: Any = {"at": datetime(2026, 1, 1, tzinfo=UTC), "seen_from": None, "items": ("x",)}.get(name, "another")
    before, after = (write(one, mine, entropy=entropy).entry for one in (USE, USE._replace(**{name: other})))
    assert before["commitment"] != after["commitment"]


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(text=TEXT, items=st.lists(TEXT))
def test_the_text_that_is_committed_to_is_the_canonical_one(text: str, items: list[str]) -> None:
    mine = key()
    use = USE._replace(items=tuple(items), reason=text, system=text, client_id=text)
    assert write(use, mine, entropy=SystemEntropy()).entry["commitment"] == commit(mine.opening(ID), use.as_json())
