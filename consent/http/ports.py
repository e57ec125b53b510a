"""What the pages about consent are handed by whoever mounts them.

`consent` knows neither logins nor apps. Who is looking, how a page is rendered, what an app is called and what has to
die with a consent are someone else's knowledge, given here as plain callables.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from consent.decisions import COOL_DOWN
from keys.entropy import Entropy

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """The person who is signed in. `csrf` is the token that their forms on these pages carry."""

    subject_id: str
    display_name: str
    roles: frozenset[str]
    locale: str
    csrf: str
    acr: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An app that may ask people for data, and the codes of the purposes that it may ask for."""

    client_id: str
    name: str
    is_verified: bool
    agency_id: str
    purpose_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Citizen:
    """A person whom an officer found."""

    subject_id: str
    display_name: str


class FindsViewer(Protocol):
    """Who is signed in, if anyone."""

    async def __call__(self, request: Request, /) -> Viewer | None: ...


class RequiresLogin(Protocol):
    """The answer that takes a person to the login, and back to the address that they asked for."""

    def __call__(self, request: Request, /) -> Response: ...


class ChecksCsrf(Protocol):
    """Whether a posted form (its single-valued fields) came from one of these pages, in this very browser."""

    def __call__(self, request: Request, form: Form, /) -> bool: ...


class Renders(Protocol):
    """A page in a language, with the headers that every page has."""

    def __call__(
        self, request: Request, template: str, context: Mapping[str, Any], /, *, locale: str, status: int = 200
    ) -> Response: ...


class ChoosesLanguage(Protocol):
    """The language that a reader without a login gets."""

    def __call__(self, request: Request, /) -> str: ...


class OpensSession(Protocol):
    """A database session: one that commits at the end of the block, or one that only reads."""

    def __call__(self) -> AbstractAsyncContextManager[AsyncSession]: ...


class NamesClients(Protocol):
    """What people call each app, in a language. Apps that are not known any more may be left out."""

    async def __call__(self, client_ids: Collection[str], locale: str, /) -> Mapping[str, str]: ...


class FindsApp(Protocol):
    """The live app of an id, named in a language; None when there is none."""

    async def __call__(self, session: AsyncSession, client_id: str, locale: str, /) -> App | None: ...


class ListsApps(Protocol):
    """Every live app that may ask for something."""

    async def __call__(self, session: AsyncSession, locale: str, /) -> Sequence[App]: ...


class NamesSubject(Protocol):
    """The `sub` by which an app's agency knows a person; None when there is no such app."""

    async def __call__(self, session: AsyncSession, subject_id: str, client_id: str, /) -> str | None: ...


class FindsCitizen(Protocol):
    """The one person of a `username`, a `national_id`, or our own `subject_id`; None when there is none, or not one."""

    async def __call__(self, session: AsyncSession, by: str, identifier: str, /) -> Citizen | None: ...


class ActsAfterGrant(Protocol):
    """Lets what rested on a superseded consent (tokens) rest on this one, in the transaction that wrote it."""

    async def __call__(self, session: AsyncSession, consent_id: str, /) -> None: ...


class ActsAfterWithdrawal(Protocol):
    """Ends everything that rests on a consent (tokens), in the transaction that withdrew it."""

    async def __call__(self, session: AsyncSession, consent_id: str, now: datetime, /) -> None: ...


class TellsTime(Protocol):
    """The current time, aware."""

    def __call__(self) -> datetime: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything that the dashboard and the console need from outside."""

    viewer: FindsViewer
    require_login: RequiresLogin
    csrf_ok: ChecksCsrf
    locale_of: ChoosesLanguage
    render: Renders
    transaction: OpensSession
    reading: OpensSession
    client_names: NamesClients
    app: FindsApp
    apps: ListsApps
    subject_ref: NamesSubject
    find_citizen: FindsCitizen
    after_grant: ActsAfterGrant
    after_withdrawal: ActsAfterWithdrawal
    clock: TellsTime
    entropy: Entropy
    refusal_remembered: Callable[[], timedelta] = lambda: COOL_DOWN
