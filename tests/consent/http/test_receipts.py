"""Receipts over HTTP: whose they are, what their files are worth, and what is open to everybody."""

import json
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from consent.http import receipts
from consent.log.verify import NotYetLogged, Trust, verify
from consent.receipts.compose import Addresses
from consent.receipts.keys import receipt_jwks
from consent.receipts.office import ReceiptOffice
from keys.entropy import sha256
from tests.consent.http.window import AS_OFFICER, Window
from tests.consent.log.running import RunningLog, open_log
from tests.consent.registry import BUDI, SITI, grant_to
from tests.support.html import read_html

pytestmark = pytest.mark.anyio


@pytest.fixture
def log(window: Window, tmp_path: Path) -> RunningLog:
    """The database's log."""
    return open_log(window.database, tmp_path, window.clock)


@pytest.fixture
def site(window: Window, log: RunningLog) -> Starlette:
    """The pages."""
    office = ReceiptOffice(
        addresses=Addresses(base="https://idp.test"),
        log=lambda: log.published,
        reading=window.database.reading,
        transaction=window.database.transaction,
        clock=window.clock,
        entropy=window.entropy,
    )
    return Starlette(routes=receipts.routes(window.ports, office))


@pytest.fixture
async def given(window: Window) -> str:
    """A consent of Siti's."""
    async with window.database.transaction() as session:
        return await grant_to(session, window.version, now=window.clock(), entropy=window.entropy)


async def get(site: Starlette, path: str, headers: dict[str, str] | None = None) -> httpx2.Response:
    """Opens an address."""
    transport = httpx2.ASGITransport(site)
    async with httpx2.AsyncClient(transport=transport, base_url="https://idp.test", headers=headers or {}) as browser:
        return await browser.get(path)


def citizen(subject_id: str, locale: str = "en") -> dict[str, str]:
    """A citizen's headers."""
    return {"x-subject": subject_id, "x-locale": locale}


async def trust(window: Window, log: RunningLog) -> Trust:
    """The trust file that is published."""
    async with window.database.reading() as session:
        return Trust.parse(json.dumps(log.published.trust(await receipt_jwks(session))).encode())


@pytest.mark.parametrize("locale", ["id", "en"])
async def test_the_page_says_first_that_the_proof_is_coming_and_then_that_it_is_there(
    site: Starlette, log: RunningLog, given: str, locale: str
) -> None:
    path = f"/my/consents/{given}/receipt"
    before = await get(site, path, citizen(SITI, locale))
    assert before.status_code == 200
    assert 'id="waits"' in before.text
    assert 'id="proven"' not in before.text
    assert "<svg" not in before.text.partition("<main")[2]
    await log.sequence()
    after = await get(site, path, citizen(SITI, locale))
    assert 'id="waits"' not in after.text
    assert 'id="proven"' in after.text
    assert "Sehat &lt;b&gt;Bersama" in after.text
    square = after.text.partition('id="square">')[2].partition("</figure>")[0]
    assert "<svg" in square
    assert "style=" not in after.text
    assert "commitment=" in square


async def test_a_file_holds_offline(site: Starlette, window: Window, log: RunningLog, given: str) -> None:
    path = f"/my/consents/{given}/receipt.json"
    early = await get(site, path, citizen(SITI))
    with pytest.raises(NotYetLogged):
        verify(early.content, await trust(window, log))
    await log.sequence()
    answer = await get(site, path, citizen(SITI))
    assert verify(answer.content, await trust(window, log)).claims["record_id"] == given
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == f'attachment; filename="satupintu-receipt-{given}-1.json"'
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "member", "media_type"),
    [
        ("iso27560", "@context", "application/ld+json"),
        ("kantara", "consentReceiptID", "application/json"),
        ("oauth", "authorization_details", "application/json"),
    ],
)
async def test_the_record_comes_in_other_formats(
    site: Starlette, given: str, name: str, member: str, media_type: str
) -> None:
    answer = await get(site, f"/my/consents/{given}/receipt.json?format={name}", citizen(SITI))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert member in answer.json()
    assert f".{name}.json" in answer.headers["content-disposition"]


@pytest.mark.parametrize("kind", ["receipt", "receipt.json"])
async def test_nobody_gets_another_persons_receipt_nor_learns_that_there_is_one(
    site: Starlette, given: str, kind: str
) -> None:
    nothing = "01980000-0000-7000-8000-000000000000"
    theirs = await get(site, f"/my/consents/{given}/{kind}", citizen(BUDI))
    none = await get(site, f"/my/consents/{nothing}/{kind}", citizen(BUDI))
    assert (theirs.status_code, none.status_code) == (404, 404)
    assert theirs.text.replace(given, "") == none.text.replace(nothing, "")
    assert (await get(site, f"/my/consents/{given}/{kind}")).status_code == 303


@pytest.mark.parametrize("query", ["event=2", "event=0", "event=x", "event=1e9", "format=pdf", "event=١"])
async def test_what_there_is_not_is_not_found(site: Starlette, given: str, query: str) -> None:
    assert (await get(site, f"/my/consents/{given}/receipt.json?{query}", citizen(SITI))).status_code == 404


async def test_an_officer_takes_a_receipt_on_the_record(site: Starlette, window: Window, given: str) -> None:
    path = f"/console/consents/{given}/receipt.json"
    assert (await get(site, path, citizen(SITI))).status_code == 403
    assert (await get(site, path, AS_OFFICER)).status_code == 200
    window.clock.advance(1)
    assert (await get(site, f"{path}?event=9", AS_OFFICER)).status_code == 404
    assert await window.looks() == [
        ("export", given, {"of": "receipt"}, 1),
        ("export", given, {"of": "receipt", "event": "9"}, 0),
    ]


async def test_the_text_of_a_receipt_is_fetched_by_its_fingerprint_and_is_what_was_hashed(
    site: Starlette, given: str
) -> None:
    record = (await get(site, f"/my/consents/{given}/receipt.json?format=iso27560", citizen(SITI))).json()
    notice = record["dpv:hasRecordOfActivity"]["dpv:hasNotice"]
    answer = await get(site, httpx2.URL(notice["@id"]).path)
    assert answer.status_code == 200
    assert sha256(answer.content).hex() == notice["sp:sha256"]
    assert "immutable" in answer.headers["cache-control"]
    assert SITI not in answer.text
    for other in ("0" * 64, notice["sp:sha256"].upper(), "..", "x"):
        assert (await get(site, f"/notices/{other}")).status_code == 404


async def test_whoever_holds_the_paper_finds_the_entry_and_nothing_of_anybody(
    site: Starlette, log: RunningLog, given: str
) -> None:
    await log.append(2)
    await log.sequence()
    page = await get(site, f"/my/consents/{given}/receipt", citizen(SITI))
    address = read_html(page.text).text_by_id["square-address"]
    answer = await get(site, address)
    assert answer.status_code == 200
    assert 'id="found"' in answer.text
    assert 'data-kind="consent"' in answer.text
    for secret in (SITI, given, "kunjungan", "email"):
        assert secret not in answer.text.partition("<main")[2]
    url = httpx2.URL(address)
    for changed in (
        {"index": str(int(url.params["index"]) ^ 1)},
        {"index": "99"},
        {"index": "-1"},
        {"index": "01"},
        {"commitment": "A" * 43},
        {"commitment": "x"},
        {"index": str(2**70)},
    ):
        wrong = await get(site, str(url.copy_merge_params(changed)))
        assert wrong.status_code == 404
        assert 'id="not-found"' in wrong.text
    assert (await get(site, "/receipts/check")).status_code == 200
