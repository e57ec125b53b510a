"""The apps as the endpoints see them: immutable, keys parsed once, read again every few seconds.

A change made elsewhere (a disabled app, a rotated secret) is seen here within `max_age`. What must be seen at once, a
disabled app's tokens, is read with the token and does not wait for this cache.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import structlog
from sqlalchemy import String, bindparam, cast, select

from idp.clients.algorithms import algorithms_for
from idp.clients.models import Client
from idp.database import Database
from idp.driver.statement import Row, Statement
from keys.errors import KeyRefused
from keys.verification import VerificationKeys

log = structlog.get_logger()

PUBLIC: Final = "none"

# A longer or stranger one is nobody's, and PostgreSQL would choke on a NUL.
CLIENT_ID: Final = re.compile(r"[A-Za-z0-9._~:/-]{1,200}")


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """One app's registration. `secrets` are pairs of a SHA-256 and the end of its life, if it has one."""

    client_id: str
    agency_id: str
    names: Mapping[str, str]
    status: str
    verified: bool
    profile: str
    application_type: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    grant_types: frozenset[str]
    response_modes: frozenset[str]
    token_endpoint_auth_method: str
    secrets: tuple[tuple[bytes, datetime | None], ...]
    verification_keys: VerificationKeys
    scopes: frozenset[str]
    resources: frozenset[str]
    allowed_resources: frozenset[str]
    purpose_codes: tuple[str, ...]
    subject_type: str
    id_token_signed_response_alg: str
    userinfo_signed_response_alg: str | None
    require_pkce: bool
    default_max_age: int | None
    web_origins: frozenset[str]
    client_uri: str | None

    @property
    def is_live(self) -> bool:
        """Whether the app may be used."""
        return self.status == "live"

    @property
    def is_public(self) -> bool:
        """Whether the app cannot keep a secret (a phone or browser app), and so proves nothing about itself."""
        return self.token_endpoint_auth_method == PUBLIC

    def name(self, language: str) -> str:
        """The app's name in a language, or in whichever it has."""
        return self.names.get(language) or next(iter(self.names.values()), self.client_id)


_COLUMNS = Client.__table__.c
_BY_ID = Statement(select(*_COLUMNS).where(Client.client_id == bindparam("client_id")))
_ORIGINS = select(Client.web_origins).where(Client.status == "live", cast(Client.web_origins, String) != "[]")
_OWNERS = select(Client.resources, Client.agency_id).where(
    Client.status == "live", cast(Client.resources, String) != "[]"
)


class ClientRegistry:
    """Looks clients up, and remembers the answer, also a negative one, for `max_age` seconds and no longer."""

    def __init__(
        self, database: Database, max_age: float, *, capacity: int = 50_000, unknown_capacity: int = 1_000
    ) -> None:
        self._database = database
        self._max_age = timedelta(seconds=max_age)
        self._known: _Remembered = _Remembered(capacity)
        # Unknown ids are kept apart, so that a flood of invented ones cannot push the real ones out.
        self._unknown: _Remembered = _Remembered(unknown_capacity)
        self._origins: tuple[datetime, frozenset[str]] | None = None
        self._owners: tuple[datetime, Mapping[str, str]] | None = None

    async def get(self, client_id: str, now: datetime) -> RegisteredClient | None:
        """The live client of that id; nothing when it is unknown or disabled."""
        client = await self.find(client_id, now)
        return client if client is not None and client.is_live else None

    async def find(self, client_id: str, now: datetime) -> RegisteredClient | None:
        """The client of that id whatever its status, for pages that must still name a disabled app."""
        if CLIENT_ID.fullmatch(client_id) is None:
            return None
        oldest = now - self._max_age
        for memory in (self._known, self._unknown):
            found, client = memory.recall(client_id, oldest)
            if found:
                return client
        row = await self._database.driver.row(_BY_ID, {"client_id": client_id})
        if row is None:
            self._unknown.remember(client_id, now, None)
            return None
        client = registered(row)
        self._known.remember(client_id, now, client)
        return client

    async def is_web_origin(self, origin: str, now: datetime) -> bool:
        """Whether any live app has registered this origin, for questions that name no app (a CORS preflight).

        The set is read as a whole, at most once in `max_age`: invented origins cost no statement each.
        """
        if self._origins is None or self._origins[0] <= now - self._max_age:
            async with self._database.reading() as session:
                rows = (await session.execute(_ORIGINS)).scalars()
                self._origins = (now, frozenset(origin for origins in rows for origin in origins))
        return origin in self._origins[1]

    async def owners(self, now: datetime) -> Mapping[str, str]:
        """Which agency each protected resource belongs to. Read as a whole, at most once in `max_age`."""
        if self._owners is None or self._owners[0] <= now - self._max_age:
            async with self._database.reading() as session:
                rows = await session.execute(_OWNERS)
                owners = {resource: agency_id for resources, agency_id in rows for resource in resources}
            self._owners = (now, owners)
        return self._owners[1]

    def forget(self) -> None:
        """Reads everything anew from here on."""
        self._known.clear()
        self._unknown.clear()
        self._origins = None
        self._owners = None


