"""The witness and its client over HTTP, each against a partner that misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from consent.http.witness import witness_app
from consent.http.witness_client import check_witness_url, witness_wire
from consent.log.note import Note
from consent.log.witness import MAX_BODY_BYTES, Submission, Witness, origin_hash
from consent.log.witness_client import (
    Post,
    WireAnswer,
    WitnessAhead,
    WitnessRefused,
    WitnessUnreachable,
    ask_for_cosignatures,
    read_cosignatures,
)
from consent.log.witness_state import SqliteWitnessState
from tests.consent.log.growing import LOG, NOW, ORIGIN, WITNESSES, GrowingLog, numbered_leaves
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio

KEY = WITNESSES[0].vkey


@pytest.fixture
def log() -> GrowingLog:
    """A log of twenty leaves."""
    return GrowingLog().append(*numbered_leaves(20))


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    """A witness of that log."""
    state = SqliteWitnessState(tmp_path / "witness.sqlite")
    yield Witness(log_keys=[LOG.vkey], signers=[WITNESSES[0]], state=state)
    state.close()


@pytest.fixture
async def browser(witness: Witness) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the witness's application."""
    transport = httpx2.ASGITransport(app=witness_app(witness, clock=lambda: NOW))
    async with httpx2.AsyncClient(transport=transport, base_url="https://w.example") as client:
        yield client


@pytest.fixture
async def post(browser: httpx2.AsyncClient) -> AsyncIterator[Post]:
    """The wire to that witness."""
    async with witness_wire("https://w.example/", client=browser) as wire:
        yield wire


def proving(log: GrowingLog, size: int) -> Callable[[int], Awaitable[Sequence[bytes]]]:
    """The log's own proofs to one size."""

    async def prove_from(old: int) -> Sequence[bytes]:
        return log.consistency(old, size)

    return prove_from


async def asked(log: GrowingLog, size: int, post: Post, *, old: int) -> list[str]:
    """Has a checkpoint cosigned; returns the names of who did."""
    found = await ask_for_cosignatures(
        log.checkpoint(size), old=old, prove_from=proving(log, size), post=post, witness_keys=[KEY], now=NOW
    )
    return [verified.key.name for verified in found]


async def test_a_log_has_its_checkpoints_cosigned(log: GrowingLog, post: Post) -> None:
    assert await asked(log, 5, post, old=0) == ["w0.example"]
    assert await asked(log, 9, post, old=5) == ["w0.example"]
    assert await asked(log, 9, post, old=9) == ["w0.example"]


@pytest.mark.parametrize("remembered", [0, 3, 12])
async def test_a_log_that_remembers_another_size_believes_the_witness(
    log: GrowingLog, post: Post, remembered: int
) -> None:
    await asked(log, 5, post, old=0)
    assert await asked(log, 12, post, old=remembered) == ["w0.example"]


async def test_a_log_that_has_gone_back_is_told_so(log: GrowingLog, post: Post) -> None:
    await asked(log, 12, post, old=0)
    with pytest.raises(WitnessAhead, match=r"12 leaves.*tree of 9") as ahead:
        await asked(log, 9, post, old=0)
    assert (ahead.value.size, ahead.value.knows) == (9, 12)


async def test_a_log_that_forked_gets_no_cosignature(log: GrowingLog, post: Post) -> None:
    await asked(log, 5, post, old=0)
    forked = GrowingLog().append(*numbered_leaves(20, "of another history"))
    with pytest.raises(WitnessRefused, match="422"):
        await asked(forked, 9, post, old=5)


async def test_the_answers_over_http_are_the_specifications(browser: httpx2.AsyncClient, log: GrowingLog) -> None:
    sent = Submission(0, (), log.checkpoint(5)).body()
    first = await browser.post("/add-checkpoint", content=sent)
    assert first.status_code == 200
    assert first.text.startswith("— w0.example ")
    assert first.headers["content-type"] == "text/plain; charset=utf-8"
    again = await browser.post("/add-checkpoint", content=sent)
    assert (again.status_code, again.text, again.headers["content-type"]) == (409, "5\n", "text/x.tlog.size")
    read = await browser.get(f"/{origin_hash(ORIGIN)}/checkpoint")
    assert (read.status_code, read.text) == (200, str(log.checkpoint(5)) + first.text)
    assert (await browser.get(f"/{origin_hash('another')}/checkpoint")).status_code == 404
    assert (await browser.get("/add-checkpoint")).status_code == 405
    assert (await browser.post("/add-checkpoint", content=b"nonsense")).status_code == 400


