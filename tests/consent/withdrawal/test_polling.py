"""Who asks is told, as RFC 8936 says; and where an app wants to be told, as the Shared Signals Framework writes it."""

import time
from typing import Any

import pytest
from sqlalchemy import insert

from consent.http.api import events
from consent.uses.models import Use
from consent.withdrawal.models import Stream
from consent.withdrawal.tokens import CAEP_SESSION_REVOKED, WITHDRAWN
from keys.entropy import new_row_id
from tests.support.token_world import App
from tests.support.withdrawal_world import SCOPES, WithdrawalWorld

pytestmark = pytest.mark.anyio

ENDPOINT = "https://sehat.example/events"


async def test_what_waits_is_handed_out_until_it_is_acknowledged(stage: WithdrawalWorld) -> None:
    await stage.withdraw(await stage.agree())
    [delivery] = await stage.deliveries()
    for _ in range(2):
        answer = (await stage.poll()).json()
        assert list(answer["sets"]) == [delivery.jti]
        assert answer["moreAvailable"] is False
        claims = stage.recipient.verify(answer["sets"][delivery.jti])
        assert claims["jti"] == delivery.jti
        assert WITHDRAWN in claims["events"]
    assert (await stage.deliveries())[0].sent_at is None
    assert (await stage.poll(ack=[delivery.jti, "unknown"])).json() == {"sets": {}, "moreAvailable": False}
    assert (await stage.deliveries())[0].sent_at is not None


async def test_at_most_so_many_and_whether_there_are_more(stage: WithdrawalWorld) -> None:
    for _ in range(3):
        await stage.withdraw(await stage.agree())
    first = (await stage.poll(maxEvents=2)).json()
    assert (len(first["sets"]), first["moreAvailable"]) == (2, True)
    rest = (await stage.poll(maxEvents=2, ack=list(first["sets"]))).json()
    assert (len(rest["sets"]), rest["moreAvailable"]) == (1, False)
    none = (await stage.poll(maxEvents=0, ack=list(rest["sets"]))).json()
    assert none == {"sets": {}, "moreAvailable": False}


async def test_what_could_not_be_read_is_offered_again_later_and_stands_in_nobodys_way(stage: WithdrawalWorld) -> None:
    await stage.withdraw(await stage.agree())
    [first] = await stage.deliveries()
    error = {first.jti: {"err": "invalid_key", "description": "I do not know\nthis key"}}
    assert (await stage.poll(setErrs=error)).json()["sets"] == {}
    assert (await stage.deliveries())[0].last_error == "the recipient: invalid_key: I do not know?this key"
    await stage.withdraw(await stage.agree())
    assert first.jti not in (await stage.poll()).json()["sets"]
    stage.provider.clock.advance(minutes=11)  # type: ignore[attr-defined]
    assert first.jti in (await stage.poll()).json()["sets"]


async def test_who_waits_is_answered_when_there_is_something_or_the_time_is_over(
    stage: WithdrawalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "WAITS_SECONDS", 0.3)
    monkeypatch.setattr(events, "LOOKS_EVERY_SECONDS", 0.1)
    begun = time.monotonic()
    assert (await stage.poll(returnImmediately=False)).json()["sets"] == {}
    assert 0.3 <= time.monotonic() - begun < 10
    await stage.withdraw(await stage.agree())
    assert len((await stage.poll(returnImmediately=False)).json()["sets"]) == 1


