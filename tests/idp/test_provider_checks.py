"""`/consent/v1/check`: who may ask, what they are told, and at what cost."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import select

from consent.models import Agency, ConsentRecord, PurposeVersion
from consent.uses.models import ExpectedUse
from consent.uses.recorder import TooManyUses
from idp.accounts.models import Account
from idp.clients.models import Client
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.provider_world import API, CARD, DOMICILE, TAX, ProviderWorld, new_provider_world
from tests.support.statements import statements
from tests.support.token_world import World, claims_in

pytestmark = pytest.mark.anyio


@pytest.fixture
async def stage(world: World) -> ProviderWorld:
    return await new_provider_world(world)


async def test_the_holder_of_the_data_learns_that_it_may_be_given(stage: ProviderWorld, clock: FakeClock) -> None:
    consent_id = await stage.record()
    told = await stage.check()
    assert UUID(told.pop("reference")).version == 7
    assert told == {
        "permitted": True,
        "reason": "permitted",
        "reason_text": "the items may be given",
        "items": [CARD],
        "checked_at": clock().isoformat(),
        "consent_id": consent_id,
        "purpose": stage.world.purpose.code,
        "purpose_version": 1,
        "legal_basis": "consent",
        "fetch_type": "periodic",
        "valid_until": (clock() + timedelta(days=30)).isoformat(),
    }


async def test_both_methods_give_one_answer(stage: ProviderWorld) -> None:
    await stage.record()
    asked = stage.question()
    query = [(name, asked[name]) for name in ("client_id", "sub", "purpose")] + [("item", CARD), ("item", TAX)]
    by_address = await stage.http.get("/consent/v1/check", params=query, headers=await stage.bearer("dukcapil"))
    by_body = await stage.check(items=[CARD, TAX])
    assert by_address.json() == by_body | {"reference": by_address.json()["reference"]}
    assert by_body["missing"] == [TAX]
    assert by_address.headers["cache-control"] == "no-store"


async def test_the_provider_of_an_agreement_is_told_of_what_the_agreement_has(stage: ProviderWorld) -> None:
    version = await stage.agreement(provider="pajak", items=(CARD, TAX))
    await stage.record(agreement_version_id=version, granted=["email", CARD], refused=[])
    assert (await stage.check("pajak"))["items"] == [CARD]
    assert (await stage.check("pajak", items=["email"]))["permitted"] is False
    assert (await stage.check("pajak", items=None))["items"] == [CARD]
    assert (await stage.check("kesehatan", items=["email"]))["permitted"] is True
    assert (await stage.check("dukcapil", items=[CARD]))["permitted"] is True


@pytest.mark.threat("N31")
async def test_a_foreign_agency_learns_nothing(stage: ProviderWorld) -> None:
    """Whoever asks about another's people gets what they get about nobody, to the letter."""
    nobody = await stage.check("pajak", sub="nobody-at-all", items=[CARD])
    del nobody["checked_at"]
    for status in ("given", "paused", "withdrawn", "refused"):
        await stage.record(status=status, refused=[])
        for items in ([CARD], [TAX], ["email"], None):
            told = await stage.check("pajak", items=items)
            del told["checked_at"]
            assert told == nobody, (status, items)
        await stage.change(ConsentRecord, status="superseded")
    assert nobody == {"permitted": False, "reason": "no_consent", "reason_text": "the consent is missing", "items": []}


