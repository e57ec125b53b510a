"""What is tried at the same moment at two processes: once means once, whichever of them is asked.

Each test holds its own race, and says how it ended.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from consent.agencies import agency_by_code
from consent.models import ConsentEvent, ConsentRecord
from idp.accounts.directory import find_by_username
from idp.audit import AuditEvent
from idp.clients.management import ClientSpec, create_client
from idp.clock import system_clock
from idp.grants.refresh_token import Link, Use, judge
from idp.replay import UsedOnce
from idp.settings import Settings
from idp.throttle import Throttle
from idp.tokens.models import Authorization, RefreshToken
from keys.entropy import SystemEntropy
from tests.concurrency.invariants import check_invariants
from tests.support.assertions import AssertionKey
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_postgresql, only_sqlite
from tests.support.service import ALIVE, DEAD, Service
from tests.support.telling import tell

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]


async def at_once(*work: Coroutine[Any, Any, httpx2.Response]) -> list[httpx2.Response]:
    """Everything at the same moment."""
    return list(await asyncio.gather(*work))


def outcomes(answers: list[httpx2.Response]) -> Counter[str]:
    """How often each answer came: `200`, or the error by its name."""
    return Counter("200" if one.status_code == 200 else one.json()["error"] for one in answers)


async def count(service: Service, *conditions: Any) -> int:
    """How many rows there are that meet the conditions."""
    async with service.database.reading() as session:
        return await session.scalar(select(func.count()).where(*conditions)) or 0


async def account_of(service: Service, username: str) -> str:
    """A person's id, by which rows are told from those of other tests."""
    async with service.database.reading() as session:
        account = await find_by_username(session, username)
    assert account is not None
    return account.id


# --- codes ---


@pytest.mark.threat("N22", "N23")
async def test_of_twenty_redemptions_at_once_one_succeeds_and_its_tokens_end(shared_service: Service) -> None:
    await redeem_twenty_times(shared_service)


@only_sqlite
@pytest.mark.threat("N22", "N23")
async def test_of_twenty_redemptions_at_once_one_succeeds_on_sqlite_too(service: Service) -> None:
    await redeem_twenty_times(service)


async def redeem_twenty_times(service: Service) -> None:
    """Twenty apps, or one app and nineteen thieves, show the same code."""
    places = len(service.processes)
    (citizen,) = await service.citizens(1)
    account_id = await account_of(service, citizen)
    app, code = await service.agree(citizen, "health")
    answers = await at_once(*(service.redeem(app, "health", code, at=place % places) for place in range(20)))
    assert outcomes(answers) == {"200": 1, "invalid_grant": 19}
    tokens = next(one.json() for one in answers if one.status_code == 200)
    # Two parties held the code, and nobody can tell which of them stole it: the family is dead for both.
    assert await service.lives("health", tokens["access_token"]) == DEAD
    assert outcomes(await at_once(service.refresh("health", tokens["refresh_token"], at=0))) == {"invalid_grant": 1}
    assert (
        await count(service, Authorization.account_id == account_id, Authorization.revoked_because == "code_reuse") == 1
    )
    replays = await count(service, AuditEvent.account_id == account_id, AuditEvent.kind == "token.code_replayed")
    assert replays == 19
    tell(f"20 redemptions at {places} processes: {outcomes(answers)}, {replays} replays recorded")


# --- refresh tokens ---


@pytest.mark.threat("N28")
async def test_ten_refreshes_at_once_are_one_lineage(shared_service: Service) -> None:
    service = shared_service
    (citizen,) = await service.citizens(1)
    tokens = (await service.log_in(citizen, "health")).token
    old = tokens["refresh_token"]
    answers = await at_once(*(service.refresh("health", old, at=place % 2) for place in range(10)))
    assert outcomes(answers) == {"200": 10}, "each asks within the window: whoever lost the answer gets it again"
    successors = {one.json()["refresh_token"] for one in answers}
    assert len(successors) == 1
    family = select(Authorization.id).where(Authorization.account_id == await account_of(service, citizen))
    assert await count(service, RefreshToken.authorization_id.in_(family)) == 2
    (successor,) = successors
    again = await service.refresh("health", successor, at=1)
    assert again.status_code == 200
    # The successor was used, so its owner has it: whoever shows the old one now is somebody else.
    assert outcomes([await service.refresh("health", old, at=0)]) == {"invalid_grant": 1}
    assert outcomes([await service.refresh("health", again.json()["refresh_token"], at=1)]) == {"invalid_grant": 1}
    assert await service.lives("health", again.json()["access_token"]) == DEAD
    tell(f"10 refreshes: {outcomes(answers)}, {len(successors)} successor; the old one afterwards ended the family")


