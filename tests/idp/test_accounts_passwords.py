"""Passwords: hashed as OWASP asks, whole, in bounded memory, and as slowly for nobody as for somebody."""

import asyncio
import statistics
import threading
import time
import unicodedata

import pytest
from argon2 import PasswordHasher, extract_parameters

from idp.accounts.errors import WeakPassword
from idp.accounts.password_policy import refuse_weak
from idp.accounts.passwords import MAX_PASSWORD_BYTES, Passwords, password_bytes
from idp.errors import TemporarilyUnavailable

pytestmark = pytest.mark.anyio
GOOD = "kuda nil makan semangka"


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords(parallelism=2)


async def test_a_hash_has_owasps_parameters_and_verifies(passwords: Passwords) -> None:
    kept = await passwords.hash(GOOD)
    parameters = extract_parameters(kept)
    assert kept.startswith("$argon2id$")
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19456, 2, 1)
    right = await passwords.verify(GOOD, kept)
    assert right.ok
    assert not right.needs_rehash
    assert not (await passwords.verify(GOOD + "!", kept)).ok


async def test_a_hash_of_older_parameters_verifies_and_asks_to_be_made_anew(passwords: Passwords) -> None:
    weaker = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(GOOD)
    check = await passwords.verify(GOOD, weaker)
    assert check.ok
    assert check.needs_rehash


@pytest.mark.threat("N74")
async def test_every_spelling_of_unicode_is_one_password(passwords: Passwords) -> None:
    kept = await passwords.hash("café ﬁrst ① andong")
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert (await passwords.verify(unicodedata.normalize(form, "café ﬁrst ① andong"), kept)).ok
    assert not (await passwords.verify("cafe first 1 andong", kept)).ok


@pytest.mark.threat("N74")
async def test_nothing_is_cut_off_at_72_or_at_a_nul(passwords: Passwords) -> None:
    long = await passwords.hash("x" * 72 + "right")
    assert not (await passwords.verify("x" * 72 + "wrong", long)).ok
    assert (await passwords.verify("x" * 72 + "right", long)).ok
    nul = await passwords.hash("before\x00after")
    assert (await passwords.verify("before\x00after", nul)).ok
    assert not (await passwords.verify("before\x00other", nul)).ok
    assert not (await passwords.verify("before", nul)).ok
    whole = "é" * (MAX_PASSWORD_BYTES // 2)
    assert (await passwords.verify(whole, await passwords.hash(whole))).ok


@pytest.mark.threat("N74")
@pytest.mark.parametrize("password", ["", "x" * 1025, "é" * 513, "ﷺ" * 100, "\ud800", "x" * 1_000_000])
async def test_what_is_too_long_or_no_text_is_refused_without_hashing(passwords: Passwords, password: str) -> None:
    assert password_bytes(password) is None
    kept = await passwords.hash(GOOD)
    before = time.thread_time() + time.process_time()
    assert not (await passwords.verify(password, kept)).ok
    assert time.thread_time() + time.process_time() - before < 0.01
    with pytest.raises(WeakPassword):
        await passwords.hash(password)


@pytest.mark.threat("N72")
async def test_nobody_takes_as_long_as_somebody_and_is_never_right(passwords: Passwords) -> None:
    kept = await passwords.hash(GOOD)

    async def spent(password_hash: str | None) -> float:
        started = time.process_time()
        assert not (await passwords.verify("a wrong password", password_hash)).ok
        return time.process_time() - started

    somebody = [await spent(kept) for _ in range(9)]
    nobody = [await spent(None) for _ in range(9)]
    ratio = statistics.median(nobody) / statistics.median(somebody)
    assert 0.7 < ratio < 1.4
    assert not (await passwords.verify("nobody's password", None)).ok


async def test_a_broken_hash_is_a_wrong_password_and_no_fault(passwords: Passwords) -> None:
    assert not (await passwords.verify(GOOD, "not a hash")).ok


@pytest.mark.threat("N74")
async def test_a_burst_uses_so_many_threads_and_no_more_and_the_loop_stays_free() -> None:
    passwords = Passwords(parallelism=2, waiting=200)
    kept = await passwords.hash(GOOD)
    guesses = [asyncio.create_task(passwords.verify("a wrong password", kept)) for _ in range(50)]
    longest = 0.0
    while not all(guess.done() for guess in guesses):
        started = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - started)
        await asyncio.sleep(0.005)
    hashing = [thread for thread in threading.enumerate() if thread.name.startswith("argon2")]
    assert len(hashing) >= 2
    assert passwords._pool._max_workers == 2
    assert longest < 0.25
    assert not any(guess.result().ok for guess in guesses)
    passwords.close()


@pytest.mark.threat("N74")
async def test_when_too_many_wait_the_next_is_told_so_and_the_queue_empties() -> None:
    passwords = Passwords(parallelism=1, waiting=3)
    kept = await passwords.hash(GOOD)
    await asyncio.sleep(0)
    guesses = await asyncio.gather(*(passwords.verify(GOOD, kept) for _ in range(10)), return_exceptions=True)
    refused = [guess for guess in guesses if isinstance(guess, TemporarilyUnavailable)]
    assert len(refused) == 6
    await asyncio.sleep(0)
    assert (await passwords.verify(GOOD, kept)).ok
    passwords.close()


async def test_a_caller_that_gives_up_does_not_make_room_before_its_work_is_done() -> None:
    passwords = Passwords(parallelism=1, waiting=0)
    kept = await passwords.hash(GOOD)
    await asyncio.sleep(0)
    impatient = asyncio.create_task(passwords.verify(GOOD, kept))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    with pytest.raises(TemporarilyUnavailable):
        await passwords.verify(GOOD, kept)
    for _ in range(100):
        await asyncio.sleep(0.01)
        try:
            assert (await passwords.verify(GOOD, kept)).ok
        except TemporarilyUnavailable:
            continue
        break
    else:
        pytest.fail("the place in the queue was never freed")
    passwords.close()


@pytest.mark.parametrize(
    "password", [GOOD, "correct horse battery staple", "Zo3ken naar-de-ZEE?", "ผมชอบกินข้าวมันไก่ทุกวัน", "x9 " * 341 + "y"]
)
def test_a_long_and_unlikely_password_is_taken(password: str) -> None:
    if password.startswith("x9"):
        with pytest.raises(WeakPassword):  # three characters over and over are not many
            refuse_weak(password)
    else:
        refuse_weak(password, ["ani", "Ani Lestari"])


@pytest.mark.parametrize(
    "password",
    [
        "fourteen chars",
        "passwordpassword",
        "Password123456789",
        "rahasia-rahasia-2026",
        "satupintu satupintu",
        "aaaaaaaaaaaaaaaaaaaa",
        "abcdefghijklmnopqrst",
        "123456789012345678",
        "AniLestari-AniLestari-1990",
        "qwertyuiopasdfghjkl",
        "!@#$%^&*()_+-=[]{}",
    ],
)
def test_a_password_that_a_list_or_a_glance_would_guess_is_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        refuse_weak(password, ["ani", "Ani Lestari", "1990-05-17"])