async def test_a_body_without_end_is_cut_off(browser: httpx2.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 65536
            yield b"x" * 65536

    answer = await browser.post("/add-checkpoint", content=endless())
    assert answer.status_code == 413
    assert sent < 4 * MAX_BODY_BYTES


async def test_only_the_logs_own_signature_is_sent_on(log: GrowingLog) -> None:
    sent: list[bytes] = []

    async def post(body: bytes) -> WireAnswer:
        sent.append(body)
        return WireAnswer(500, "", b"")

    note = log.checkpoint(5, cosigners=WITNESSES)
    with pytest.raises(WitnessRefused):
        await ask_for_cosignatures(note, old=0, prove_from=proving(log, 5), post=post, witness_keys=[KEY], now=NOW)
    assert sent == [Submission(0, (), log.checkpoint(5)).body()]


def answering(*answers: WireAnswer) -> Post:
    """A witness that says what it was told to say."""
    left = list(answers)

    async def post(_body: bytes) -> WireAnswer:
        return left.pop(0)

    return post


def told(size: bytes, kind: str = "text/x.tlog.size") -> WireAnswer:
    """A 409."""
    return WireAnswer(409, kind, size)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([WireAnswer(500, "text/plain", b"broken")], "500: 'broken'"),
        ([WireAnswer(302, "text/plain", b"")], "302"),
        ([WireAnswer(200, "text/plain", b"")], "not its cosignature"),
        ([WireAnswer(200, "text/plain", b"x" * 100_000)], "more than"),
        ([WireAnswer(200, "text/plain", b"hello\n")], "not its cosignature"),
        ([told(b"5\n", "text/plain")], "does not say"),
        ([told(b"5")], "does not say"),
        ([told(b"05\n")], "decimal"),
        ([told(b"-1\n")], "decimal"),
        ([told(b"9" * 40 + b"\n")], "does not say"),
        ([told(b"0\n")], "wrong size"),
        ([told(b"5\n"), told(b"7\n")], "409"),
    ],
)
async def test_an_answer_that_is_no_cosignature_is_refused(
    log: GrowingLog, answers: list[WireAnswer], why: str
) -> None:
    with pytest.raises(WitnessRefused, match=why):
        await asked(log, 9, answering(*answers), old=0)


async def test_a_cosignature_counts_only_from_a_known_witness_for_this_checkpoint_with_a_time_that_can_be(
    log: GrowingLog,
) -> None:
    note = log.checkpoint(9)

    def read(line: str, *, of: Note = note) -> int:
        return len(read_cosignatures(of, line.encode(), witness_keys=[KEY], now=NOW))

    good = WITNESSES[0].sign(note.text, now=NOW).line
    assert read(good) == 1
    assert read(WITNESSES[1].sign(note.text, now=NOW).line + good) == 1
    refused = [
        WITNESSES[1].sign(note.text, now=NOW).line,
        WITNESSES[0].sign(log.checkpoint(8).text, now=NOW).line,
        WITNESSES[0].sign(note.text, now=NOW + timedelta(hours=1)).line,
        WITNESSES[0].sign(note.text, now=NOW.fromtimestamp(0, tz=NOW.tzinfo)).line,
        # With a blank line the text would end further down, and the first line would be signed as if it were text.
        f"{good}\n{good}",
    ]
    for line in refused:
        with pytest.raises(WitnessRefused):
            read(line)


@asynccontextmanager
async def raw_server(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A server on loopback that answers as told; gives its URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await answer(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    port = free_port()
    server = await asyncio.start_server(handle, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{port}/witness"
    finally:
        server.close()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def flood(writer: asyncio.StreamWriter) -> None:
    """Far more than a witness has to say."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100000000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x" * 100_000)
        await writer.drain()


async def redirect(writer: asyncio.StreamWriter) -> None:
    """Elsewhere."""
    writer.write(b"HTTP/1.1 307 No\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def hang_up(_writer: asyncio.StreamWriter) -> None:
    """Nothing."""


@pytest.mark.parametrize(
    ("behaviour", "why"), [(drip, "TimeoutError"), (flood, "more than"), (hang_up, "does not answer")]
)
async def test_a_witness_that_drips_floods_or_hangs_up_is_unreachable_and_soon(
    log: GrowingLog, behaviour: Callable[[asyncio.StreamWriter], Awaitable[None]], why: str
) -> None:
    async with raw_server(behaviour) as url, witness_wire(url, seconds=1) as post:
        async with asyncio.timeout(10):
            with pytest.raises(WitnessUnreachable, match=why):
                await asked(log, 9, post, old=0)


async def test_nobody_there_is_unreachable_and_a_redirect_is_not_followed(log: GrowingLog) -> None:
    async with witness_wire(f"http://127.0.0.1:{free_port()}/") as post:
        with pytest.raises(WitnessUnreachable):
            await asked(log, 9, post, old=0)
    async with raw_server(redirect) as url, witness_wire(url) as post:
        with pytest.raises(WitnessRefused, match="307"):
            await asked(log, 9, post, old=0)


@pytest.mark.parametrize(
    "url",
    [
        "http://w.example/",
        "ftp://w.example/",
        "https://user:secret@w.example/",
        "https://w.example/?a=b",
        "https:///x",
        "w.example",
        "",
    ],
)
def test_an_address_that_is_not_a_witnesss_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="submission prefix"):
        check_witness_url(url)