async def test_when_too_many_wait_the_next_one_is_answered_at_once(
    stage: WithdrawalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_WAITING", 0)
    begun = time.monotonic()
    assert (await stage.poll(returnImmediately=False)).json()["sets"] == {}
    assert time.monotonic() - begun < 10


async def test_nobody_polls_or_acknowledges_anothers(stage: WithdrawalWorld) -> None:
    await stage.withdraw(await stage.agree())
    [delivery] = await stage.deliveries()
    other = await stage.world.app(client_id="lain", scopes=SCOPES)
    assert (await stage.poll(app=other, ack=[delivery.jti])).json()["sets"] == {}
    assert (await stage.poll(app=other, setErrs={delivery.jti: {"err": "x"}})).json()["sets"] == {}
    [now] = await stage.deliveries()
    assert (now.sent_at, now.last_error) == (None, None)


async def test_a_poll_that_is_not_as_written_is_refused(stage: WithdrawalWorld) -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"maxEvents": -1},
        {"maxEvents": "2"},
        {"returnImmediately": "yes"},
        {"ack": "x"},
        {"ack": [1]},
        {"ack": ["x" * 65]},
        {"setErrs": {"a": "b"}},
        {"setErrs": {"a": {}}},
    )
    for asked in wrong:
        answer = await stage.poll(**asked)
        assert (asked, answer.status_code, answer.json()["error"]) == (asked, 400, "invalid_request")


# --- providers ---


async def provider_app(stage: WithdrawalWorld, scopes: tuple[str, ...] = ("consent:events", "consent:check")) -> App:
    return await stage.world.app(
        client_id="dukcapil",
        agency_id=stage.provider_agency_id,
        grant_types=("client_credentials",),
        redirect_uris=(),
        purpose_codes=(),
        scopes=scopes,
        jwks=stage.recipient.public_jwks,
    )


async def withdrawn_with_a_use(stage: WithdrawalWorld) -> str:
    consent_id = await stage.agree()
    async with stage.provider.database.transaction() as session:
        await session.execute(
            insert(Use).values(
                id=new_row_id(stage.provider.entropy, stage.provider.clock()),
                at=stage.provider.clock(),
                subject_id=stage.siti.account_id,
                consent_id=consent_id,
                agency_id=stage.world.agency_id,
                client_id=stage.app.client_id,
                provider_agency_id=stage.provider_agency_id,
                evidence="reported",
                action="read",
                legal_basis="consent",
                body=b"",
            )
        )
    await stage.withdraw(consent_id)
    return consent_id


async def test_an_agency_that_gave_data_is_told_to_stop_giving(stage: WithdrawalWorld) -> None:
    consent_id = await withdrawn_with_a_use(stage)
    app = await provider_app(stage)
    bearer = await stage.bearer(app, scope="consent:events consent:check")
    answer = await stage.world.http.post(
        "/consent/v1/agency/events/poll", json={"returnImmediately": True}, headers=bearer
    )
    [(jti, token)] = answer.json()["sets"].items()
    stage.recipient.audience = "urn:satupintu:agency:dukcapil"
    claims = stage.recipient.verify(token)
    assert claims["sub_id"]["sub"] == stage.provider.subjects.sub(stage.siti.account_id, stage.provider_agency_id)
    assert claims["sub_id"]["sub"] != stage.sub
    assert list(claims["events"]) == [WITHDRAWN]
    assert CAEP_SESSION_REVOKED not in claims["events"]
    event = claims["events"][WITHDRAWN]
    assert (event["client_id"], event["agency"], event["attest"]) == ("sehat", "kesehatan", "stopped")

    stage.recipient.audience = "dukcapil"
    jws = stage.recipient.attestation(jti, "stopped", at=stage.provider.clock())
    answer = await stage.world.http.post(
        "/consent/v1/events/attestations",
        content=jws,
        headers=bearer | {"Content-Type": "application/consent-attestation+jwt"},
    )
    assert answer.json()["closed"] is True, answer.text
    stopping = await stage.stopping(consent_id)
    assert [(one.role, one.state) for one in stopping.recipients] == [("recipient", "waiting"), ("provider", "stopped")]
    assert (stopping.stopped, len(stopping.recipients), stopping.hours_left(stage.provider.clock())) == (1, 2, 72)


async def test_an_app_speaks_for_its_agency_only_with_the_scope_of_one_that_gives(stage: WithdrawalWorld) -> None:
    await withdrawn_with_a_use(stage)
    app = await provider_app(stage, scopes=("consent:events",))
    answer = await stage.poll(app=app, path="/agency/events/poll")
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    provider_delivery = next(one for one in await stage.deliveries() if one.role == "provider")
    stage.recipient.audience = "dukcapil"
    answer = await stage.attest(provider_delivery.jti, "stopped", app=app)
    assert answer.status_code == 404


