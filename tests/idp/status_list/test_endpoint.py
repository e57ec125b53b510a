"""`/status-lists`: a signed token that anybody can check, fresh at each question, and cheap to ask for again."""

import asyncio
import gzip
from typing import Any

import jwt
import pytest

from idp.status_list import builds
from idp.status_list.places import BLOCK, SIZE
from tests.idp.status_list.reading import INVALID, VALID, keys_of, status_of, verified
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.token_world import World, claims_in

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "LONGEST_PAUSE", 0.01)


async def a_token(world: World) -> str:
    token: str = (await world.tokens(await world.app(), await world.citizen()))["access_token"]
    return token


def list_of(token: str) -> str:
    uri: str = claims_in(token)["status"]["status_list"]["uri"]
    return uri


async def test_the_token_is_what_the_draft_says(world: World, clock: FakeClock) -> None:
    uri = list_of(await a_token(world))
    answer = await world.http.get(uri)
    claims = verified(answer.text, await keys_of(world.http), typ="statuslist+jwt")
    now = int(clock().timestamp())
    assert claims.keys() == {"iss", "sub", "iat", "exp", "ttl", "status_list"}
    assert (claims["sub"], claims["iat"], claims["exp"], claims["ttl"]) == (uri, now, now + 180, 60)
    assert claims["status_list"]["bits"] == 2
    assert claims["status_list"]["aggregation_uri"] == "https://idp.test/status-lists"
    assert "=" not in claims["status_list"]["lst"]


@only_sqlite
async def test_an_access_token_passes_for_no_list_and_a_list_for_no_access_token(world: World) -> None:
    token = await a_token(world)
    listed = (await world.http.get(list_of(token))).text
    assert jwt.get_unverified_header(listed)["typ"] != jwt.get_unverified_header(token)["typ"]
    assert (await world.userinfo(listed)).status_code == 401


@only_sqlite
async def test_nothing_on_it_names_anybody(world: World) -> None:
    token = await a_token(world)
    answer = await world.http.get(list_of(token))
    said = claims_in(answer.text)
    assert claims_in(token)["sub"] not in str(said)
    assert len(answer.content) < 1000


@only_sqlite
async def test_the_lists_that_are_served_are_listed(world: World, clock: FakeClock) -> None:
    metadata = (await world.http.get("/.well-known/openid-configuration")).json()
    where = metadata["status_list_aggregation_endpoint"]
    assert (await world.http.get(where)).json() == {"status_lists": []}
    uri = list_of(await a_token(world))
    answer = await world.http.get(where)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"status_lists": [uri]}
    clock.advance(24 * 3600)
    assert (await world.http.get(where)).json() == {"status_lists": []}


@only_sqlite
@pytest.mark.parametrize("list_id", ["1", "00", "-1", "x", "9" * 12, "9" * 13, "%00", "0/", "1.0", "٣"])
async def test_there_is_no_other_list(world: World, list_id: str) -> None:
    await a_token(world)
    answer = await world.http.get(f"/status-lists/{list_id}")
    assert answer.status_code == 404


@only_sqlite
async def test_what_is_not_offered_is_refused_as_the_draft_says(world: World) -> None:
    uri = list_of(await a_token(world))
    assert (await world.http.get(uri, params={"time": "1686925000"})).status_code == 501
    assert (await world.http.get(uri, headers={"Accept": "application/statuslist+cwt"})).status_code == 406
    assert (await world.http.get(uri, headers={"Accept": "*/*;q=0"})).status_code == 406
    assert (await world.http.get(uri, headers={"Accept": "text/html, */*;q=0.1"})).status_code == 200
    assert (await world.http.post(uri)).status_code == 405


@only_sqlite
@pytest.mark.threat("N85")
async def test_browsers_may_read_it(world: World) -> None:
    uri = list_of(await a_token(world))
    for path in (uri, "/status-lists"):
        answer = await world.http.get(path, headers={"Origin": "https://anybody.test"})
        assert answer.headers["access-control-allow-origin"] == "*"


@only_sqlite
async def test_who_has_it_is_not_sent_it_again_until_it_says_something_else(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    uri = list_of(token)
    first = await world.http.get(uri)
    assert first.headers["cache-control"] == "public, max-age=30"
    known = {"If-None-Match": first.headers["etag"]}
    clock.advance(29)
    again = await world.http.get(uri, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    await world.withdraw(siti, world.consents[app.client_id])
    changed = await world.http.get(uri, headers=known)
    assert changed.status_code == 200
    assert await status_of(world.http, token) == INVALID
    # An old one is signed anew: it would run out in the hands of whoever keeps it.
    clock.advance(31)
    renewed = await world.http.get(uri, headers={"If-None-Match": changed.headers["etag"]})
    assert (renewed.status_code, claims_in(renewed.text)["iat"]) == (200, int(clock().timestamp()))


@only_sqlite
async def test_it_is_compressed_for_who_can_read_that(world: World) -> None:
    uri = list_of(await a_token(world))
    plain = await world.http.get(uri, headers={"Accept-Encoding": "identity"})
    request = world.http.build_request("GET", uri, headers={"Accept-Encoding": "br, gzip"})
    answer = await world.http.send(request, stream=True)
    raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    assert answer.headers["etag"] != plain.headers["etag"]
    assert answer.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    refusing = await world.http.get(uri, headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refusing.headers


async def test_a_withdrawal_is_on_the_very_next_answer_however_many_ask(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    asking = [asyncio.create_task(status_of(world.http, token)) for _ in range(20)]
    await asyncio.sleep(0)
    await world.withdraw(siti, world.consents[app.client_id])
    assert await asyncio.gather(*(status_of(world.http, token) for _ in range(5))) == [INVALID] * 5
    assert set(await asyncio.gather(*asking)) <= {VALID, INVALID}


async def test_no_two_tokens_have_one_place(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti, scope=("openid", "offline_access"))
    own = (await world.token(app, grant_type="client_credentials")).json()["access_token"]
    refreshed = (await world.refresh(app, tokens["refresh_token"])).json()["access_token"]
    places: list[dict[str, Any]] = [
        claims_in(token)["status"]["status_list"] for token in (tokens["access_token"], own, refreshed)
    ]
    assert len({(place["uri"], place["idx"]) for place in places}) == 3
    assert all(0 <= place["idx"] < SIZE for place in places)
    assert len({place["idx"] // BLOCK for place in places}) == 1


async def test_introspection_passes_the_place_through(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    assert (await world.introspect(app, token))["status"] == claims_in(token)["status"]
