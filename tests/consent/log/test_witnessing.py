import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from consent.http.witness_client import witness_wire
from consent.log.checkpoint import Checkpoint
from consent.log.merkle import EMPTY_ROOT
from consent.log.models import LogCheckpoint, LogEntry, LogHead, LogTile
from consent.log.note import open_note
from consent.log.policy import TrustedWitness
from consent.log.proof import LogProof
from consent.log.prove import NotYet, proof_for
from consent.log.publish import NothingPublished, Rules
from consent.log.sequencer import Halted
from consent.log.signers import NoteSigner, cosigner
from consent.log.store import checkpoint_at, head_of
from consent.log.tiles import Tile
from consent.log.witness import SIZE_TYPE, Submission
from consent.log.witness_client import Post, WireAnswer, WitnessAhead, WitnessRefused, WitnessUnreachable
from consent.log.witnessing import Asked, Witnessing, keep_cosignatures
from idp.database import Database
from tests.consent.log.running import RunningLog, open_log
from tests.consent.log.witness_process import WitnessProcess
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio

NOW = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
BESIDE = Checkpoint("idp.test/log", 0, EMPTY_ROOT).text()


@pytest.fixture
def log(database: Database, tmp_path: Path, clock: FakeClock) -> RunningLog:
    return open_log(database, tmp_path, clock)


@pytest.fixture
def two_witnesses(log: RunningLog, tmp_path: Path) -> Iterator[tuple[WitnessProcess, WitnessProcess]]:
    """A university and a newspaper, and a policy that wants one of the two."""
    vkey = log.published.keys.ed25519.vkey
    with (
        WitnessProcess(tmp_path, log=vkey, name="university.test/w1") as first,
        WitnessProcess(tmp_path, log=vkey, name="newspaper.test/w1") as second,
    ):
        names = [f"{w.folder.name}-{n}" for w in (first, second) for n in range(1, len(w.keys) + 1)]
        policy = f"{first.policy_lines}{second.policy_lines}group enough any {' '.join(names)}\nquorum enough\n"
        log.published.rules = Rules.of(policy, log.published.keys)
        yield first, second


def witnessing_of(log: RunningLog, *, interval: float = 0.02) -> Witnessing:
    return Witnessing(
        published=log.published,
        wire=witness_wire,
        transaction=log.database.transaction,
        clock=log.clock,
        interval=interval,
    )


