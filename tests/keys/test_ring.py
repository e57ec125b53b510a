import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from keys.errors import KeyRefused, NoSigningKey, NoSuchSecret, SealBroken
from keys.jws import sign_jwt
from keys.models import Secret, SigningKey
from keys.ring import Advanced, ensure_ring, ensure_secret, list_keys
from keys.sealing import MasterKey
from tests.keys.making import CLAIMS, NOW
from tests.keys.operating import ALG, ENTROPY, PUBLISH, VERIFY, Operator, believed, published

pytestmark = pytest.mark.anyio

TICK = timedelta(microseconds=1)


async def test_a_new_ring_signs_at_once_with_every_algorithm(operator: Operator) -> None:
    made = await operator.ensure("ES256", "EdDSA", "Ed25519", "RS256", "PS256")
    ring = await operator.ring()
    assert ring.algs == {"ES256", "EdDSA", "Ed25519", "RS256", "PS256"}
    assert set(made) == published(ring)
    assert len(made) == 5
    for alg in ring.algs:
        token = await sign_jwt(ring.signer_for(alg), CLAIMS, typ="at+jwt")
        assert believed(ring, token)


async def test_making_the_ring_twice_changes_nothing(operator: Operator) -> None:
    await operator.ensure()
    before = await operator.states()
    assert await operator.ensure(now=NOW + VERIFY) == ()
    assert await operator.states() == before


async def test_a_ring_without_a_key_says_so(operator: Operator) -> None:
    with pytest.raises(NoSigningKey):
        (await operator.ring()).signer_for(ALG)


@pytest.mark.threat("N93")
async def test_a_rotation_publishes_then_signs_then_verifies_then_ends(operator: Operator) -> None:
    (old,) = await operator.ensure()
    token = await sign_jwt((await operator.ring()).signer_for(ALG), CLAIMS, typ="at+jwt")

    new = await operator.rotate()
    ring = await operator.ring()
    assert ring.signer_for(ALG).kid == old
    assert published(ring) == {old, new}

    assert not await operator.advance(NOW + PUBLISH - TICK)
    assert await operator.advance(NOW + PUBLISH) == Advanced(promoted=(new,), demoted=(old,))
    ring = await operator.ring()
    assert ring.signer_for(ALG).kid == new
    assert published(ring) == {old, new}
    assert believed(ring, token)

    assert not await operator.advance(NOW + PUBLISH + VERIFY - TICK)
    assert believed(await operator.ring(), token)
    assert await operator.advance(NOW + PUBLISH + VERIFY) == Advanced(retired=(old,))
    ring = await operator.ring()
    assert published(ring) == {new}
    assert not believed(ring, token)
    row = (await operator.rows())[old]
    assert (row.signing_since, row.verifying_since, row.retired_at) == (NOW, NOW + PUBLISH, NOW + PUBLISH + VERIFY)


async def test_a_pending_key_is_believed_before_this_process_knows_that_it_signs(operator: Operator) -> None:
    await operator.ensure()
    await operator.rotate()
    slow = await operator.ring()
    await operator.advance(NOW + PUBLISH)
    token = await sign_jwt((await operator.ring()).signer_for(ALG), CLAIMS, typ="at+jwt")
    assert believed(slow, token)


@pytest.mark.threat("N93")
async def test_the_private_part_is_gone_once_a_key_no_longer_signs(operator: Operator) -> None:
    (old,) = await operator.ensure()
    new = await operator.rotate()
    assert all(row.sealed_private for row in (await operator.rows()).values())
    await operator.advance(NOW + PUBLISH)
    rows = await operator.rows()
    assert rows[old].sealed_private is None
    assert rows[new].sealed_private is not None


@pytest.mark.threat("N93")
async def test_the_database_itself_refuses_two_signing_keys_or_a_private_part_left_behind(operator: Operator) -> None:
    (old,) = await operator.ensure()
    new = await operator.rotate()
    for kid, values in ((new, {"state": "signing"}), (old, {"state": "verifying"}), (old, {"state": "other"})):
        async with operator.factory() as session:
            with pytest.raises(IntegrityError):
                await session.execute(update(SigningKey).where(SigningKey.kid == kid).values(**values))


async def test_a_second_rotation_waits_for_the_first(operator: Operator) -> None:
    await operator.ensure()
    assert await operator.rotate() == await operator.rotate(NOW + PUBLISH)
    assert sorted((await operator.states()).values()) == ["pending", "signing"]


