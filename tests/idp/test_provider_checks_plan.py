"""How PostgreSQL finds the answer to a check among very many people's consents: by an index, and few rows of it."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from idp import provider_checks
from idp.driver.postgresql import compile_statement
from idp.driver.statement import Statement
from tests.support.databases import only_postgresql
from tests.support.provider_world import ProviderWorld, new_provider_world
from tests.support.token_world import World, claims_in

pytestmark = [pytest.mark.anyio, only_postgresql]
MANY = 20_000
BY_INDEX = {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}


@pytest.fixture
async def stage(world: World) -> ProviderWorld:
    return await new_provider_world(world)


async def crowd(stage: ProviderWorld) -> None:
    """Other people, with a consent for the same app and purpose each."""
    await stage.record()
    copied = "client_id, agency_id, purpose_id, purpose_version_id, granted, refused, offline_access, fetch_type, used"
    async with stage.provider.database.transaction() as session:
        await session.execute(
            text(
                f"INSERT INTO consent_records (id, subject_id, subject_ref, status, decided_at, last_seq, {copied}) "
                f"SELECT gen_random_uuid(), gen_random_uuid(), md5(number::text), 'given', decided_at, 1, {copied} "
                f"FROM consent_records, generate_series(1, {MANY}) AS number"
            )
        )
    async with stage.provider.database.reading() as session:
        await session.execute(text("ANALYZE"))


async def plan_of(stage: ProviderWorld, statement: Statement, values: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of the plan as it ran, flat."""
    compiled = compile_statement(statement.core, stage.provider.database.engine.dialect)
    row = await stage.provider.database.driver._send(  # type: ignore[attr-defined]  # as the driver sends it
        f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled.sql}", compiled.arguments(values)
    )
    nodes, waiting = [], [json.loads(row[0])[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        waiting += node.get("Plans", [])
    return nodes


async def test_a_check_reads_one_persons_rows_by_the_index(stage: ProviderWorld) -> None:
    await crowd(stage)
    bearer = await stage.bearer("dukcapil")
    jti = claims_in(bearer["Authorization"].removeprefix("Bearer "))["jti"]
    nodes = await plan_of(
        stage,
        provider_checks.BY_SUBJECT,
        {
            "jti": jti,
            "asked_sub": stage.sub,
            "asked_client": stage.app.client_id,
            "asked_purpose": stage.world.purpose.code,
        },
    )
    # The other tables have a handful of rows here, which the planner may read as it likes.
    scans = [node for node in nodes if node.get("Relation Name") == "consent_records"]
    assert scans
    for node in scans:
        assert node["Node Type"] in BY_INDEX, node
        assert node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0) <= 1, node
    assert "ix_consent_records_subject_ref" in {node.get("Index Name") for node in nodes}


async def test_a_list_reads_its_own_stretch_of_tokens(stage: ProviderWorld) -> None:
    """Not all tokens of the country: those between two places."""
    await stage.bearer("dukcapil")
    async with stage.provider.database.transaction() as session:
        columns = "client_id, audiences, scope, issued_at, expires_at"
        await session.execute(
            text(
                f"INSERT INTO idp_access_tokens (jti, status_position, {columns}) "
                f"SELECT md5(number::text), 500000 + number, {columns} "
                f"FROM idp_access_tokens, generate_series(1, {MANY}) AS number"
            )
        )
    async with stage.provider.database.reading() as session:
        await session.execute(text("ANALYZE"))
        explained = await session.execute(
            text(
                "EXPLAIN SELECT jti FROM idp_access_tokens "
                "WHERE status_position >= 0 AND status_position < 131072 AND revoked_at IS NOT NULL"
            )
        )
        plan = "\n".join(explained.scalars())
    assert "ix_idp_access_tokens_status_position" in plan