class _Remembered:
    """Answers by client id with their age; the longest unused one leaves when there are too many."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._answers: OrderedDict[str, tuple[datetime, RegisteredClient | None]] = OrderedDict()

    def recall(self, client_id: str, oldest: datetime) -> tuple[bool, RegisteredClient | None]:
        answer = self._answers.get(client_id)
        if answer is None:
            return False, None
        if answer[0] <= oldest:
            del self._answers[client_id]
            return False, None
        self._answers.move_to_end(client_id)
        return True, answer[1]

    def remember(self, client_id: str, now: datetime, client: RegisteredClient | None) -> None:
        self._answers[client_id] = (now, client)
        self._answers.move_to_end(client_id)
        while len(self._answers) > self._capacity:
            self._answers.popitem(last=False)

    def clear(self) -> None:
        self._answers.clear()


def registered(row: Row) -> RegisteredClient:
    """A row of `idp_clients` as an immutable value, its keys parsed."""
    return RegisteredClient(
        client_id=row.client_id,
        agency_id=row.agency_id,
        names=MappingProxyType(dict(row.names)),
        status=row.status,
        verified=row.verified,
        profile=row.profile,
        application_type=row.application_type,
        redirect_uris=tuple(row.redirect_uris),
        post_logout_redirect_uris=tuple(row.post_logout_redirect_uris),
        grant_types=frozenset(row.grant_types),
        response_modes=frozenset(row.response_modes),
        token_endpoint_auth_method=row.token_endpoint_auth_method,
        secrets=tuple(_secret(secret) for secret in row.secrets),
        verification_keys=_keys(row.jwks, row.profile),
        scopes=frozenset(row.scopes),
        resources=frozenset(row.resources),
        allowed_resources=frozenset(row.allowed_resources),
        purpose_codes=tuple(row.purpose_codes),
        subject_type=row.subject_type,
        id_token_signed_response_alg=row.id_token_signed_response_alg,
        userinfo_signed_response_alg=row.userinfo_signed_response_alg,
        require_pkce=row.require_pkce,
        default_max_age=row.default_max_age,
        web_origins=frozenset(row.web_origins),
        client_uri=row.client_uri,
    )


def _secret(stored: Mapping[str, Any]) -> tuple[bytes, datetime | None]:
    expires_at = stored.get("expires_at")
    return bytes.fromhex(stored["sha256"]), datetime.fromisoformat(expires_at) if expires_at else None


def _keys(jwks: Mapping[str, Any] | None, profile: str) -> VerificationKeys:
    if jwks is None:
        return VerificationKeys(())
    try:
        return VerificationKeys.from_jwks(jwks, frozenset(algorithms_for(profile)), skip_unsuitable=True)
    except KeyRefused as refused:
        # Registration checks the set, so somebody wrote the row by hand. The app is known, and can prove nothing.
        log.warning("client_keys_refused", detail=refused.detail)
        return VerificationKeys(())
