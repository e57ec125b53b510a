"""How long a full status list takes: 131,072 tokens of as many people, some share of whom withdrew.

python -m benchmarks.status_list
"""

import asyncio
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.operations import cpu_seconds
from benchmarks.ours import PURPOSE, prepare
from idp.clock import system_clock
from idp.provider import Provider
from idp.status_list.places import SIZE
from idp.status_list.publishing import published
from tests.support.ports import free_port
from tests.support.postgres import postgresql_server
from tests.support.settings import settings_for

SHARES = (0, 1, 10, 50)


@dataclass(frozen=True)
class Built:
    """One build."""

    dead_percent: int
    milliseconds: float
    cpu_milliseconds: float
    bytes_plain: int
    bytes_packed: int


async def fill(session: AsyncSession) -> None:
    """A token at each place, with a person, a consent, a session and an authorization of its own."""
    ids = f"SELECT number, md5(number::text)::uuid AS id FROM generate_series(0, {SIZE - 1}) AS number"
    of_bench = (
        "(SELECT v.id FROM consent_purpose_versions v JOIN consent_purposes p ON p.id = v.purpose_id "
        f"WHERE p.code = '{PURPOSE}' ORDER BY version DESC LIMIT 1)"
    )
    for statement in (
        "INSERT INTO idp_accounts (id, username, profile, created_at, updated_at) "
        f"SELECT id, 'b' || number, '{{}}', now(), now() FROM ({ids}) AS made",
        "INSERT INTO idp_sessions (id, token_sha256, account_id, acr, amr, user_agent, created_at, authenticated_at, "
        "last_seen_at, expires_at) SELECT id, sha256(id::text::bytea), id, 'a', '[]', '', now(), now(), now(), "
        f"now() + interval '1 day' FROM ({ids}) AS made",
        "INSERT INTO consent_records (id, subject_id, client_id, agency_id, purpose_id, purpose_version_id, status, "
        "granted, refused, offline_access, fetch_type, used, decided_at, valid_until, last_seq) "
        "SELECT made.id, made.id, client_id, agency_id, (SELECT purpose_id FROM consent_purpose_versions WHERE id = "
        f"{of_bench}), {of_bench}, 'given', '[]', '[]', false, 'periodic', 0, now(), now() + interval '9 days', 1 "
        f"FROM ({ids}) AS made, idp_clients WHERE client_id = 'bench'",
        "INSERT INTO idp_authorizations (id, code_sha256, code_expires_at, client_id, account_id, session_id, "
        "consent_id, subject, redirect_uri, redirect_uri_was_sent, scope, resources, claims, authorization_details, "
        "auth_time, acr, amr, sid, offline, created_at, refresh_expires_at) SELECT id, sha256(id::text::bytea), now(), "
        "'bench', id, id, id, number::text, 'x', true, 'openid', '[]', '{}', '[]', now(), 'a', '[]', 'sid', false, "
        f"now(), now() FROM ({ids}) AS made",
        "INSERT INTO idp_access_tokens (jti, authorization_id, client_id, audiences, scope, issued_at, expires_at, "
        f"status_position) SELECT id::text, id, 'bench', '[]', '', now(), now(), number FROM ({ids}) AS made",
        "INSERT INTO idp_status_blocks (id, reserved_at, expires_at) VALUES (0, now(), now() + interval '1 hour')",
    ):
        await session.execute(text(statement))


async def build(provider: Provider, percent: int) -> Built:
    """The list with this share withdrawn, every so many places."""
    async with provider.database.transaction() as session:
        await session.execute(
            text(
                "UPDATE consent_records SET status = 'withdrawn' FROM idp_access_tokens WHERE authorization_id = "
                "consent_records.id AND abs(hashint8(status_position)) % 100 < :percent AND status = 'given'"
            ),
            {"percent": percent},
        )
    async with provider.database.reading() as session:
        await session.execute(text("VACUUM ANALYZE"))
    best = None
    for _ in range(3):
        await asyncio.sleep(1)
        began, spent = time.perf_counter(), cpu_seconds(os.getpid())
        made = await published(provider, 0, now=provider.clock())
        assert made is not None
        took = (time.perf_counter() - began) * 1000
        cpu = (cpu_seconds(os.getpid()) - spent) * 1000
        if best is None or took < best.milliseconds:
            best = Built(percent, took, cpu, len(made.token), len(made.packed))
    assert best is not None
    return best


async def measure(url: str, folder: Path) -> list[Built]:
    """All shares, one after the other."""
    settings = settings_for(url, folder, issuer=f"http://localhost:{free_port()}")
    await prepare(settings)
    provider = await Provider.open(settings, clock=system_clock)
    try:
        async with provider.database.transaction() as session:
            await fill(session)
        return [await build(provider, percent) for percent in SHARES]
    finally:
        await provider.close()


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        with postgresql_server(folder) as server:
            rows = asyncio.run(measure(server.create_database("lists"), folder))
    print(f"a status list of {SIZE} tokens\n{'dead':>6}{'ms':>8}{'our CPU ms':>12}{'bytes':>9}{'gzip':>9}")
    for row in rows:
        print(
            f"{row.dead_percent:>5}%{row.milliseconds:>8.0f}{row.cpu_milliseconds:>12.0f}"
            f"{row.bytes_plain:>9}{row.bytes_packed:>9}"
        )


if __name__ == "__main__":
    main()