# --- streams ---


async def stream(stage: WithdrawalWorld, method: str, *, path: str = "/stream", **options: Any) -> Any:
    return await stage.world.http.request(method, f"/consent/v1{path}", headers=await stage.bearer(), **options)


def push(url: str, **more: str) -> dict[str, Any]:
    return {"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": url, **more}}


async def test_a_stream_is_made_read_replaced_paused_and_forgotten(stage: WithdrawalWorld) -> None:
    assert (await stream(stage, "GET")).json() == []
    made = await stream(stage, "POST", json=push(ENDPOINT, authorization_header="Bearer secret-of-the-app"))
    assert made.status_code == 201, made.text
    said = made.json()
    assert (said["iss"], said["aud"]) == (stage.provider.settings.issuer, "sehat")
    assert said["delivery"] == {"method": "urn:ietf:rfc:8935", "endpoint_url": ENDPOINT}
    assert (await stream(stage, "POST", json=push(ENDPOINT))).status_code == 409
    named = {"stream_id": said["stream_id"]}
    assert (await stream(stage, "GET", params=named)).json() == said
    assert (await stream(stage, "GET", params={"stream_id": "other"})).status_code == 404
    paused = await stream(stage, "POST", path="/stream/status", json={"status": "paused"})
    assert paused.json() == named | {"status": "paused"}
    assert (await stream(stage, "GET", path="/stream/status")).json()["status"] == "paused"
    polled = await stream(stage, "PUT", json={"delivery": {"method": "urn:ietf:rfc:8936"}})
    assert polled.json()["delivery"]["endpoint_url"].endswith("/consent/v1/events/poll")
    assert (await stream(stage, "DELETE", params=named)).status_code == 204
    assert (await stream(stage, "DELETE")).status_code == 404


async def test_the_header_that_an_endpoint_wants_is_sealed_and_never_shown(stage: WithdrawalWorld) -> None:
    await stream(stage, "PUT", json=push(ENDPOINT, authorization_header="Bearer secret-of-the-app"))
    async with stage.provider.database.reading() as session:
        kept = (await session.execute(Stream.__table__.select())).one()
    assert b"secret-of-the-app" not in kept.authorization
    assert "secret-of-the-app" not in (await stream(stage, "GET")).text


async def test_an_endpoint_that_may_not_be_sent_to_is_no_stream(stage: WithdrawalWorld) -> None:
    wrong: tuple[dict[str, Any], ...] = (
        push("http://sehat.example/events"),
        push("https://10.0.0.1/events"),
        push("https://169.254.169.254/latest"),
        push("https://user:secret@sehat.example/"),
        push("https://sehat.example:22/"),
        push("file:///etc/passwd"),
        push(ENDPOINT, authorization_header="a\r\nX-Other: b"),
        {"delivery": {"method": "urn:ietf:rfc:8935"}},
        {"delivery": {"method": "carrier pigeon"}},
        {},
    )
    for said in wrong:
        assert (said, (await stream(stage, "PUT", json=said)).status_code) == (said, 400)
    assert (await stream(stage, "GET")).json() == []


async def test_a_withdrawal_cannot_be_switched_off(stage: WithdrawalWorld) -> None:
    await stream(stage, "PUT", json=push(ENDPOINT) | {"events_requested": ["https://example/other"]})
    assert WITHDRAWN in (await stream(stage, "GET")).json()[0]["events_delivered"]
    answer = await stream(stage, "POST", path="/stream/status", json={"status": "disabled"})
    assert answer.status_code == 400


async def test_the_transmitter_says_what_it_is(stage: WithdrawalWorld) -> None:
    said = (await stage.world.http.get("/.well-known/ssf-configuration")).json()
    assert said["issuer"] == stage.provider.settings.issuer
    assert said["delivery_methods_supported"] == ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"]
    for endpoint in ("configuration_endpoint", "status_endpoint"):
        assert (await stage.world.http.get(said[endpoint])).status_code == 401
    assert (await stage.world.http.get(said["jwks_uri"])).status_code == 200
