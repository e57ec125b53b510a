"""A form with a scanned document: the document is hashed as it arrives, and kept nowhere.

What is kept is its SHA-256, which whoever holds the paper can show to be of it. The paper itself, with a signature and
whatever else is on it, stays with the agency.
Spec: RFC 7578 (multipart/form-data); Law 27/2022 (UU PDP) article 22 (written or recorded).
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import ParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

MOST_BYTES: Final = 6 * 1024 * 1024
MOST_PARTS: Final = 60
MOST_IN_A_FIELD: Final = 4096
# A scan is a PDF, a JPEG, a PNG or a TIFF. Whatever else was chosen was chosen by mistake.
_SCANS: Final = (b"%PDF-", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*")
_LONGEST_MARK: Final = max(map(len, _SCANS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is known of a document that was sent: its SHA-256, its size, and whether it begins as a scan does."""

    sha256: bytes
    size: int
    is_scan: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A form's fields with all their values, and the one document, if one was chosen."""

    fields: dict[str, list[str]]
    document: Document | None


class Refused(Exception):
    """Not a form that our pages make."""


@dataclass(slots=True)
class _Reader:
    """Takes the parser's pieces. One part at a time; a file's bytes go into the hash and are gone."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    document: Document | None = None
    parts: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    header_name: bytearray = field(default_factory=bytearray)
    header_value: bytearray = field(default_factory=bytearray)
    name: str = ""
    is_file: bool = False
    value: bytearray = field(default_factory=bytearray)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    size: int = 0
    is_over: bool = False

    def part_begin(self) -> None:
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise Refused
        self.headers = {}

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.header_name += data[start:end]
        _cap(self.header_name)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.header_value += data[start:end]
        _cap(self.header_value)

    def header_end(self) -> None:
        self.headers[bytes(self.header_name).lower()] = bytes(self.header_value)
        self.header_name, self.header_value = bytearray(), bytearray()

    def headers_finished(self) -> None:
        kind, options = parse_options_header(self.headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise Refused
        self.name = options[b"name"].decode()
        self.is_file = b"filename" in options
        self.value, self.digest, self.size = bytearray(), hashlib.sha256(), 0

    def part_data(self, data: bytes, start: int, end: int) -> None:
        self.size += end - start
        if self.is_file:
            self.digest.update(data[start:end])
            self.value += data[start : min(end, start + _LONGEST_MARK - len(self.value))]
            return
        self.value += data[start:end]
        _cap(self.value)

    def part_end(self) -> None:
        if not self.is_file:
            self.fields.setdefault(self.name, []).append(self.value.decode())
            return
        if self.size == 0:
            return  # an empty file field is sent, too
        if self.document is not None:
            raise Refused
        is_scan = bytes(self.value).startswith(_SCANS)
        self.document = Document(sha256=self.digest.digest(), size=self.size, is_scan=is_scan)

    def end(self) -> None:
        self.is_over = True


def _cap(text: bytearray) -> None:
    if len(text) > MOST_IN_A_FIELD:
        raise Refused


async def read_upload(request: Request) -> Upload:
    """The posted form; one without any field, and so refused like a forged one, when it is malformed or too big."""
    nothing = Upload(fields={}, document=None)
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        return nothing
    reader = _Reader()
    seen = 0
    try:
        parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": reader.part_begin,
                "on_header_field": reader.on_header_field,
                "on_header_value": reader.on_header_value,
                "on_header_end": reader.header_end,
                "on_headers_finished": reader.headers_finished,
                "on_part_data": reader.part_data,
                "on_part_end": reader.part_end,
                "on_end": reader.end,
            },
        )
        async for chunk in request.stream():
            seen += len(chunk)
            if seen > MOST_BYTES:
                return nothing
            parser.write(chunk)
        parser.finalize()
    except (ParseError, Refused, UnicodeDecodeError, ClientDisconnect):
        return nothing
    # A body that breaks off is not half a form.
    return Upload(fields=reader.fields, document=reader.document) if reader.is_over else nothing
