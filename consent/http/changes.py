"""The buttons of a person's own consent: take back all or one item, pause, go on, end it sooner, let them ask again.

Each is one press on the page of the consent, or of the list, and takes effect with its commit. A GET changes nothing:
it is where a person lands who had to log in again before their press counted.
Spec: Law 27/2022 (UU PDP) articles 9, 40 and 41; GDPR article 7(3).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent.decisions import let_go, lift_refusal, pause, resume, shorten, withdraw
from consent.errors import CannotFollow, DecisionRefused, NotAChoice, NotYours
from consent.http.filters import end_of_day
from consent.http.forms import read_form
from consent.http.my_consent import missing, show_consent
from consent.http.ports import Form, Ports

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One press of a button: on which consent of whom, with what filled in."""

    consent_id: str
    subject_id: str
    form: Form
    now: datetime


class NotUnderstood(Exception):
    """Something was filled in that means nothing; `problem` is a word that the page has a sentence for."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Changes:
    """The handlers, by the last word of their address."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def endpoints(self) -> dict[str, Endpoint]:
        """Every button."""
        acts: dict[str, Callable[[AsyncSession, Press], Awaitable[None]]] = {
            "withdraw": self._withdraw,
            "pause": self._pause,
            "resume": self._resume,
            "let-go": self._let_go,
            "shorten": self._shorten,
            "lift": self._lift,
        }
        return {name: self._button(act) for name, act in acts.items()}

    def _button(self, act: Callable[[AsyncSession, Press], Awaitable[None]]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return await self._press(request, act)

        return endpoint

    async def _press(self, request: Request, act: Callable[[AsyncSession, Press], Awaitable[None]]) -> Response:
        viewer = await self._ports.viewer(request)
        if viewer is None:
            return self._ports.require_login(request)
        consent_id = request.path_params["consent_id"]
        # Relative, because only the root of the composition knows under which path all this is mounted.
        back = RedirectResponse(f"../{consent_id}", status_code=303, headers={"Cache-Control": "no-store"})
        if request.method != "POST":
            return back
        form = await read_form(request)
        if not self._ports.csrf_ok(request, form):
            return self._ports.render(request, "consent_form_refused.html", {}, locale=viewer.locale, status=403)
        press = Press(consent_id=consent_id, subject_id=viewer.subject_id, form=form, now=self._ports.clock())
        try:
            async with self._ports.transaction() as session:
                await act(session, press)
        except NotYours:
            return missing(self._ports, request, viewer)
        except CannotFollow:
            # A second press of the button, or time was quicker: the page says how it stands.
            return back
        except NotAChoice:
            return await show_consent(self._ports, request, viewer, problem="not_a_choice", status=409)
        except DecisionRefused:
            return await show_consent(self._ports, request, viewer, problem="refused", typed=form, status=400)
        except NotUnderstood as wrong:
            return await show_consent(self._ports, request, viewer, problem=wrong.problem, typed=form, status=400)
        return back

    async def _withdraw(self, session: AsyncSession, press: Press) -> None:
        await withdraw(session, **self._whose(press))
        await self._ports.after_withdrawal(session, press.consent_id, press.now)

    async def _pause(self, session: AsyncSession, press: Press) -> None:
        await pause(session, **self._whose(press))

    async def _resume(self, session: AsyncSession, press: Press) -> None:
        await resume(session, **self._whose(press))

    async def _let_go(self, session: AsyncSession, press: Press) -> None:
        await let_go(session, **self._whose(press), item=press.form.get("item", ""))

    async def _shorten(self, session: AsyncSession, press: Press) -> None:
        until = end_of_day(press.form.get("until", "").strip())
        if until is None:
            raise NotUnderstood("not_a_day")
        await shorten(session, **self._whose(press), until=until)

    async def _lift(self, session: AsyncSession, press: Press) -> None:
        await lift_refusal(session, **self._whose(press))

    def _whose(self, press: Press) -> dict[str, Any]:
        return {
            "consent_id": press.consent_id,
            "subject_id": press.subject_id,
            "now": press.now,
            "entropy": self._ports.entropy,
        }
