"""What the GovStack façade needs besides what the other APIs do."""

from dataclasses import dataclass
from typing import Protocol

from consent.http.api.ports import ApiPorts
from consent.http.ports import ActsAfterWithdrawal


@dataclass(frozen=True, slots=True)
class App:
    """What people call an app, and whether somebody has looked at who runs it."""

    name: str
    is_verified: bool


class FindsApp(Protocol):
    """An app that calls, by its `client_id`, in a language."""

    async def __call__(self, client_id: str, language: str, /) -> App: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GovStackPorts(ApiPorts):
    """Everything that the façade needs from outside."""

    app: FindsApp
    after_withdrawal: ActsAfterWithdrawal
