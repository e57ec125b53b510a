"""Crashes and races: what is left of the ring when a step is broken off, or when two processes take it together."""

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from keys import rotation
from keys.errors import KeyRefused
from keys.jws import sign_jwt
from keys.ring import Advanced, advance, ensure_ring, retire, rotate
from tests.keys.making import CLAIMS, NOW
from tests.keys.operating import ALG, ENTROPY, PUBLISH, VERIFY, Crash, Operator, believed, published

pytestmark = pytest.mark.anyio

only_postgresql = pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)


@pytest.mark.parametrize("call", [1, 2, 3])
async def test_a_crash_anywhere_in_a_step_leaves_the_old_key_signing(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    (old,) = await operator.ensure()
    new = await operator.rotate()
    whole, calls = rotation._change, 0

    async def broken(*arguments: Any, **values: Any) -> Any:
        nonlocal calls
        calls += 1
        changed = await whole(*arguments, **values)
        if calls == call:
            raise Crash
        return changed

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_change", broken)
        with pytest.raises(Crash):
            await operator.advance(NOW + PUBLISH)

    assert await operator.states() == {old: "signing", new: "pending"}
    ring = await operator.ring()
    assert believed(ring, await sign_jwt(ring.signer_for(ALG), CLAIMS, typ="at+jwt"))
    assert await operator.advance(NOW + PUBLISH) == Advanced(promoted=(new,), demoted=(old,))


@pytest.mark.parametrize("step", ["ensure", "rotate"])
async def test_a_crash_after_a_key_was_made_and_before_the_commit_leaves_no_key(operator: Operator, step: str) -> None:
    await operator.ensure("EdDSA")
    async with operator.crashing() as session:
        if step == "ensure":
            await ensure_ring(session, operator.master, algs=[ALG], now=NOW, entropy=ENTROPY)
        else:
            await rotate(session, operator.master, alg=ALG, now=NOW, entropy=ENTROPY)
    assert await operator.states() == {}
    await operator.ensure()
    assert list((await operator.states()).values()) == ["signing"]


async def test_a_crash_in_an_emergency_retirement_leaves_the_leaked_key_signing(operator: Operator) -> None:
    (old,) = await operator.ensure()
    new = await operator.rotate()
    async with operator.crashing() as session:
        await retire(session, old, now=NOW, force=True)
    assert await operator.states() == {old: "signing", new: "pending"}


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_done_in_whatever_order_there_is_one_signing_key_and_nobody_meets_an_unknown_one(
    operator: Operator, seed: int
) -> None:
    chance = random.Random(seed)
    now = NOW
    await operator.ensure()
    tokens: list[tuple[datetime, str]] = []
    caches: list[tuple[datetime, set[str]]] = []
    for _ in range(60):
        now += timedelta(minutes=chance.randint(0, 9))
        match chance.choice(["rotate", "advance", "advance", "ensure", "crash", "retire verifying"]):
            case "rotate":
                await operator.rotate(now)
            case "advance":
                await operator.advance(now)
            case "ensure":
                assert await operator.ensure(now=now) == ()
            case "crash":
                async with operator.crashing() as session:
                    await rotate(session, operator.master, alg=ALG, now=now, entropy=ENTROPY)
                    await advance(session, now=now, publish_for=PUBLISH, verify_for=VERIFY)
            case _:
                signing = next(kid for kid, state in (await operator.states()).items() if state == "signing")
                with pytest.raises(KeyRefused):
                    await operator.retire(signing, now)
        states = list((await operator.states()).values())
        assert states.count("signing") == 1
        assert states.count("pending") <= 1
        ring = await operator.ring()
        signer = ring.signer_for(ALG)
        caches.append((now, published(ring)))
        for cached_at, kids in caches:
            assert now - cached_at > PUBLISH or signer.kid in kids
        tokens.append((now, await sign_jwt(signer, CLAIMS, typ="at+jwt")))
        assert all(believed(ring, token, now) for signed_at, token in tokens if now - signed_at < VERIFY)


# Two processes.


async def test_two_processes_that_make_the_ring_together_end_with_one_key(operator: Operator) -> None:
    made = await asyncio.gather(*(operator.ensure("ES256", "Ed25519") for _ in range(4)))
    assert sum(len(one) for one in made) == 2
    rings = await asyncio.gather(*(operator.ring() for _ in range(2)))
    assert rings[0].signer_for(ALG).kid == rings[1].signer_for(ALG).kid
    assert len(await operator.rows()) == 2


async def test_two_processes_that_rotate_together_make_one_successor(operator: Operator) -> None:
    await operator.ensure()
    made = await asyncio.gather(*(operator.rotate() for _ in range(4)))
    assert len(set(made)) == 1
    assert sorted((await operator.states()).values()) == ["pending", "signing"]


async def test_two_processes_that_advance_together_promote_once(operator: Operator) -> None:
    (old,) = await operator.ensure()
    new = await operator.rotate()
    done = await asyncio.gather(*(operator.advance(NOW + PUBLISH) for _ in range(4)))
    assert sorted(len(one) for one in done) == [0, 0, 0, 2]
    assert await operator.states() == {old: "verifying", new: "signing"}


@only_postgresql
@pytest.mark.parametrize("meanwhile", ["advance", "retire successor", "leaked"])
async def test_a_process_that_looked_before_another_acted_changes_nothing(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    (old,) = await operator.ensure()
    new = await operator.rotate()
    whole = rotation._hand_over

    async def late(session: AsyncSession, **arguments: Any) -> bool:
        # The slow process knows which keys to change; now the fast one does something, and commits.
        monkeypatch.setattr(rotation, "_hand_over", whole)
        match meanwhile:
            case "advance":
                await operator.advance(NOW + PUBLISH)
            case "retire successor":
                await operator.retire(new)
            case _:
                await operator.retire(old, force=True)
        return await whole(session, **arguments)

    monkeypatch.setattr(rotation, "_hand_over", late)
    assert not await operator.advance(NOW + PUBLISH)
    expected = {
        "advance": {old: "verifying", new: "signing"},
        "retire successor": {old: "signing", new: "retired"},
        "leaked": {old: "retired", new: "signing"},
    }
    assert await operator.states() == expected[meanwhile]
    assert ALG in (await operator.ring()).algs


@only_postgresql
async def test_a_ring_made_while_another_process_makes_it_has_one_key(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await operator.rotate()
    whole = rotation._hand_over

    async def late(session: AsyncSession, **arguments: Any) -> bool:
        monkeypatch.setattr(rotation, "_hand_over", whole)
        assert await operator.ensure() == (waiting,)
        other = await operator.rotate()
        return await whole(session, **{**arguments, "successor": other})

    monkeypatch.setattr(rotation, "_hand_over", late)
    # The index refuses a second signing key, and the savepoint keeps the transaction alive.
    assert await operator.ensure() == ()
    assert sorted((await operator.states()).values()) == ["pending", "signing"]