class TestWithoutARetryWindow:
    @pytest.fixture
    def served_settings(self, served_settings: Settings) -> Settings:
        return served_settings.model_copy(update={"refresh_retry_window": 0})

    @only_postgresql
    @pytest.mark.threat("N28")
    async def test_of_ten_refreshes_at_once_one_succeeds_and_the_family_ends(self, service: Service) -> None:
        tokens = (await service.log_in("siti", "health")).token
        old = tokens["refresh_token"]
        answers = await at_once(*(service.refresh("health", old, at=place % 2) for place in range(10)))
        assert outcomes(answers) == {"200": 1, "invalid_grant": 9}
        successor = next(one.json() for one in answers if one.status_code == 200)
        assert await service.lives("health", successor["access_token"]) == DEAD
        refused = await service.refresh("health", successor["refresh_token"], at=1)
        assert outcomes([refused]) == {"invalid_grant": 1}
        tell(f"10 refreshes without a window: {outcomes(answers)}")


@pytest.mark.threat("N28")
@pytest.mark.parametrize(
    ("window", "earlier", "expected"),
    [(0, 0.001, Use.REUSE), (0, 3600, Use.REUSE), (10, 0.001, Use.RETRY), (10, 9, Use.RETRY), (10, 10, Use.REUSE)],
)
def test_a_clock_that_is_behind_opens_no_longer_window(window: int, earlier: float, expected: Use) -> None:
    now = system_clock()
    link = Link(rotated_at=now + timedelta(seconds=earlier), has_successor=True, successor_rotated_at=None)
    assert judge(link, now=now, retry_window=timedelta(seconds=window)) is expected


# --- client assertions ---


@pytest.mark.threat("N57")
async def test_an_assertion_shown_to_both_processes_at_once_counts_once(shared_service: Service) -> None:
    service = shared_service
    key = AssertionKey()
    async with service.database.transaction() as session:
        agency = await agency_by_code(session, "kemenkes")
        assert agency is not None
        spec = ClientSpec(
            agency_id=agency.id,
            names={"id": "Mesin", "en": "Machine"},
            grant_types=("client_credentials",),
            token_endpoint_auth_method="private_key_jwt",
            jwks=key.jwks,
            scopes=("antrean.baca",),
        )
        client, _ = await create_client(session, spec, now=system_clock(), entropy=SystemEntropy())
    rounds = 5
    total: Counter[str] = Counter()
    for _ in range(rounds):
        form = {"grant_type": "client_credentials", **key.form(client.client_id, aud=service.issuer)}
        total += outcomes(await at_once(*(service.post("/token", at=place % 2, data=form) for place in range(8))))
    assert total == {"200": rounds, "invalid_client": 7 * rounds}
    assert await count(service, UsedOnce.kind == "client_assertion") == rounds
    tell(f"{rounds} assertions, each shown 8 times at once: {total}")


# --- passwords ---


async def guess(user: BrowserUser, name: str, password: str) -> int:
    """The status of one more try with the form that is open."""
    form = user.page.form_with("continue")
    fields = {field.name: field.value for field in form.fields if field.kind == "hidden"}
    answer = await user.client.post(
        user.page.url,
        data={**fields, "username": name, "password": password},
        headers={"Sec-Fetch-Site": "same-origin"},
        follow_redirects=False,
    )
    return answer.status_code


