"""What an app presents of itself, and what each way of authenticating answers to.

A method reads what was presented, without believing any of it, and then verifies it against the registration.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from idp.clients.registry import RegisteredClient
from idp.database import Database
from idp.protocol import Parameters
from idp.settings import Settings


class NotAuthenticated(Exception):
    """What was presented does not hold. The reason goes to the log.

    To the client goes only what it may know after its own key has signed (`told`): what to change.
    """

    def __init__(self, reason: str, *, told: bool = False) -> None:
        super().__init__(reason)
        self.told = told


@dataclass(frozen=True, slots=True)
class Presented:
    """What was presented: the id that is claimed, and the secret or assertion that is to prove it. Unverified."""

    client_id: str
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything that verifying one presentation may look at."""

    presented: Presented
    client: RegisteredClient | None
    settings: Settings
    database: Database
    now: datetime


Read = Callable[[Request, Parameters], Presented | None]
Verify = Callable[[Attempt], Awaitable[RegisteredClient]]


@dataclass(frozen=True, slots=True)
class Method:
    """One way of authenticating, under its name in the register of OAuth's methods.

    `read` finds this method's presentation in a request, or nothing when the request uses another; `verify` returns the
    client, or raises `NotAuthenticated`.
    Spec: RFC 7591 §2 (token_endpoint_auth_method).
    """

    name: str
    read: Read
    verify: Verify
