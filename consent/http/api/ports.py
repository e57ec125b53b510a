"""What the JSON APIs are handed by whoever mounts them: who calls, the database, the time, the signature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from consent.checks.question import Asked, Verdict
from consent.http.ports import OpensSession, TellsTime
from consent.receipts.office import ReceiptOffice
from keys.entropy import Entropy
from keys.verification import VerificationKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCaller:
    """The app that calls: authenticated by an access token of its own (RFC 6750) that has the scope it needs.

    `agency_id` is whose app it is, and so whose records it may see.
    """

    client_id: str
    agency_id: str
    scopes: frozenset[str]
    resources: frozenset[str]


class ApiRefusal(Exception):
    """An API refuses; the application answers `{"error", "error_description"}`, with a challenge where one is due."""

    def __init__(self, status: int, error: str, description: str = "") -> None:
        super().__init__(description or error)
        self.status = status
        self.error = error
        self.description = description


class FindsCaller(Protocol):
    """Who calls. Errors: `ApiRefusal` 401 without a good token, 403 `insufficient_scope` without the scope."""

    async def __call__(self, request: Request, scope: str, /) -> ApiCaller: ...


class ChecksConsent(Protocol):
    """Answers a data provider's question, and finds out who calls, in one statement.

    The scope is `consent:check`. Errors: those of `FindsCaller`; 403 `access_denied` when their agency is suspended;
    503 when the answer could not be noted.
    """

    async def __call__(self, request: Request, asked: Asked, /) -> Verdict: ...


class Signs(Protocol):
    """Signs claims with the provider's current key for `alg`, as a compact JWS of that `typ`."""

    async def __call__(self, claims: Mapping[str, Any], /, *, typ: str, alg: str) -> str: ...


class FindsKeys(Protocol):
    """The registered public keys of an app; none, when it has none or is not known."""

    async def __call__(self, client_id: str, /) -> VerificationKeys: ...


class ActsAfterReport(Protocol):
    """Compares what was reported under these consents with what their recipients attested, in its transaction."""

    async def __call__(self, session: AsyncSession, consent_ids: Sequence[str], /) -> object: ...


class NamesSubject(Protocol):
    """The `sub` by which an agency knows a person, from the ids of both."""

    def __call__(self, subject_id: str, agency_id: str, /) -> str: ...


class ChecksEndpoint(Protocol):
    """What is wrong with an address that events would be sent to, in a sentence; None when it may be sent to."""

    def __call__(self, url: str, /) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPorts:
    """What the events' endpoints need besides."""

    client_keys: FindsKeys
    subject_name: NamesSubject
    check_endpoint: ChecksEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPorts:
    """Everything that the JSON APIs need from outside."""

    issuer: str
    caller: FindsCaller
    check: ChecksConsent
    transaction: OpensSession
    reading: OpensSession
    sign: Signs
    events: EventPorts
    receipts: ReceiptOffice
    after_report: ActsAfterReport
    clock: TellsTime
    entropy: Entropy
