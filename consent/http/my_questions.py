"""The questions on a person's dashboard: one that was put to them elsewhere and waits, and whether to go on for longer.

What was shown is what is recorded: a form carries the SHA-256 of the text that it was made with, and unless that is the
text of now, the page is shown again.
Spec: Law 27/2022 (UU PDP) articles 20 to 22 and 24.
"""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent.decisions import Decision, grant, refuse, renew
from consent.errors import CannotFollow, DecisionRefused, NotYours
from consent.history import ConsentDetail, consent_of
from consent.http.forms import read_fields
from consent.http.my_consent import missing, show_consent
from consent.http.ports import Ports, Viewer
from consent.http.questions import Question, question_about
from consent.http.shown import shown_text, spoken
from consent.statuses import PERMITTING

Endpoint = Callable[[Request], Awaitable[Response]]
Fields = dict[str, list[str]]
_RENEWABLE = PERMITTING | {"expired"}


class Questions:
    """The handlers, by the last word of their address."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def endpoints(self) -> dict[str, Endpoint]:
        """Every question."""
        return {"renew": self.renew, "answer": self.answer}

    async def renew(self, request: Request) -> Response:
        """Whether to let a consent go on: the same items, shown once more."""
        return await self._ask(request, statuses=_RENEWABLE, decide=self._renewed)

    async def answer(self, request: Request) -> Response:
        """A question that waits for its answer."""
        return await self._ask(request, statuses=frozenset({"requested"}), decide=self._answered)

    async def _ask(
        self,
        request: Request,
        *,
        statuses: Collection[str],
        decide: Callable[[AsyncSession, Viewer, ConsentDetail, Question, Fields, datetime], Awaitable[None]],
    ) -> Response:
        viewer = await self._ports.viewer(request)
        if viewer is None:
            return self._ports.require_login(request)
        consent_id = request.path_params["consent_id"]
        back = RedirectResponse(f"../{consent_id}", status_code=303, headers={"Cache-Control": "no-store"})
        fields: Fields = await read_fields(request) if request.method == "POST" else {}
        if request.method == "POST" and not self._ports.csrf_ok(request, _single(fields)):
            return self._ports.render(request, "consent_form_refused.html", {}, locale=viewer.locale, status=403)
        now = self._ports.clock()
        try:
            async with self._ports.transaction() as session:
                detail = await consent_of(session, consent_id=consent_id, subject_id=viewer.subject_id)
                if detail.consent.status not in statuses:
                    return back
                question = await self._question(session, viewer, detail, now)
                if question is not None and fields and _single(fields).get("shown") == question.shown:
                    await decide(session, viewer, detail, question, fields, now)
                    return back
        except NotYours:
            return missing(self._ports, request, viewer)
        except CannotFollow:
            return back
        except DecisionRefused:
            return await show_consent(self._ports, request, viewer, problem="changed", status=409)
        if question is None:
            return await show_consent(self._ports, request, viewer, problem="not_in_use", status=409)
        return self._page(request, viewer, detail, question, fields)

    def _page(
        self, request: Request, viewer: Viewer, detail: ConsentDetail, question: Question, fields: Fields
    ) -> Response:
        return self._ports.render(
            request,
            "my_question.html",
            {
                "viewer": viewer,
                "consent": detail.consent,
                "renews": detail.consent.status != "requested",
                "notice": question.notice,
                "shown": question.shown,
                "ticked": frozenset(fields.get("item", [])),
                "app_name": question.app.name,
            },
            locale=viewer.locale,
        )

    async def _question(
        self, session: AsyncSession, viewer: Viewer, detail: ConsentDetail, now: datetime
    ) -> Question | None:
        consent = detail.consent
        asked: Collection[str] | None = (*consent.granted, *consent.refused)
        offline_access = consent.offline_access
        if consent.status == "requested":
            asked, offline_access = _asked_then(detail)
        return await question_about(
            self._ports,
            session,
            client_id=consent.client_id,
            purpose_code=consent.purpose_code,
            asked=asked,
            offline_access=offline_access,
            language=spoken(viewer.locale),
            now=now,
        )

    async def _renewed(
        self,
        session: AsyncSession,
        viewer: Viewer,
        detail: ConsentDetail,
        question: Question,
        _fields: Fields,
        now: datetime,
    ) -> None:
        await renew(
            session,
            consent_id=detail.consent.id,
            who=await question.decided_by(self._ports, session, viewer.subject_id, acr=viewer.acr),
            notice=question.notice,
            now=now,
            entropy=self._ports.entropy,
        )

    async def _answered(
        self,
        session: AsyncSession,
        viewer: Viewer,
        _detail: ConsentDetail,
        question: Question,
        fields: Fields,
        now: datetime,
    ) -> None:
        await answer_question(
            self._ports,
            session,
            question,
            who=await question.decided_by(self._ports, session, viewer.subject_id, acr=viewer.acr),
            fields=fields,
            now=now,
        )


async def answer_question(
    ports: Ports, session: AsyncSession, question: Question, *, who: Decision, fields: Fields, now: datetime
) -> str:
    """Writes the answer that a form carries: `decision` is allow or deny, `item` the optional items that are ticked.

    Returns the record's id. Error: `DecisionRefused`.
    """
    notice = question.notice
    decision = _single(fields).get("decision")
    if decision not in {"allow", "deny"}:
        raise DecisionRefused("neither allowed nor denied")
    if decision == "deny":
        return await refuse(
            session,
            who=who,
            refused=notice.claims,
            notice=notice,
            cool_down=ports.refusal_remembered(),
            now=now,
            entropy=ports.entropy,
        )
    ticked = frozenset(fields.get("item", []))
    # Where the legal basis leaves no choice there is nothing to tick: the whole notice is what they were told.
    granted = notice.required | ticked if notice.is_choice else notice.claims
    consent_id = await grant(
        session,
        who=who,
        granted=granted,
        refused=notice.claims - granted,
        offline_access=notice.offline_access is not None,
        notice=notice,
        now=now,
        entropy=ports.entropy,
    )
    await ports.after_grant(session, consent_id)
    return consent_id


def _asked_then(detail: ConsentDetail) -> tuple[Collection[str] | None, bool]:
    """The items and the offline access of the text that was put to the person; all items, when it is not readable."""
    text = shown_text(detail)
    if text is None or text.notice is None:
        return None, False
    return [item["claim"] for item in text.notice["items"]], text.notice["offline_access"] is not None


def _single(fields: Fields) -> dict[str, str]:
    """The fields that came once: of a repeated one, one reader would take the first value and another the last."""
    return {name: values[0] for name, values in fields.items() if len(values) == 1}