@pytest.mark.parametrize(
    ("table", "values", "reason"),
    [
        (ConsentRecord, {"status": "withdrawn"}, "withdrawn"),
        (ConsentRecord, {"status": "paused"}, "paused"),
        (ConsentRecord, {"granted": ["email", DOMICILE]}, "items"),
        (ConsentRecord, {"fetch_type": "onetime", "used": 1}, "uses_spent"),
        (PurposeVersion, {"status": "ended"}, "purpose_ended"),
        (Client, {"status": "disabled"}, "not_served"),
        (Client, {"agency_id": None}, "other_agency"),
        (Account, {"disabled_at": True}, "not_served"),
    ],
)
async def test_the_next_answer_is_another_when_anything_ended(
    stage: ProviderWorld, clock: FakeClock, table: type[Any], values: dict[str, Any], reason: str
) -> None:
    await stage.record()
    assert (await stage.check())["permitted"] is True
    known = {"disabled_at": clock(), "agency_id": stage.agencies["pajak"]}
    values = {name: known.get(name, value) for name, value in values.items()}
    async with stage.provider.database.transaction() as session:
        rows = table.__table__
        update = rows.update().values(**values)
        if table is Client:
            update = update.where(Client.client_id == stage.app.client_id)
        await session.execute(update)
    told = await stage.check()
    assert (told["permitted"], told["reason"]) == (False, reason)
    assert told["items"] == []


async def test_the_time_of_a_consent_is_over_to_the_second(stage: ProviderWorld, clock: FakeClock) -> None:
    await stage.record(valid_until=clock() + timedelta(seconds=60))
    await stage.bearer("dukcapil")
    clock.advance(59)
    assert (await stage.check())["permitted"] is True
    clock.advance(1)
    assert (await stage.check())["reason"] == "expired"


async def test_what_stands_counts_before_what_came_later(stage: ProviderWorld, clock: FakeClock) -> None:
    """A person who refused to give more has taken nothing back."""
    given = await stage.record()
    clock.advance(5)
    await stage.record(status="refused", granted=[], refused=[CARD])
    assert (await stage.check())["consent_id"] == given
    await stage.change(ConsentRecord, status="withdrawn")
    assert (await stage.check())["reason"] == "withdrawn"


# --- by the recipient's own token ---


async def presented(stage: ProviderWorld, resource: str = API, **changes: Any) -> str:
    """The app's access token for an API, after Siti agreed to what `changes` say."""
    granted = ("name", "email")
    consent_id = await stage.world.consent(stage.app, stage.siti, granted=granted)
    values = {"granted": ["email", CARD], "refused": [], "subject_ref": stage.sub} | changes
    await stage.change(ConsentRecord, **values)
    tokens = await stage.world.tokens(stage.app, stage.siti, consent_id=consent_id, resources=(resource,))
    token: str = tokens["access_token"]
    return token


def by_token(token: str, **changes: Any) -> dict[str, Any]:
    return {"client_id": None, "sub": None, "purpose": None, "token": token, **changes}


async def test_a_token_says_who_and_what_for(stage: ProviderWorld) -> None:
    token = await presented(stage)
    told = await stage.check(**by_token(token))
    assert (told["permitted"], told["items"]) == (True, [CARD])
    assert told["purpose"] == stage.world.purpose.code
    named = by_token(token, client_id=stage.app.client_id, purpose=stage.world.purpose.code)
    assert (await stage.check(**named))["permitted"] is True


@pytest.mark.threat("N31")
async def test_a_token_for_another_door_tells_nothing(stage: ProviderWorld) -> None:
    invented = await stage.check(**by_token("a.b.c"))
    token = await presented(stage, "https://api.pajak.test")
    mine = (await stage.world.token(stage.callers["dukcapil"], grant_type="client_credentials")).json()["access_token"]
    told = [await stage.check(**by_token(other)) for other in (token, token[:-1], mine, "x")]
    for one in (*told, invented):
        del one["checked_at"]
    assert all(one == invented for one in told)
    assert invented["reason"] == "token_not_valid"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [("withdrawn", "withdrawn"), ("revoked", "token_not_valid"), ("time", "token_not_valid"), ("purpose", None)],
)
async def test_a_token_is_alive_or_worth_nothing(
    stage: ProviderWorld, clock: FakeClock, cause: str, reason: str | None
) -> None:
    token = await presented(stage)
    named: dict[str, Any] = {}
    if cause == "withdrawn":
        await stage.world.withdraw(stage.siti, stage.world.consents[stage.app.client_id])
    elif cause == "revoked":
        await stage.http.post("/revoke", data={"token": token}, headers=stage.app.basic)
    elif cause == "time":
        clock.advance(600)
        stage.tokens.clear()
    else:
        named["purpose"], reason = "another", "token_not_valid"
    told = await stage.check(**by_token(token, **named))
    assert (told["permitted"], told["reason"], told["items"]) == (False, reason, [])


