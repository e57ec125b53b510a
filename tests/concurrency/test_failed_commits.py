"""A commit that fails is an error that the caller sees, and nothing was issued: no code, no token, no quiet 200.

The database refuses at COMMIT, after every statement has succeeded: the latest moment at which it can.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from consent.models import ConsentRecord
from idp.accounts.directory import find_by_username
from idp.browser import SESSION_COOKIE
from idp.tokens.models import Authorization
from tests.concurrency.invariants import check_invariants
from tests.concurrency.stalling import failing
from tests.support.browser_user import BrowserUser
from tests.support.service import ALIVE, DEAD, Service
from tests.support.telling import tell

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]

NEVER = ("code=", "access_token", "refresh_token", "id_token")


def is_a_clean_failure(answer: httpx2.Response) -> bool:
    """Whether the answer is a 5xx that hands out nothing."""
    hands_out = "location" in answer.headers or any(word in answer.text for word in NEVER)
    return answer.status_code >= 500 and not hands_out


async def new_citizen(service: Service) -> tuple[str, str]:
    """A username, and the account's id."""
    (name,) = await service.citizens(1)
    async with service.database.reading() as session:
        account = await find_by_username(session, name)
    assert account is not None
    return name, account.id


async def count(service: Service, *conditions: Any) -> int:
    """How many rows meet the conditions."""
    async with service.database.reading() as session:
        return await session.scalar(select(func.count()).where(*conditions)) or 0


@pytest.mark.threat("N92")
@pytest.mark.parametrize(
    "table", ["consent_records", "consent_events", "consent_shown_texts", "idp_audit_events", "idp_authorizations"]
)
async def test_a_consent_that_cannot_be_written_gives_no_code(shared_service: Service, table: str) -> None:
    service = shared_service
    name, account_id = await new_citizen(service)
    user, app = service.browser(), service.app("health")
    await service.ask(user, app, "health", ui_locales="en" if table == "consent_shown_texts" else "id")
    await user.log_in(name, service.password(name))
    page = user.page.url
    async with failing(service.settings.url, table):
        await user.allow()
        assert not user.is_at_app
        assert is_a_clean_failure(user.page.response), user.page.text
        assert await count(service, ConsentRecord.subject_id == account_id) == 0
        assert await count(service, Authorization.account_id == account_id) == 0
    # The page is still there, and the same press works once the database does.
    await user.open(page)
    await user.allow()
    assert (await service.redeem(app, "health", user.callback_parameters["code"], at=0)).status_code == 200
    tell(f"COMMIT failed on {table}: an error page, nothing issued; {await check_invariants(service.database)}")


@pytest.mark.threat("N92")
async def test_a_returning_citizen_gets_no_code_that_was_not_committed(shared_service: Service) -> None:
    service = shared_service
    name, account_id = await new_citizen(service)
    user, app = service.browser(), service.app("health")
    await service.log_in(name, "health", user=user)
    async with failing(service.settings.url, "idp_authorizations"):
        await service.ask(user, app, "health")
        assert not user.is_at_app
        assert is_a_clean_failure(user.page.response), user.page.text
        await service.ask(user, app, "health", prompt="none")
        assert not user.is_at_app
    assert await count(service, Authorization.account_id == account_id) == 1


async def redeem(service: Service, name: str) -> Callable[[], Awaitable[httpx2.Response]]:
    app, code = await service.agree(name, "health")
    return lambda: service.redeem(app, "health", code, at=0)


async def refresh(service: Service, name: str) -> Callable[[], Awaitable[httpx2.Response]]:
    login = await service.log_in(name, "health")
    return lambda: service.refresh("health", login.refresh_token, at=0)


@pytest.mark.threat("N92")
@pytest.mark.parametrize(
    ("prepare", "table"),
    [
        (redeem, "idp_access_tokens"),
        (redeem, "idp_refresh_tokens"),
        (redeem, "idp_authorizations"),
        (refresh, "idp_access_tokens"),
        (refresh, "idp_refresh_tokens"),
    ],
)
async def test_tokens_that_cannot_be_written_are_not_given(
    shared_service: Service,
    prepare: Callable[[Service, str], Awaitable[Callable[[], Awaitable[httpx2.Response]]]],
    table: str,
) -> None:
    service = shared_service
    name, _ = await new_citizen(service)
    ask = await prepare(service, name)
    async with failing(service.settings.url, table):
        refused = await ask()
        assert is_a_clean_failure(refused), refused.text
    # Nothing of it happened, so the code or the token is as good as before.
    answer = await ask()
    assert answer.status_code == 200, answer.text
    assert await service.lives("health", answer.json()["access_token"]) == ALIVE
    tell(f"{prepare.__name__}, COMMIT failed on {table}: {refused.status_code}, then 200")