async def test_algorithms_rotate_apart(operator: Operator) -> None:
    await operator.ensure("ES256", "EdDSA")
    before = await operator.states("EdDSA")
    await operator.rotate(alg="ES256")
    await operator.advance(NOW + PUBLISH)
    assert await operator.states("EdDSA") == before


async def test_making_the_ring_promotes_a_key_that_waits_for_nobody(operator: Operator) -> None:
    waiting = await operator.rotate()
    assert await operator.ensure() == (waiting,)
    assert await operator.states() == {waiting: "signing"}


# Retiring on somebody's order.


async def test_the_only_signing_key_is_not_retired_even_by_force(operator: Operator) -> None:
    (only,) = await operator.ensure()
    for force in (False, True):
        with pytest.raises(KeyRefused, match="rotate first"):
            await operator.retire(only, force=force)
    assert await operator.states() == {only: "signing"}


@pytest.mark.threat("N93")
async def test_a_leaked_key_gives_way_to_its_successor_at_once(operator: Operator) -> None:
    (old,) = await operator.ensure()
    token = await sign_jwt((await operator.ring()).signer_for(ALG), CLAIMS, typ="at+jwt")
    new = await operator.rotate()
    with pytest.raises(KeyRefused, match="by force"):
        await operator.retire(old)
    await operator.retire(old, force=True)
    ring = await operator.ring()
    assert ring.signer_for(ALG).kid == new
    assert published(ring) == {new}
    assert not believed(ring, token)


@pytest.mark.parametrize("state", ["pending", "verifying"])
async def test_a_key_that_does_not_sign_is_retired_on_request_and_again_without_effect(
    operator: Operator, state: str
) -> None:
    (old,) = await operator.ensure()
    new = await operator.rotate()
    kid = new
    if state == "verifying":
        await operator.advance(NOW + PUBLISH)
        kid = old
    await operator.retire(kid, NOW + PUBLISH)
    await operator.retire(kid, NOW + VERIFY)
    row = (await operator.rows())[kid]
    assert (row.state, row.retired_at, row.sealed_private) == ("retired", NOW + PUBLISH, None)


async def test_a_key_that_nobody_has_is_not_retired(operator: Operator) -> None:
    with pytest.raises(KeyRefused, match="no key"):
        await operator.retire("unknown")


# Secrets and seals.


async def test_a_secret_is_made_once_and_the_same_everywhere(operator: Operator) -> None:
    async def ensure(name: str, nbytes: int = 32) -> bytes:
        async with operator.factory.begin() as session:
            return await ensure_secret(session, operator.master, name, nbytes=nbytes, now=NOW, entropy=ENTROPY)

    made = await asyncio.gather(*(ensure("pairwise") for _ in range(4)))
    assert len(set(made)) == 1
    assert len(await ensure("refresh", 64)) == 64
    ring = await operator.ring()
    assert ring.secret("pairwise") == made[0]
    with pytest.raises(NoSuchSecret):
        ring.secret("other")
    assert made[0].hex() not in repr(ring)


@pytest.mark.parametrize("what", ["keys", "secrets"])
async def test_another_master_key_opens_nothing(operator: Operator, what: str) -> None:
    async with operator.factory.begin() as session:
        if what == "keys":
            await ensure_ring(session, operator.master, algs=[ALG], now=NOW, entropy=ENTROPY)
        else:
            await ensure_secret(session, operator.master, "pairwise", now=NOW, entropy=ENTROPY)
    operator.master = MasterKey.generate(ENTROPY)
    with pytest.raises(SealBroken):
        await operator.ring()


async def test_a_sealed_value_put_in_another_row_does_not_open(operator: Operator) -> None:
    async with operator.factory.begin() as session:
        await ensure_secret(session, operator.master, "pairwise", now=NOW, entropy=ENTROPY)
        await session.execute(update(Secret).values(name="refresh"))
    with pytest.raises(SealBroken):
        await operator.ring()


@pytest.mark.threat("N93")
async def test_nothing_private_is_published_or_listed(operator: Operator) -> None:
    await operator.ensure("ES256", "Ed25519")
    ring = await operator.ring()
    for jwk in ring.public_jwks():
        assert jwk.keys() <= {"kty", "crv", "x", "y", "use", "alg", "kid"}
    async with operator.factory() as session:
        assert not any(hasattr(key, "sealed_private") for key in await list_keys(session))
