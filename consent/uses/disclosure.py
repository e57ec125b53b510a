"""One use of a person's data: what it says, how it is kept, and what the log commits to.

What tells of the person (which items, on what citation, by which token, system or officer) is sealed under the
person's key; what lists are filtered by stays in columns. The log's leaf commits to all of it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from consent.log.entry import Kind, commit_to
from keys.encoding import strict_json_loads
from keys.entropy import Entropy
from keys.personal import PersonalKey

CONSENT: Final = "consent"
OBSERVED: Final = "observed"
REPORTED: Final = "reported"
_MOST_BYTES: Final = 65536


class Disclosure(NamedTuple):
    """A use, as stored in `Use`. `items` are sorted.

    `agency_id` received, `provider_agency_id` gave (None: Satu Pintu itself). `seen_from` and `delay_basis` are what
    the report said about when the person may see it; the row's column moves on when that is renewed.
    """

    id: str
    at: datetime
    subject_id: str
    consent_id: str | None
    purpose_version_id: str | None
    agency_id: str
    client_id: str | None
    action: str
    items: Sequence[str]
    provider_agency_id: str | None = None
    evidence: str = OBSERVED
    legal_basis: str = CONSENT
    legal_citation: str | None = None
    jti: str | None = None
    system: str | None = None
    officer: str | None = None
    reason: str | None = None
    reference: str | None = None
    seen_from: datetime | None = None
    delay_basis: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The use in plain JSON values, which is what its leaf commits to: times in UTC to the microsecond."""
        return self.open_json() | self.personal_json()

    def personal_json(self) -> dict[str, Any]:
        """The part of it that is sealed."""
        return {
            "items": list(self.items),
            "legal_citation": self.legal_citation,
            "jti": self.jti,
            "system": self.system,
            "officer": self.officer,
            "reason": self.reason,
            "seen_from": _moment(self.seen_from),
            "delay_basis": self.delay_basis,
        }

    def open_json(self) -> dict[str, Any]:
        """The part of it that stays readable in the row."""
        return {
            "id": self.id,
            "at": _moment(self.at),
            "subject_id": self.subject_id,
            "consent_id": self.consent_id,
            "purpose_version_id": self.purpose_version_id,
            "agency_id": self.agency_id,
            "client_id": self.client_id,
            "provider_agency_id": self.provider_agency_id,
            "evidence": self.evidence,
            "action": self.action,
            "legal_basis": self.legal_basis,
            "reference": self.reference,
        }


class Written(NamedTuple):
    """A use as it is kept: its row, and the row of its leaf. Neither is ever there without the other."""

    disclosure: Disclosure
    body: bytes
    commitment: bytes
    batch_id: str | None

    @property
    def use(self) -> dict[str, Any]:
        """The row of `Use`."""
        said = self.disclosure
        return {
            "id": said.id,
            "at": said.at,
            "subject_id": said.subject_id,
            "consent_id": said.consent_id,
            "purpose_version_id": said.purpose_version_id,
            "agency_id": said.agency_id,
            "client_id": said.client_id,
            "provider_agency_id": said.provider_agency_id,
            "evidence": said.evidence,
            "action": said.action,
            "legal_basis": said.legal_basis,
            "visible_from": said.seen_from,
            "delay_basis": said.delay_basis,
            "batch_id": self.batch_id,
            "reference": said.reference,
            "body": self.body,
        }

    @property
    def entry(self) -> dict[str, Any]:
        """The row of `LogEntry`."""
        return {
            "id": self.disclosure.id,
            "kind": int(Kind.ACCESS),
            "commitment": self.commitment,
            "at": self.disclosure.at,
            "log_index": None,
        }

    @property
    def flat(self) -> dict[str, Any]:
        """Both as one: their columns of one name have one value."""
        return self.use | self.entry


def write(disclosure: Disclosure, key: PersonalKey, *, entropy: Entropy, batch_id: str | None = None) -> Written:
    """The rows of a use, sealed and committed to under the person's key."""
    personal = disclosure.personal_json()
    body = key.seal(_text(personal), context=_context(disclosure.id), entropy=entropy)
    personal.update(disclosure.open_json())
    return Written(disclosure, body, commit_to(key.opening(disclosure.id), _text(personal)), batch_id)


def read(row: Any, key: PersonalKey) -> Disclosure:
    """A use from its `Use` row. Errors: `SealBroken`, `MalformedEncoding`."""
    body: Mapping[str, Any] = strict_json_loads(key.unseal(row.body, context=_context(row.id)), max_bytes=_MOST_BYTES)
    seen_from = body["seen_from"]
    return Disclosure(
        id=row.id,
        at=row.at,
        subject_id=row.subject_id,
        consent_id=row.consent_id,
        purpose_version_id=row.purpose_version_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        action=row.action,
        provider_agency_id=row.provider_agency_id,
        evidence=row.evidence,
        legal_basis=row.legal_basis,
        reference=row.reference,
        items=tuple(body["items"]),
        legal_citation=body["legal_citation"],
        jti=body["jti"],
        system=body["system"],
        officer=body["officer"],
        reason=body["reason"],
        seen_from=datetime.fromisoformat(seen_from) if seen_from is not None else None,
        delay_basis=body["delay_basis"],
    )


def _context(use_id: str) -> bytes:
    return b"consent_uses/" + use_id.encode()


def _moment(at: datetime | None) -> str | None:
    if at is None:
        return None
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(timespec="microseconds")


def _text(content: Mapping[str, Any]) -> bytes:
    # What `canonical_json` says, at a thirtieth of its price: the names are ours and ASCII, the values are text, lists
    # of text, or nothing, for which this library's text is RFC 8785's. A test holds the two against each other.
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