# --- who may ask at all ---


async def refused(stage: ProviderWorld, headers: Mapping[str, str]) -> httpx2.Response:
    return await stage.http.post("/consent/v1/check", json=stage.question(), headers=headers)


@only_sqlite
@pytest.mark.threat("N31")
async def test_only_an_apps_own_token_with_the_scope_may_ask(stage: ProviderWorld) -> None:
    await stage.record()
    app = stage.callers["dukcapil"]
    other_scope = await stage.world.token(app, grant_type="client_credentials", scope="reports:read")
    persons = await stage.world.tokens(stage.app, await stage.world.citizen("budi"))
    for sent, status, error in (
        ({}, 401, "invalid_token"),
        ({"Authorization": "Bearer x"}, 401, "invalid_token"),
        (app.basic, 401, "invalid_token"),
        ({"Authorization": f"Bearer {persons['access_token']}"}, 401, "invalid_token"),
        ({"Authorization": f"Bearer {other_scope.json()['access_token']}"}, 403, "insufficient_scope"),
    ):
        answer = await refused(stage, sent)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert answer.headers["www-authenticate"].startswith("Bearer ")


@only_sqlite
async def test_a_suspended_agency_asks_in_vain(stage: ProviderWorld) -> None:
    await stage.record()
    bearer = await stage.bearer("dukcapil")
    async with stage.provider.database.transaction() as session:
        agency = await session.get(Agency, stage.agencies["dukcapil"])
        assert agency is not None
        agency.status = "suspended"
    answer = await refused(stage, bearer)
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")


@only_sqlite
@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None},
        {"client_id": None},
        {"purpose": None},
        {"token": "a.b.c"},
        {"items": []},
        {"items": [CARD] * 101},
        {"items": CARD},
        {"items": ["\x00"]},
        {"sub": "\x00"},
        {"sub": "é"},
        {"sub": 1},
        {"client_id": "a b"},
        {"item": [CARD]},
        {"purpose": "x" * 256},
    ],
)
async def test_a_question_that_is_not_as_documented_is_refused_without_repeating_it(
    stage: ProviderWorld, changes: dict[str, Any]
) -> None:
    answer = await stage.http.post(
        "/consent/v1/check", json=stage.question(**changes), headers=await stage.bearer("dukcapil")
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert stage.sub not in answer.text


@only_sqlite
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'{"sub": "a", "sub": "b"}', "application/json"),
        (b'{"sub": null, "client_id": "a", "purpose": "b"}', "application/json"),
        (b'{"token": "a.b.c", "items": null}', "application/json"),
        (b"{}", "text/plain"),
        (b"\xff", "application/json"),
        (b"[" * 5000, "application/json"),
    ],
)
async def test_what_can_be_read_in_two_ways_is_not_read(stage: ProviderWorld, body: bytes, kind: str) -> None:
    headers = {**await stage.bearer("dukcapil"), "Content-Type": kind}
    assert (await stage.http.post("/consent/v1/check", content=body, headers=headers)).status_code == 400


@only_sqlite
@pytest.mark.parametrize("extra", [[("sub", "x")], [("token", "a.b.c")], [("items", CARD)], [("x", "y")]])
async def test_an_address_says_each_thing_once_and_never_a_token(
    stage: ProviderWorld, extra: list[tuple[str, str]]
) -> None:
    asked = stage.question()
    query = [(name, asked[name]) for name in ("client_id", "sub", "purpose")] + extra
    answer = await stage.http.get("/consent/v1/check", params=query, headers=await stage.bearer("dukcapil"))
    assert answer.status_code == 400


