"""The erasure drill: a person is erased from the operator's shell, and everything else can still be proven."""

from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.erasure.person import progress_of
from consent.models import Base, ConsentEvent, ConsentRecord
from idp.accounts.directory import require_account
from idp.clock import system_clock
from idp.housekeeping import sweep
from idp.provider import Provider
from keys.entropy import SystemEntropy
from tests.journeys.test_evidence_receipts import agree_and_open_the_receipt, download, until_proven
from tests.support.service import Service
from tests.support.shell import satupintu
from tests.support.strangers import verdicts

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]

ORDER = "Penetapan 12/Pdt.P/2026"


async def receipt_of(service: Service, username: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A person agrees at the health app, and takes the proven receipt and the public keys home."""
    user = await agree_and_open_the_receipt(service, username)
    await until_proven(user)
    address = user.page.path.removesuffix("/receipt") + "/receipt.json?event=1"
    return await download(user, address), await download(user, "/log/trust.json")


async def acknowledge_everything(service: Service) -> int:
    """The health app asks for news and takes it. Returns how many there were."""
    token = await service.app("health").client_credentials(scope="consent:events")
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    taken: list[str] = []
    for _ in range(2):
        answer = await service.http.post(
            service.processes[0].url("/consent/v1/events/poll"),
            json={"returnImmediately": True, "ack": taken},
            headers=headers,
        )
        assert answer.status_code == 200, answer.text
        taken += answer.json()["sets"]
    return len(taken)


async def rows_that_name(session: AsyncSession, subject_id: str) -> set[str]:
    """Which tables of the evidence have a row that names a person."""
    tables = [table for table in Base.metadata.sorted_tables if "subject_id" in table.c]
    return {
        table.name
        for table in tables
        if await session.scalar(select(func.count()).select_from(table).where(table.c.subject_id == subject_id))
    }


async def test_a_person_is_erased_and_all_other_proof_still_holds(service: Service, tmp_path: Path) -> None:
    settings = service.settings
    sitis, trust = await receipt_of(service, "siti")
    budis, _ = await receipt_of(service, "budi")
    async with service.database.reading() as session:
        siti = (await require_account(session, "siti")).id
        assert {"consent_records", "consent_events", "consent_person_keys"} <= await rows_that_name(session, siti)

    asked = (await satupintu(settings, "erase", "person", "siti", "--order", ORDER, "--yes", "--json")).told
    assert (asked["waits_for"], asked["destroyed_at"]) == (1, None)
    # Whoever has the data is told first, by the name that they know the person by.
    assert await acknowledge_everything(service) == 1
    provider = await Provider.open(settings, clock=system_clock, entropy=SystemEntropy())
    await sweep(provider)
    await provider.close()

    async with service.database.reading() as session:
        progress = await progress_of(session, asked["erasure"])
        assert progress.destroyed_at is not None
        # Until five minutes have passed the request itself knows whom it is about.
        assert await rows_that_name(session, siti) <= {"consent_erasures"}
    closed = service.browser()
    await closed.open("/my/consents")
    await closed.log_in("siti", service.password("siti"))
    assert closed.page.path == "/login"

    audit = (await satupintu(settings, "log", "audit", "--json")).told
    assert audit["found"] == {}
    assert audit["erased"]
    for receipt in (sitis, budis):
        # What is in people's own hands goes on proving what it proved, also that of who was erased here.
        said = await anyio.to_thread.run_sync(verdicts, receipt, trust, tmp_path)
        assert [one.code for one in said] == [0, 0]

    # The same audit does find what no rule took away.
    async with service.database.transaction() as session:
        budi = await session.scalar(select(ConsentRecord.id).where(ConsentRecord.status == "given"))
        await session.execute(update(ConsentEvent).where(ConsentEvent.consent_id == budi).values(channel="paper"))
    found = await satupintu(settings, "log", "audit")
    assert found.code == 3
    assert budis["event"]["id"] in found.out
