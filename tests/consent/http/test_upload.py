"""Forms with a document: what is read of them, and that nothing malformed is half read."""

from collections.abc import Iterable

import pytest
from starlette.requests import Request
from starlette.types import Message

from consent.http import upload
from consent.http.upload import read_upload
from keys.entropy import sha256

pytestmark = pytest.mark.anyio

TYPE = "multipart/form-data; boundary=b"
SCAN = b"%PDF-1.7 " + bytes(range(256)) * 300


def part(name: str, value: bytes, *, filename: str | None = None) -> bytes:
    """One part of a form."""
    of_a_file = f'; filename="{filename}"' if filename is not None else ""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{of_a_file}\r\n\r\n'.encode() + value + b"\r\n"


def posted(body: bytes, *, media_type: str = TYPE, size: int = 1000) -> Request:
    """A request whose body comes in pieces."""
    pieces: Iterable[bytes] = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    messages: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        return messages.pop(0)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", media_type.encode())]}
    return Request(scope, receive)


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
async def test_fields_and_the_documents_hash_are_read_however_the_body_is_cut(size: int) -> None:
    scan = SCAN[:3000] if size == 1 else SCAN
    body = part("item", b"email") + part("item", b"gender") + part("document", scan, filename="a.pdf") + b"--b--\r\n"
    read = await read_upload(posted(body, size=size))
    assert read.fields == {"item": ["email", "gender"]}
    assert read.document is not None
    assert (read.document.sha256, read.document.size, read.document.is_scan) == (sha256(scan), len(scan), True)


@pytest.mark.parametrize(
    ("begins", "is_scan"),
    [
        (b"%PDF-", True),
        (b"\xff\xd8\xff", True),
        (b"\x89PNG\r\n\x1a\n", True),
        (b"II*\x00", True),
        (b"MM\x00*", True),
        (b"MZ", False),
        (b"<html>", False),
        (b"%PD", False),
    ],
)
async def test_a_scan_is_told_by_how_it_begins(begins: bytes, is_scan: bool) -> None:
    read = await read_upload(posted(part("document", begins + b"!" * 20, filename="x") + b"--b--\r\n"))
    assert read.document is not None
    assert read.document.is_scan is is_scan


async def test_a_file_field_that_nothing_was_chosen_for_is_no_document() -> None:
    read = await read_upload(posted(part("csrf", b"1") + part("document", b"", filename="") + b"--b--\r\n"))
    assert (read.fields, read.document) == ({"csrf": ["1"]}, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        part("csrf", b"1"),
        part("csrf", b"1") + b"--b\r\nContent-Disposition: form-data; na",
        part("csrf", b"x" * 5000) + b"--b--\r\n",
        part("csrf", b"\xff\xfe") + b"--b--\r\n",
        part("document", SCAN, filename="a") + part("document", SCAN, filename="b") + b"--b--\r\n",
        b"".join(part("item", b"1") for _ in range(61)) + b"--b--\r\n",
        b"--b\r\nContent-Disposition: attachment; name=csrf\r\n\r\n1\r\n--b--\r\n",
        b"--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--\r\n",
        b"--b\r\nX: " + b"x" * 5000 + b"\r\n\r\n1\r\n--b--\r\n",
        b"csrf=1",
    ],
)
async def test_what_is_malformed_or_too_much_is_no_form_at_all(body: bytes) -> None:
    read = await read_upload(posted(body))
    assert (read.fields, read.document) == ({}, None)


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""])
async def test_another_kind_of_body_is_no_form_at_all(media_type: str) -> None:
    read = await read_upload(posted(part("csrf", b"1") + b"--b--\r\n", media_type=media_type))
    assert read.fields == {}


async def test_what_is_larger_than_a_scan_is_no_form_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MOST_BYTES", 10_000)
    read = await read_upload(posted(part("csrf", b"1") + part("document", SCAN, filename="a") + b"--b--\r\n"))
    assert (read.fields, read.document) == ({}, None)