async def test_fifty_wrong_passwords_at_once_count_fifty(shared_service: Service) -> None:
    service = shared_service
    (citizen,) = await service.citizens(1)
    known = service.browser(at=0, address="127.0.0.9")
    await service.log_in(citizen, "health", user=known)
    # One address, two browsers, each at a process of its own.
    thieves = [service.browser(at=place, address="127.0.0.9") for place in (0, 1)]
    for one in thieves:
        await service.ask(one, service.app("health"), "health")
    answers = Counter(await asyncio.gather(*(guess(thieves[place % 2], citizen, "salah") for place in range(50))))
    assert answers == {400: service.settings.login_failures_per_account, 429: 40}
    async with service.database.reading() as session:
        counts = list(await session.scalars(select(Throttle.count).where(Throttle.count > 0)))
    # This address at all accounts and at this one; of all strangers, only guesses that their address had room for.
    assert sorted(counts)[-3:] == [10, 50, 50]
    account_id = await account_of(service, citizen)
    assert await count(service, AuditEvent.account_id == account_id, AuditEvent.kind == "login.refused") == 10
    assert await count(service, AuditEvent.account_id == account_id, AuditEvent.kind == "login.throttled") == 1

    # Not from the thieves' address, though the password be right; but from anywhere else, and from the own browser.
    right = service.password(citizen)
    assert await guess(thieves[0], citizen, right) == 429
    elsewhere = service.browser(at=1, address="127.0.0.2")
    await service.ask(elsewhere, service.app("health"), "health")
    assert await guess(elsewhere, citizen, right) == 303
    await service.ask(known, service.app("health"), "health", prompt="login")
    assert await guess(known, citizen, right) == 303
    tell(f"50 wrong passwords: {dict(answers)}, each counted; the right one: 429 there, 303 elsewhere and at home")


# --- consent ---


async def test_two_tabs_that_allow_at_once_leave_one_consent_in_force(shared_service: Service) -> None:
    service = shared_service
    citizens = await service.citizens(6)
    for citizen in citizens:
        user = service.browser()
        await service.ask(user, service.app("health"), "health")
        await user.log_in(citizen, service.password(citizen))
        tabs = []
        for place in (0, 1):
            tab = service.browser(at=place)
            tab.client.cookies.jar = user.client.cookies.jar
            app = service.app("health")
            await service.ask(tab, app, "health")
            tabs.append((tab, app))
        await asyncio.gather(*(tab.allow() for tab, _ in tabs))
        for place, (tab, app) in enumerate(tabs):
            answer = await service.redeem(app, "health", tab.callback_parameters["code"], at=place)
            assert answer.status_code == 200, answer.text
            assert await service.lives("health", answer.json()["access_token"]) == ALIVE
        mine = ConsentRecord.subject_id == await account_of(service, citizen)
        assert await count(service, mine, ConsentRecord.status == "given") == 1
        assert await count(service, mine) in {1, 2}, "the second tab replaces the first's, or came late and needs none"
    found = await check_invariants(service.database)
    tell(f"{len(citizens)} times two tabs: both codes good, one consent in force each; in all {found}")


async def test_a_double_click_on_allow_consents_once(shared_service: Service) -> None:
    service = shared_service
    citizens = await service.citizens(5)
    answers: Counter[int] = Counter()
    for citizen in citizens:
        user = service.browser()
        await service.ask(user, service.app("health"), "health")
        await user.log_in(citizen, service.password(citizen))
        form = user.page.form_with("allow")
        clicks = await at_once(
            *(
                user.client.post(
                    user.page.url,
                    data={**dict(form.values()), "decision": "allow"},
                    headers={"Sec-Fetch-Site": "same-origin"},
                    follow_redirects=False,
                )
                for _ in range(2)
            )
        )
        answers.update(one.status_code for one in clicks)
        account_id = await account_of(service, citizen)
        assert await count(service, ConsentRecord.subject_id == account_id, ConsentRecord.status == "given") == 1
        assert await count(service, ConsentEvent.subject_id == account_id) == 1
        assert await count(service, Authorization.account_id == account_id) == 1
    assert answers == {303: len(citizens), 400: len(citizens)}, "one click is answered, the other finds it done"
    tell(f"{len(citizens)} double clicks: {dict(answers)}, one consent and one code each")