@pytest.mark.threat("N92")
@pytest.mark.parametrize("at_commit", [True, False])
async def test_a_revocation_that_was_not_written_is_never_answered_with_200(
    shared_service: Service, at_commit: bool
) -> None:
    service = shared_service
    name, _ = await new_citizen(service)
    login = await service.log_in(name, "health")
    seen = []
    for token, table in ((login.access_token, "idp_access_tokens"), (login.refresh_token, "idp_authorizations")):
        data, headers = {"token": token}, service.basic("health")
        async with failing(service.settings.url, table, at_commit=at_commit):
            refused = await service.post("/revoke", at=0, data=data, headers=headers)
            assert is_a_clean_failure(refused), refused.text
        assert await service.is_active("health", token, at=1)
        assert (await service.post("/revoke", at=0, data=data, headers=headers)).status_code == 200
        assert not await service.is_active("health", token, at=1)
        seen.append(refused.status_code)
    tell(f"revocations that failed: {seen}")


@pytest.mark.threat("N92")
@pytest.mark.parametrize("table", ["consent_records", "consent_events", "idp_authorizations"])
async def test_a_withdrawal_that_was_not_written_does_not_look_like_one(shared_service: Service, table: str) -> None:
    service = shared_service
    name, account_id = await new_citizen(service)
    user = service.browser()
    login = await service.log_in(name, "health", user=user)
    async with service.database.reading() as session:
        consent_id = await session.scalar(select(ConsentRecord.id).where(ConsentRecord.subject_id == account_id))
    await user.open(f"/my/consents/{consent_id}")
    form = next(one for one in user.page.document.forms if one.action.endswith("/withdraw"))
    async with failing(service.settings.url, table):
        await user.send(form, form.values())
        assert is_a_clean_failure(user.page.response), user.page.text
        assert await service.lives("health", login.access_token) == ALIVE
    await user.open(f"/my/consents/{consent_id}")
    await user.send(form, form.values())
    assert user.page.status == 200
    assert await service.lives("health", login.access_token) == DEAD


@pytest.mark.threat("N91")
async def test_the_log_of_a_failed_write_has_none_of_its_values(shared_service: Service) -> None:
    service = shared_service
    name, _ = await new_citizen(service)
    app, code = await service.agree(name, "health", user=service.browser(at=0))
    async with failing(service.settings.url, "idp_audit_events", at_commit=False):
        # A code that is another client's is recorded, or tried to.
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.redirect_uri}
        assert (await service.token("population", at=0, **form)).status_code >= 500
    log = service.processes[0].log
    assert "the disk is full" in log
    assert "[parameters:" not in log
    assert code not in log


@pytest.mark.threat("N92")
async def test_a_fault_announces_that_the_connection_ends(shared_service: Service) -> None:
    service = shared_service
    name, _ = await new_citizen(service)
    login = await service.log_in(name, "health")
    # One connection: whoever is not told would lose every second request on it.
    one = httpx2.AsyncClient(verify=False, limits=httpx2.Limits(max_connections=1))
    async with failing(service.settings.url, "idp_refresh_tokens"), one as app:
        for _ in range(10):
            form = {"grant_type": "refresh_token", "refresh_token": login.refresh_token}
            answer = await app.post(service.processes[0].url("/token"), data=form, headers=service.basic("health"))
            assert (answer.status_code, answer.headers["connection"]) == (500, "close")


def has_session(user: BrowserUser) -> bool:
    """Whether the browser was given a session."""
    return any(cookie.name == SESSION_COOKIE for cookie in user.client.cookies.jar)


@pytest.mark.threat("N92")
@pytest.mark.parametrize("table", ["idp_sessions", "idp_audit_events"])
async def test_a_login_that_cannot_be_written_signs_nobody_in(shared_service: Service, table: str) -> None:
    service = shared_service
    name, _ = await new_citizen(service)
    user = service.browser()
    await service.ask(user, service.app("health"), "health")
    form = user.page.form_with("username")
    pairs = {**dict(form.values()), "username": name, "password": service.password(name)}.items()
    async with failing(service.settings.url, table):
        await user.send(form, list(pairs))
        assert is_a_clean_failure(user.page.response), user.page.text
        assert not has_session(user)
    await user.send(form, list(pairs))
    assert user.page.has("allow")
    assert has_session(user)