# --- what it costs ---


@pytest.mark.parametrize(
    ("caller", "changes", "notes"),
    [
        ("kesehatan", {}, 0),
        ("kesehatan", {"items": [TAX]}, 0),
        ("dukcapil", {"items": [TAX]}, 0),
        ("dukcapil", {"sub": "nobody"}, 0),
        ("dukcapil", {}, 1),
    ],
)
async def test_a_check_is_one_statement_with_the_callers_token_in_it_and_a_yes_is_noted_in_another(
    stage: ProviderWorld, caller: str, changes: dict[str, Any], notes: int
) -> None:
    await stage.record()
    await stage.check(caller, **changes)
    with statements(stage.provider.database) as seen:
        await stage.check(caller, **changes)
    assert len([one for one in seen if "FROM idp_access_tokens" in one]) == 1
    assert len([one for one in seen if "INSERT INTO consent_expected_uses" in one]) == notes
    # SQLite has no rows that depend on others within one statement: there, the note looks first.
    assert len(seen) == 1 + notes * (2 if stage.provider.database.is_sqlite else 1)


# --- what is expected to be reported ---


async def expected(stage: ProviderWorld) -> list[ExpectedUse]:
    async with stage.provider.database.reading() as session:
        return list((await session.scalars(select(ExpectedUse).order_by(ExpectedUse.at))).all())


async def test_a_yes_to_another_agency_is_expected_to_be_reported(stage: ProviderWorld, clock: FakeClock) -> None:
    consent_id = await stage.record()
    told = await stage.check()
    (noted,) = await expected(stage)
    assert (noted.reference, noted.kind, noted.reported_at) == (told["reference"], "check", None)
    assert (noted.provider_agency_id, noted.agency_id) == (stage.agencies["dukcapil"], stage.agencies["kesehatan"])
    assert (noted.client_id, noted.consent_id, noted.at) == (stage.app.client_id, consent_id, clock())
    assert (await stage.check(items=[CARD, TAX]))["reference"] != told["reference"]
    assert len(await expected(stage)) == 2


async def test_where_nothing_goes_to_another_agency_nothing_is_expected(stage: ProviderWorld) -> None:
    await stage.record()
    for caller, items in (("kesehatan", [CARD]), ("dukcapil", [TAX]), ("pajak", [CARD])):
        assert "reference" not in await stage.check(caller, items=items)
    assert await expected(stage) == []


async def test_a_consent_that_ends_between_the_look_and_the_answer_is_no_yes(
    stage: ProviderWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.record()
    await stage.bearer("dukcapil")
    note = stage.provider.checks.record

    async def after_a_withdrawal(row: Mapping[str, Any]) -> None:
        await stage.change(ConsentRecord, status="withdrawn")
        await note(row)

    monkeypatch.setattr(stage.provider.checks, "record", after_a_withdrawal)
    told = await stage.check()
    assert (told["permitted"], told["reason"]) == (False, "withdrawn")
    assert await expected(stage) == []


@only_sqlite
async def test_what_cannot_be_noted_is_not_permitted(stage: ProviderWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.record()
    bearer = await stage.bearer("dukcapil")

    async def too_many(_row: Mapping[str, Any]) -> None:
        raise TooManyUses

    monkeypatch.setattr(stage.provider.checks, "record", too_many)
    answer = await refused(stage, bearer)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


async def test_a_check_by_token_costs_one_statement_too(stage: ProviderWorld) -> None:
    token = await presented(stage)
    await stage.check(**by_token(token))
    with statements(stage.provider.database) as seen:
        told = await stage.check(**by_token(token, items=[CARD, DOMICILE]))
    assert told["missing"] == [DOMICILE]
    # It was noted when the token was issued.
    assert told["reference"] == claims_in(token)["jti"]
    assert len(seen) == 1
