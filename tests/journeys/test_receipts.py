"""A receipt at once after the decision, proven seconds later, and checked with what is published and nothing else."""

import json
import re
from typing import Any

import httpx2
import pytest

from consent.log.entry import leaf_data
from consent.log.merkle import leaf_hash, verify_inclusion
from consent.log.proof import LogProof
from consent.log.receipt_jws import receipt_keys, verify_receipt
from consent.log.verify import NotYetLogged, Trust, verify
from idp.accounts.directory import find_by_username
from idp.log_process import sequence
from idp.provider import Provider
from keys.encoding import b64url_decode
from tests.consent.receipts.second import SECOND
from tests.journeys.visiting import visit, withdraw
from tests.support.browser_user import BrowserUser
from tests.support.registrar import Registrar
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def receipt_file(user: BrowserUser, consent_id: str, query: str = "") -> bytes:
    """The downloaded file."""
    answer = await user.client.get(str(user.issuer.join(f"/my/consents/{consent_id}/receipt.json{query}")))
    assert answer.status_code == 200
    return answer.content


async def newest_consent(user: BrowserUser) -> str:
    """The id of the newest consent in the person's list."""
    await user.open("/my/consents")
    found = next(
        re.fullmatch(r"/my/consents/([0-9a-f-]{36})", href)
        for href, _ in user.page.document.links
        if re.fullmatch(r"/my/consents/[0-9a-f-]{36}", href)
    )
    assert found is not None
    return found[1]


async def test_the_receipt_is_there_at_once_and_is_proven_when_the_log_has_it(
    world: World, user: BrowserUser, provider: Provider, client: httpx2.AsyncClient
) -> None:
    await visit(world, user, world.app("health"), items={"phone_number"})
    consent_id = await newest_consent(user)
    await user.open(f"/my/consents/{consent_id}")
    await user.open(next(href for href, _ in user.page.document.links if href.endswith("/receipt")))
    assert user.page.has("waits")
    early = await receipt_file(user, consent_id)
    trust = (await client.get("/log/trust.json")).content
    with pytest.raises(NotYetLogged):
        verify(early, Trust.parse(trust))

    await sequence(provider)
    await user.open(f"/my/consents/{consent_id}/receipt")
    assert user.page.has("proven")
    file = await receipt_file(user, consent_id)
    verified = verify(file, Trust.parse(trust))
    assert verified.event["granted"]
    assert SECOND.verify(file, json.loads(trust))["event"] == verified.event
    # The pairwise name is the one by which the app's agency knows the person, and no other.
    assert verified.claims["pii_principal_id"] == verified.event["subject_ref"] != verified.event["subject_id"]

    # The text is public by its fingerprint, and the square leads to the entry.
    notice = verified.claims["privacy_notice"]
    shown = await client.get(httpx2.URL(notice["url"]).path)
    assert shown.json()["purpose_version_id"] == verified.event["purpose_version_id"]
    await user.open(f"/my/consents/{consent_id}/receipt")
    looked_up = await client.get(user.page.document.text_by_id["square-address"])
    assert 'id="found"' in looked_up.text


async def test_the_withdrawal_has_a_receipt_too_and_the_first_one_stays(
    world: World, user: BrowserUser, provider: Provider, client: httpx2.AsyncClient
) -> None:
    await visit(world, user, world.app("health"))
    consent_id = await newest_consent(user)
    await withdraw(user, "Sehat Bersama")
    await sequence(provider)
    first, last = [await receipt_file(user, consent_id, query) for query in ("?event=1", "")]
    trust = Trust.parse((await client.get("/log/trust.json")).content)
    states = [[event["event_state"] for event in verify(one, trust).claims["events"]] for one in (first, last)]
    assert states == [["ConsentGiven"], ["ConsentGiven", "ConsentWithdrawn"]]


async def test_the_agency_gets_the_record_of_its_own_apps_and_no_id_of_ours(
    world: World, user: BrowserUser, provider: Provider, client: httpx2.AsyncClient, registrar: Registrar
) -> None:
    await visit(world, user, world.app("health"))
    consent_id = await newest_consent(user)
    await sequence(provider)

    async def call(agency: str, scope: str = "consent:audit", path: str = "", **parameters: Any) -> httpx2.Response:
        caller = await registrar.app(
            agency,
            redirect_uris=(),
            grant_types=("client_credentials",),
            scopes=("consent:audit", "consent:check"),
            purpose_codes=(),
        )
        token = (await caller.client_credentials(scope=scope))["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return await client.get(f"/consent/v1/receipts/{path or consent_id}", headers=headers, params=parameters)

    answer = await call("kemenkes")
    assert answer.status_code == 200
    said = answer.json()
    async with provider.database.reading() as session:
        account = await find_by_username(session, "siti")
    assert account is not None
    trust = (await client.get("/log/trust.json")).json()
    _kid, claims = verify_receipt(said["receipt"], keys=receipt_keys(trust["receipts"]))
    assert account.id not in answer.text + json.dumps(claims)
    assert claims["record_id"] == consent_id
    proof = LogProof.parse(said["proof"])
    assert proof.extra is None
    policy = Trust.parse(json.dumps(trust).encode()).policy
    checkpoint = policy.open(proof.checkpoint).checkpoint
    commitment = b64url_decode(claims["log"]["commitment"])
    leaf = leaf_hash(leaf_data(said["kind"], commitment))
    verify_inclusion(index=proof.index, size=checkpoint.size, leaf=leaf, proof=proof.hashes, root=checkpoint.root)
    for name, member in (("iso27560", "@context"), ("kantara", "piiPrincipalId"), ("oauth", "grant_id")):
        other = await call("kemenkes", format=name)
        assert member in other.json()
        assert account.id not in other.text

    assert (await call("dukcapil")).status_code == 404
    assert (await call("kemenkes", path="01980000-0000-7000-8000-000000000000")).status_code == 404
    assert (await call("kemenkes", event="2")).status_code == 404
    assert (await call("kemenkes", scope="consent:check")).status_code == 403
    for wrong in ({"event": "0"}, {"event": "x"}, {"format": "pdf"}, {"more": "1"}):
        assert (await call("kemenkes", **wrong)).status_code == 400
    assert (await client.get(f"/consent/v1/receipts/{consent_id}")).status_code == 401