async def until(true: Callable[[], Awaitable[bool]], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.processes
@only_sqlite
async def test_witnesses_cosign_and_what_is_shown_follows(
    log: RunningLog, two_witnesses: tuple[WitnessProcess, WitnessProcess]
) -> None:
    (one, *_) = await log.append(7)
    await log.sequence()
    with pytest.raises(NothingPublished, match="as many witnesses as the policy wants"):
        await log.published.served()
    assert isinstance(await proof_for(log.published, one), NotYet)
    witnessing = witnessing_of(log)
    assert [asked.url for asked in witnessing.witnesses] == [witness.url for witness in two_witnesses]
    for asked in witnessing.witnesses:
        async with witness_wire(asked.url) as post:
            assert await witnessing.ask(asked, post, old=0) == 7
            assert await witnessing.ask(asked, post, old=7) is None, "it has signed already"
    served = await log.published.served()
    keys = [key for witness in two_witnesses for key in witness.keys]
    assert {verified.key for verified in open_note(served.note, keys).verified} == set(keys)
    assert served.cosigned_at == log.clock()
    proof = await proof_for(log.published, one)
    assert isinstance(proof, LogProof)
    assert proof.checkpoint == served.note

    await log.grow(300)
    assert (await log.published.served()).size == 7, "the newest has not been cosigned yet"
    assert await log.published.tile(Tile(0, 0, 7)) is not None
    assert await log.published.tile(Tile(0, 0, 8)) is None, "nor is anything beyond shown"
    async with witness_wire(two_witnesses[0].url) as post:
        # It has forgotten what the witness knows; the witness says it.
        assert await witnessing.ask(witnessing.witnesses[0], post, old=0) == 307
    assert (await log.published.served()).size == 307


@pytest.mark.processes
@only_sqlite
async def test_a_dead_witness_delays_nobody_and_is_asked_again(
    log: RunningLog, two_witnesses: tuple[WitnessProcess, WitnessProcess]
) -> None:
    _, dead = two_witnesses
    dead.stop()
    await log.grow(3)
    running = asyncio.create_task(witnessing_of(log).run())

    async def newest_is_shown() -> bool:
        with suppress(NothingPublished):
            return (await log.published.served()).size == (await log.newest()).size
        return False

    async def both_have_signed() -> bool:
        keys = {key.name for witness in two_witnesses for key in witness.keys}
        return keys <= {signature.name for signature in (await log.newest()).note.signatures}

    await until(newest_is_shown)
    for _ in range(2):
        await log.grow(7)
        await until(newest_is_shown)
    assert not await both_have_signed()
    await asyncio.to_thread(dead.start)
    await until(both_have_signed)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.processes
@only_sqlite
async def test_a_witness_that_remembers_more_than_the_database_stops_the_log(
    log: RunningLog, two_witnesses: tuple[WitnessProcess, WitnessProcess], tmp_path: Path
) -> None:
    """The whole host was lost, its file too, and the database comes from last night's backup."""
    await log.grow(5)
    witnessing = witnessing_of(log)
    asked = witnessing.witnesses[0]
    async with witness_wire(asked.url) as post:
        await witnessing.ask(asked, post, old=0)
        await log.grow(5)
        await witnessing.ask(asked, post, old=5)
        await forget_everything(log)
        log.published.guard.path.unlink()
        await log.grow(6)
        with pytest.raises(WitnessAhead):
            await witnessing.ask(asked, post, old=0)
    async with log.database.reading() as session:
        head = await head_of(session)
    assert head is not None
    assert head.halted == f"the witness at {asked.url} has cosigned 10 leaves, and the database has 6"
    with pytest.raises(Halted, match="has cosigned 10 leaves"):
        await log.sequence_waiting()


async def forget_everything(log: RunningLog) -> None:
    async with log.database.transaction() as session:
        for table in (LogEntry, LogTile, LogCheckpoint, LogHead):
            await session.execute(delete(table))


# --- witnesses that lie ---


def a_cosigner(name: str) -> NoteSigner:
    return cosigner(name, name.encode().ljust(32, b"."))


def asked_of(signer: NoteSigner) -> Asked:
    return Asked("https://w.test", frozenset({signer.vkey}))


def answers(make: Callable[[Submission], WireAnswer]) -> Post:
    async def post(body: bytes) -> WireAnswer:
        return make(Submission.parse(body))

    return post


async def test_a_size_that_the_log_itself_has_reached_meanwhile_is_no_rollback(log: RunningLog) -> None:
    await log.grow(5)
    witnessing = witnessing_of(log)

    async def overtaken(_body: bytes) -> WireAnswer:
        # Another process has sequenced, and asked this witness, while our question was on its way.
        await log.grow(4)
        return WireAnswer(409, SIZE_TYPE, b"9\n")

    with pytest.raises(WitnessAhead):
        await witnessing.ask(asked_of(a_cosigner("w.test")), overtaken, old=0)
    await log.grow(1)
    async with log.database.reading() as session:
        head = await head_of(session)
    assert head is not None
    assert (head.size, head.halted) == (10, None)


@pytest.mark.parametrize(
    "lie",
    [
        lambda s: WireAnswer(200, "text/plain", a_cosigner("other.test").sign(s.note.text, now=NOW).line.encode()),
        lambda s: WireAnswer(200, "text/plain", a_cosigner("w.test").sign(BESIDE, now=NOW).line.encode()),
        lambda s: WireAnswer(200, "text/plain", s.note.signatures[0].line.encode()),
        lambda s: WireAnswer(200, "text/plain", b""),
        lambda s: WireAnswer(200, "text/plain", b"\xe2\x80\x94 w.test AAAA\n\n"),
        lambda s: WireAnswer(409, SIZE_TYPE, b"-1\n"),
        lambda s: WireAnswer(409, SIZE_TYPE, b"0\n"),
        lambda s: WireAnswer(422, "text/plain", b"no\n"),
        lambda s: WireAnswer(500, "text/plain", b"x" * 100_000),
    ],
)
@only_sqlite
async def test_what_a_lying_witness_answers_gets_onto_no_note(
    log: RunningLog, lie: Callable[[Submission], WireAnswer]
) -> None:
    await log.grow(5)
    before = (await log.newest()).text
    with pytest.raises(WitnessRefused):
        await witnessing_of(log).ask(asked_of(a_cosigner("w.test")), answers(lie), old=0)
    assert (await log.newest()).text == before
    async with log.database.reading() as session:
        assert await session.scalar(select(LogHead.halted)) is None


@asynccontextmanager
async def served_answer(answer: bytes) -> AsyncIterator[str]:
    """A server that answers every request with the same bytes, whatever it was asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield f"http://127.0.0.1:{port}"


@only_sqlite
async def test_over_the_wire_too_a_liar_can_stop_the_log_but_not_bend_it(log: RunningLog) -> None:
    """It is stopped with what was said and by whom, and an operator who knows better lets it go on."""
    await log.grow(5)
    before = (await log.newest()).text
    head = b"HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\n"
    said = head + b"Content-Length: 5\r\nConnection: close\r\n\r\n9999\n"
    async with served_answer(said) as url, witness_wire(url) as post:
        asked = Asked(url, frozenset({a_cosigner("w.test").vkey}))
        with pytest.raises(WitnessAhead):
            await witnessing_of(log).ask(asked, post, old=0)
        async with log.database.reading() as session:
            halted = await session.scalar(select(LogHead.halted))
        assert halted == f"the witness at {url} has cosigned 9999 leaves, and the database has 5"
    with pytest.raises(WitnessUnreachable):
        async with witness_wire(url) as post:
            await witnessing_of(log).ask(asked, post, old=0)
    assert (await log.newest()).text == before


# --- cosignatures of several at once ---


async def test_cosignatures_that_come_at_the_same_moment_are_all_kept(log: RunningLog) -> None:
    await log.grow(5)
    newest = await log.newest()
    signers = [a_cosigner(f"w{number}.test") for number in range(6)]
    log.published.rules = Rules.of(
        None,
        log.published.keys,
        [TrustedWitness(signer.vkey.name, signer.vkey, "https://w.test") for signer in signers],
    )

    async def keep(signer: NoteSigner) -> None:
        signature = signer.sign(newest.note.text, now=log.clock())
        verified = open_note(newest.note.signed_also([signature]), {signer.vkey}).verified
        async with log.database.transaction() as session:
            await keep_cosignatures(
                session, 5, verified, rules=log.published.rules, keys=log.published.keys, now=log.clock()
            )

    await asyncio.gather(*(keep(signer) for signer in signers))
    async with log.database.reading() as session:
        kept = await checkpoint_at(session, 5)
    assert kept is not None
    own = len(log.published.keys.vkeys)
    assert len(kept.note.signatures) == own + 6
    assert kept.cosigned_at is not None


async def test_a_cosignature_for_a_checkpoint_that_is_gone_is_let_go(log: RunningLog) -> None:
    await log.grow(5)
    newest = await log.newest()
    signer = a_cosigner("w.test")
    verified = open_note(
        newest.note.signed_also([signer.sign(newest.note.text, now=log.clock())]), {signer.vkey}
    ).verified
    async with log.database.transaction() as session:
        await session.execute(update(LogCheckpoint).values(size=4))
        await keep_cosignatures(
            session, 5, verified, rules=log.published.rules, keys=log.published.keys, now=log.clock()
        )
