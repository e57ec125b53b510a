"""From the press on "allow" to a proof that a court's own expert checks without us; and with two witnesses."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from idp.clock import system_clock
from idp.provider import Provider
from idp.settings import Settings
from keys.entropy import SystemEntropy
from tests.conftest import migrated
from tests.consent.log.running import some_keys
from tests.consent.log.witness_process import WitnessProcess
from tests.support.browser_user import BrowserUser
from tests.support.databases import copy_sqlite, sqlite_template
from tests.support.keyring import install_keys_at
from tests.support.ports import free_port
from tests.support.server_nursery import ServerNursery
from tests.support.service import Service, run_service
from tests.support.settings import settings_for
from tests.support.strangers import verdicts

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]

PROVEN_WITHIN_SECONDS = 20
Receipt = dict[str, Any]


async def agree_and_open_the_receipt(service: Service, username: str) -> BrowserUser:
    """Log in at the health app, allow the phone number, and go to the receipt."""
    user = service.browser()
    await service.ask(user, service.app("health"), "health")
    await user.log_in(username, service.password(username))
    await user.allow(items={"phone_number"})
    await user.open("/my/consents")
    (address,) = [href for href, text in user.page.document.links if text == "Sehat Bersama"]
    await user.open(f"{address}/receipt")
    return user


async def until_proven(user: BrowserUser) -> None:
    """Looks at the receipt again, as its page says, until it is proven."""
    address = user.page.url
    for _ in range(PROVEN_WITHIN_SECONDS * 5):
        if user.page.has("proven"):
            return
        assert user.page.has("waits")
        await asyncio.sleep(0.2)
        await user.open(address)
    raise AssertionError("the receipt has no proof yet")


async def download(user: BrowserUser, address: str) -> dict[str, Any]:
    """A file that the page links to."""
    assert address in {href for href, _ in user.page.document.links}
    answer = await user.client.get(user.issuer.join(address))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def judged(receipt: Receipt, trust: dict[str, Any], folder: Path) -> list[Any]:
    """What both verifiers say: what they found, or the exit code with which they refuse."""
    both = await anyio.to_thread.run_sync(verdicts, receipt, trust, folder)
    return [one.told if one.code == 0 else one.code for one in both]


async def test_a_receipt_is_proven_in_seconds_and_two_strangers_verify_it_offline(
    service: Service, tmp_path: Path
) -> None:
    user = await agree_and_open_the_receipt(service, "siti")
    await until_proven(user)
    receipt = await download(user, user.page.path.removesuffix("/receipt") + "/receipt.json?event=1")
    trust = await download(user, "/log/trust.json")
    for found in await judged(receipt, trust, tmp_path):
        assert found["event"]["kind"] == "granted"
        assert "phone_number" in found["event"]["granted"]
        assert "address" in found["event"]["refused"]
        assert found["index"] < found["tree_size"]
    # Whoever holds the paper is told the same by the public page, which knows nobody.
    stranger = service.browser()
    await stranger.open(user.page.document.text_by_id["square-address"])
    assert stranger.page.has("found")
    assert "Siti" not in stranger.page.text

    for tampered in (given_more, signed_anew, at_another_place, with_another_opening):
        refused = await judged(tampered(json.loads(json.dumps(receipt))), trust, tmp_path)
        assert refused == [1, 1], tampered.__name__
    assert await judged(receipt, of_another_log(trust), tmp_path) == [1, 1]


def given_more(receipt: Receipt) -> Receipt:
    """An item that was refused, among those that were granted."""
    receipt["event"]["granted"].append("address")
    return receipt


def signed_anew(receipt: Receipt) -> Receipt:
    """A record that says another purpose, under the old signature."""
    header, claims, signature = receipt["receipt"].split(".")
    said = base64.urlsafe_b64decode(claims + "==").replace(b"kunjungan-puskesmas", b"kunjungan-puskesmaz")
    again = base64.urlsafe_b64encode(said).rstrip(b"=").decode()
    return {**receipt, "receipt": f"{header}.{again}.{signature}"}


def at_another_place(receipt: Receipt) -> Receipt:
    """A proof that it is the leaf before."""
    lines = receipt["proof"].split("\n")
    place = next(number for number, line in enumerate(lines) if line.startswith("index "))
    lines[place] = f"index {int(lines[place].removeprefix('index ')) - 1}"
    return {**receipt, "proof": "\n".join(lines)}


def with_another_opening(receipt: Receipt) -> Receipt:
    """A commitment that is opened by other bytes."""
    lines = receipt["proof"].split("\n")
    place = next(number for number, line in enumerate(lines) if line.startswith("extra "))
    lines[place] = "extra " + base64.b64encode(bytes(32)).decode()
    return {**receipt, "proof": "\n".join(lines)}


def of_another_log(trust: dict[str, Any]) -> dict[str, Any]:
    """The keys of somebody else who calls their log by the same name."""
    name = trust["log"].partition("+")[0]
    other = some_keys(name).vkeys[0]
    return {**trust, "log": str(other), "policy": f"log {other}\nquorum none\n"}


# --- with witnesses ---


def without_cosignature_of(witness: WitnessProcess, receipt: Receipt) -> Receipt:
    """A proof that one witness has not signed."""
    kept = [line for line in receipt["proof"].split("\n") if not line.startswith(f"— {witness.keys[0].name} ")]
    assert len(kept) < len(receipt["proof"].split("\n"))
    return {**receipt, "proof": "\n".join(kept)}


@pytest.fixture
async def two_witnesses(session_folder: Path, tmp_path: Path) -> AsyncIterator[tuple[Settings, list[WitnessProcess]]]:
    """Two witnesses of a log that is about to be served, and the settings of its servers: both must have seen it."""
    issuer = f"http://localhost:{free_port()}"
    folder = tmp_path / "before"
    folder.mkdir()
    url = copy_sqlite(sqlite_template(session_folder, migrated), folder)
    await install_keys_at(url)
    before = await Provider.open(settings_for(url, folder, issuer=issuer), clock=system_clock, entropy=SystemEntropy())
    log = before.log.keys.vkeys[0]
    await before.close()
    names = ("w.university.test/1", "w.newspaper.test/1")
    witnesses = [WitnessProcess(tmp_path, log=log, name=name) for name in names]
    try:
        await asyncio.gather(*(asyncio.to_thread(witness.__enter__) for witness in witnesses))
        policy = tmp_path / "policy"
        lines = [f"witness {place} {one.keys[0]} {one.url}" for place, one in zip("ab", witnesses, strict=True)]
        policy.write_text("\n".join([*lines, "group both 2 a b", "quorum both", ""]), encoding="utf-8")
        served = tmp_path / "served"
        served.mkdir()
        url = copy_sqlite(sqlite_template(session_folder, migrated), served)
        yield settings_for(url, served, issuer=issuer, log_policy_file=policy), witnesses
    finally:
        for witness in witnesses:
            witness.stop()


async def test_no_receipt_is_proven_before_both_witnesses_have_seen_the_log(
    nursery: ServerNursery, two_witnesses: tuple[Settings, list[WitnessProcess]], tmp_path: Path
) -> None:
    settings, (_, second) = two_witnesses
    async with run_service(nursery, settings, tmp_path, processes=1) as service:
        user = await agree_and_open_the_receipt(service, "siti")
        await until_proven(user)
        receipt = await download(user, user.page.path.removesuffix("/receipt") + "/receipt.json?event=1")
        trust = await download(user, "/log/trust.json")
        assert "group both 2 a b" in trust["policy"]
        for found in await judged(receipt, trust, tmp_path):
            assert len(found["witnesses"]) == 2
        alone = without_cosignature_of(second, receipt)
        assert await judged(alone, trust, tmp_path) == [1, 1]

        second.stop()
        budi = await agree_and_open_the_receipt(service, "budi")
        await asyncio.sleep(2)
        await budi.open(budi.page.url)
        assert budi.page.has("waits"), "one witness is not both"
        await asyncio.to_thread(second.start)
        await until_proven(budi)
