"""What a grant is handed, and what it hands back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from idp.clients.authentication.authenticate import AuthenticatedClient
from idp.clients.registry import RegisteredClient
from idp.protocol import Parameters
from idp.provider import Provider


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request whose client has authenticated and may use the grant."""

    provider: Provider
    authenticated: AuthenticatedClient
    parameters: Parameters
    now: datetime

    @property
    def client(self) -> RegisteredClient:
        """The client's registration."""
        return self.authenticated.registration


# The members of the answer. Spec: RFC 6749 §5.1.
Answer = dict[str, Any]
Grant = Callable[[TokenRequest], Awaitable[Answer]]
