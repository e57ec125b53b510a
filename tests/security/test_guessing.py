"""N72 to N74: guessing gets nowhere, tells nothing, and costs the others nothing."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from idp.accounts.directory import set_password
from idp.settings import Settings
from tests.security.stage import PASSWORD, Stage
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.settings import settings_for
from tests.support.token_world import App

pytestmark = [pytest.mark.anyio, only_sqlite]

NewUser = Callable[[], BrowserUser]

PER_ACCOUNT: Final = 5
PER_ADDRESS: Final = 12


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """A throttle of few guesses, so that the tests need few."""
    return settings_for(
        database_url, tmp_path, login_failures_per_account=PER_ACCOUNT, login_failures_per_address=PER_ADDRESS
    )


@pytest.mark.threat("N72")
async def test_who_exists_cannot_be_told_from_any_answer(stage: Stage, web_app: App, new_user: NewUser) -> None:
    def shape(user: BrowserUser, username: str) -> tuple[Any, ...]:
        page = user.page
        form = page.form_with("continue")
        secret = {field.value for field in form.fields if field.kind == "hidden"} | {username}
        text = page.response.text
        for value in secret:
            text = text.replace(value, "")
        headers = {name for name, _ in page.response.headers.multi_items()}
        return page.status, text, headers

    seen = set()
    for username in ("siti", "nobody"):
        user = new_user()
        await stage.begin(user, web_app, login_hint=username)
        hinted = shape(user, username)
        await user.log_in(username, "wrong-password")
        wrong = shape(user, username)
        seen.add(json.dumps([hinted[:2], wrong[:2], sorted(hinted[2]), sorted(wrong[2])]))
        silent = new_user()
        await stage.begin(silent, web_app, login_hint=username, prompt="none")
        seen.add(json.dumps(["silent", silent.callback_parameters["error"]]))
    assert len(seen) == 2, seen


async def guess(user: BrowserUser, username: str, password: str = "wrong", **headers: str) -> int:
    form = dict(user.page.form_with("continue").values())
    sent = {**form, "username": username, "password": password}
    answer = await user.client.post("https://idp.test/login", data=sent, headers=headers, follow_redirects=False)
    return answer.status_code


@pytest.mark.threat("N73")
async def test_a_burst_of_guesses_is_counted_one_by_one_and_forged_addresses_do_not_help(
    stage: Stage, new_user: NewUser
) -> None:
    attacker = new_user()
    await attacker.open("/login")
    answers = await asyncio.gather(
        *(guess(attacker, "siti", **{"X-Forwarded-For": f"203.0.113.{number}"}) for number in range(30))
    )
    assert answers.count(400) == PER_ACCOUNT
    assert answers.count(429) == 30 - PER_ACCOUNT
    assert await guess(attacker, "siti", PASSWORD) == 429, "not even the right one"
    assert await guess(attacker, "SITI ", PASSWORD) == 429, "nor in another spelling"
    again = new_user()
    await again.open("/login")
    assert await guess(again, "siti", PASSWORD, Forwarded="for=198.51.100.1") == 429, "nor from a fresh browser"
    assert await stage.sessions_alive() == 0


@pytest.mark.threat("N73")
async def test_spraying_one_password_over_many_names_is_stopped_by_address(stage: Stage, new_user: NewUser) -> None:
    attacker = new_user()
    await attacker.open("/login")
    answers = [await guess(attacker, f"person-{number}") for number in range(PER_ADDRESS + 3)]
    assert answers == [400] * PER_ADDRESS + [429] * 3
    assert await guess(attacker, "siti", PASSWORD) == 429


@pytest.mark.threat("N73")
async def test_an_attacker_cannot_lock_a_person_out_of_their_own_browser(stage: Stage, new_user: NewUser) -> None:
    citizen, attacker = new_user(), new_user()
    await stage.sign_in(citizen)
    await attacker.open("/login")
    for _ in range(PER_ADDRESS + 1):
        await guess(attacker, "siti")
    await citizen.open("/end_session")
    await citizen.press("logout-yes")
    await stage.sign_in(citizen)


@pytest.mark.threat("N74")
async def test_a_password_is_neither_cut_nor_hashed_when_it_is_huge(
    stage: Stage, user: BrowserUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "kata sandi " * 40  # 440 characters: longer than bcrypt's 72, shorter than the cap
    assert 72 < len(long.encode()) < 1024
    account_id = await stage.account("siti")
    kept = await stage.provider.passwords.hash(long)
    async with stage.provider.database.transaction() as session:
        await set_password(session, account_id, password_hash=kept, now=stage.clock())
    hashed = []
    verify = PasswordHasher.verify

    def counting(hasher: PasswordHasher, kept: Any, password: Any) -> bool:
        hashed.append(len(password))
        return bool(verify(hasher, kept, password))

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    await user.open("/login")
    for wrong in (long[:72], long[:-1], long + "x", long.replace(" ", "\x00"), long.upper()):
        assert await guess(user, "siti", wrong) == 400, len(wrong)
    hashed.clear()
    for size in (1025, 30_000, 60_000, 1_000_000):
        assert await guess(user, "somebody", "x" * size) in {400, 413}, size
    assert hashed == []
    await user.open("/login")
    stage.clock.advance(stage.provider.settings.login_failure_window + 1)
    assert await guess(user, "siti", long) == 303


@pytest.mark.threat("N74")
async def test_one_password_typed_on_two_keyboards_is_one_password(stage: Stage, user: BrowserUser) -> None:
    composed, decomposed = "kata-sandi-caf\u00e9-\uff21", "kata-sandi-cafe\u0301-A"
    account_id = await stage.account("siti")
    kept = await stage.provider.passwords.hash(composed)
    async with stage.provider.database.transaction() as session:
        await set_password(session, account_id, password_hash=kept, now=stage.clock())
    await user.open("/login")
    assert await guess(user, "siti", decomposed) == 303


@pytest.mark.threat("N74")
async def test_a_flood_of_logins_is_hashed_a_few_at_a_time_and_blocks_nobody_else(
    stage: Stage, new_user: NewUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing is held up by hand, so that the test depends on no clock: meanwhile everything else must answer."""
    release, all_busy, lock = threading.Event(), threading.Event(), threading.Lock()
    most = now_hashing = 0
    places = stage.provider.passwords._pool._max_workers

    def held(_hasher: PasswordHasher, _kept: Any, _password: Any) -> bool:
        nonlocal now_hashing, most
        with lock:
            now_hashing += 1
            most = max(most, now_hashing)
            if most == places:
                all_busy.set()
        assert release.wait(20)
        with lock:
            now_hashing -= 1
        raise VerifyMismatchError

    monkeypatch.setattr(PasswordHasher, "verify", held)
    users = [new_user() for _ in range(PER_ADDRESS)]
    for user in users:
        await user.open("/login")
    try:
        logins = [asyncio.ensure_future(guess(user, f"person-{place}")) for place, user in enumerate(users)]
        assert await asyncio.to_thread(all_busy.wait, 20)
        for path in ("/health/ready", "/jwks", "/"):
            assert (await stage.http.get(path)).status_code == 200
        assert not any(login.done() for login in logins)
    finally:
        release.set()
    assert await asyncio.gather(*logins) == [400] * PER_ADDRESS
    assert most == places
