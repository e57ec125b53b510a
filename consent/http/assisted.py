"""Consent at a counter, by telephone, on paper: an officer reads the notice out and writes down what the person says.

It has the same force as a press on a page, so it goes the same way: the same text, the same record, the same event,
which names the officer and, of a paper, the SHA-256 of its scan. The person sees it on their own pages, marked as what
it is. Whom an officer looks for, and why, is written down before anything is shown.
Spec: Law 27/2022 (UU PDP) articles 22(1) to (3), 24, 26 and 31.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from consent.attributes import LANGUAGES
from consent.decisions import ASSISTED, withdraw
from consent.errors import CannotFollow, ConsentError, DecisionRefused
from consent.history import ConsentSummary, consents_of
from consent.http.console import for_officers
from consent.http.forms import read_form
from consent.http.my_questions import answer_question
from consent.http.ports import App, Citizen, Form, Ports, Viewer
from consent.http.questions import Question, question_about
from consent.http.shown import card, spoken
from consent.http.upload import Upload, read_upload
from consent.oversight import record_officer_action
from consent.purposes import list_purposes
from consent.wording import fault_in

ASSISTANT: Final = "assisting_officer"
CHANNELS: Final = ("counter", "phone", "paper")
NAMES: Final = ("username", "national_id")
MOST_CONSENTS: Final = 200

assert set(CHANNELS) == ASSISTED


class Wrong(Exception):
    """Something is not filled in as it must be; `problem` is a word that the page has a sentence for."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an officer filled in with a decision: by which way the person said it, on which paper, why it is entered."""

    subject_id: str
    channel: str
    reason: str
    document_sha256: bytes | None


def routes(ports: Ports) -> list[Route]:
    """The pages of officers who write down what others say."""
    pages = AssistedPages(ports)
    return [
        Route(path, for_officers(ports, handler, role=ASSISTANT), methods=methods)
        for path, handler, methods in (
            ("/console/assisted", pages.begin, ["GET"]),
            ("/console/assisted/find", pages.find, ["POST"]),
            ("/console/assisted/question", pages.question, ["POST"]),
            ("/console/assisted/record", pages.record, ["POST"]),
            ("/console/assisted/withdraw", pages.withdraw, ["POST"]),
        )
    ]


class AssistedPages:
    """The handlers. Each begins anew from what the database says: a form says only what the officer wants."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def begin(self, request: Request, officer: Viewer) -> Response:
        """Who is it?"""
        done = request.query_params.get("done")
        return self._begin(request, officer, done=done if done in {"recorded", "withdrawn"} else None)

    async def find(self, request: Request, officer: Viewer) -> Response:
        """Looks for the person, says so first, and shows what they have and what they could be asked."""
        form = await read_form(request)
        if not self._ports.csrf_ok(request, form):
            return self._forged(request, officer)
        by, identifier = form.get("by", ""), form.get("identifier", "").strip()
        try:
            reason = _reason(form)
        except Wrong as wrong:
            return self._begin(request, officer, problem=wrong.problem, typed=form)
        if by not in NAMES or not identifier or len(identifier) > 200:
            return self._begin(request, officer, problem="nobody", typed=form)
        async with self._ports.transaction() as session:
            found = await self._ports.find_citizen(session, by, identifier)
            await self._note(session, officer, "find", found, reason, filters={"by": by}, rows=int(found is not None))
        if found is None:
            return self._begin(request, officer, problem="nobody", typed=form)
        if found.subject_id == officer.subject_id:
            return self._begin(request, officer, problem="yourself", typed=form)
        return await self._show_person(request, officer, found, reason)

    async def question(self, request: Request, officer: Viewer) -> Response:
        """The notice, to be read out or printed, and the form for what the person says to it."""
        form = await read_form(request)
        if not self._ports.csrf_ok(request, form):
            return self._forged(request, officer)
        async with self._ports.reading() as session:
            person = await self._person(session, form)
            question = await self._question(session, form)
        if person is None or question is None:
            return self._begin(request, officer, problem="nobody" if person is None else "nothing", typed=form)
        return self._show_question(request, officer, person, question, form)

    async def record(self, request: Request, officer: Viewer) -> Response:
        """Writes the decision down."""
        upload = await read_upload(request)
        form = _single(upload)
        if not self._ports.csrf_ok(request, form):
            return self._forged(request, officer)
        now = self._ports.clock()
        problem: str | None = None
        async with self._ports.reading() as session:
            person = await self._person(session, form)
            question = await self._question(session, form)
        if person is None or question is None:
            return self._begin(request, officer, problem="nobody" if person is None else "nothing", typed=form)
        try:
            entry = _entry(form, upload, expected_shown=question.shown)
            async with self._ports.transaction() as session:
                who = await question.decided_by(
                    self._ports,
                    session,
                    entry.subject_id,
                    channel=entry.channel,
                    document_sha256=entry.document_sha256,
                    entered_by=officer.subject_id,
                )
                consent_id = await answer_question(
                    self._ports, session, question, who=who, fields=upload.fields, now=now
                )
                await self._note(session, officer, "act", person, entry.reason, consent_id=consent_id, rows=1)
        except Wrong as wrong:
            problem = wrong.problem
        except DecisionRefused:
            problem = "does_not_fit"
        if problem is not None:
            return self._show_question(request, officer, person, question, form, upload=upload, problem=problem)
        return _done("recorded")

    async def withdraw(self, request: Request, officer: Viewer) -> Response:
        """Takes a consent back for its person: there has to be a way without a screen."""
        upload = await read_upload(request)
        form = _single(upload)
        if not self._ports.csrf_ok(request, form):
            return self._forged(request, officer)
        now, consent_id = self._ports.clock(), form.get("consent", "")
        try:
            entry = _entry(form, upload)
            async with self._ports.transaction() as session:
                person = await self._somebody_else(session, form, officer)
                await withdraw(
                    session,
                    consent_id=consent_id,
                    subject_id=person.subject_id,
                    channel=entry.channel,
                    document_sha256=entry.document_sha256,
                    entered_by=officer.subject_id,
                    now=now,
                    entropy=self._ports.entropy,
                )
                await self._ports.after_withdrawal(session, consent_id, now)
                await self._note(session, officer, "act", person, entry.reason, consent_id=consent_id, rows=1)
        except Wrong as wrong:
            return self._begin(request, officer, problem=wrong.problem, typed=form)
        except CannotFollow:
            return self._begin(request, officer, problem="ended", typed=form)
        except ConsentError:
            return self._begin(request, officer, problem="does_not_fit", typed=form)
        return _done("withdrawn")

    # --- what is shown ---

    def _begin(
        self,
        request: Request,
        officer: Viewer,
        *,
        problem: str | None = None,
        typed: Form | None = None,
        done: str | None = None,
    ) -> Response:
        return self._ports.render(
            request,
            "console_assisted.html",
            {"viewer": officer, "problem": problem, "typed": typed or {}, "done": done, "names": NAMES},
            locale=officer.locale,
            status=200 if problem is None else 400,
        )

    async def _show_person(self, request: Request, officer: Viewer, person: Citizen, reason: str) -> Response:
        now, language = self._ports.clock(), spoken(officer.locale)
        async with self._ports.reading() as session:
            current = await consents_of(session, subject_id=person.subject_id, current_at=now, limit=MOST_CONSENTS)
            apps = await self._ports.apps(session, officer.locale)
            names = {view.code: view.texts[language]["name"] for view in await list_purposes(session)}
        choices = [consent for consent in current.consents if consent.is_choice]
        return self._ports.render(
            request,
            "console_assisted_person.html",
            {
                "viewer": officer,
                "person": person,
                "reason": reason,
                "cards": await self._cards(choices, officer),
                "questions": _questions(apps, names),
                "languages": LANGUAGES,
                "channels": CHANNELS,
            },
            locale=officer.locale,
        )

    async def _cards(self, consents: Sequence[ConsentSummary], officer: Viewer) -> list[Any]:
        names = await self._ports.client_names({consent.client_id for consent in consents}, officer.locale)
        now = self._ports.clock()
        return [card(consent, client_names=names, locale=officer.locale, now=now) for consent in consents]

    def _show_question(
        self,
        request: Request,
        officer: Viewer,
        person: Citizen,
        question: Question,
        form: Form,
        *,
        upload: Upload | None = None,
        problem: str | None = None,
    ) -> Response:
        return self._ports.render(
            request,
            "console_assisted_question.html",
            {
                "viewer": officer,
                "person": person,
                "notice": question.notice,
                "shown": question.shown,
                "typed": form,
                "ticked": frozenset(upload.fields.get("item", [])) if upload is not None else frozenset(),
                "channels": CHANNELS,
                "problem": problem,
            },
            locale=officer.locale,
            status=200 if problem is None else 400,
        )

    def _forged(self, request: Request, officer: Viewer) -> Response:
        return self._ports.render(request, "consent_form_refused.html", {}, locale=officer.locale, status=403)

    # --- what is read and written ---

    async def _person(self, session: AsyncSession, form: Form) -> Citizen | None:
        return await self._ports.find_citizen(session, "subject_id", form.get("subject", ""))

    async def _somebody_else(self, session: AsyncSession, form: Form, officer: Viewer) -> Citizen:
        """Error: `Wrong`."""
        person = await self._person(session, form)
        if person is None or person.subject_id == officer.subject_id:
            raise Wrong("nobody")
        return person

    async def _question(self, session: AsyncSession, form: Form) -> Question | None:
        client_id, _, purpose_code = form.get("about", "").partition(" ")
        language = form.get("language", "")
        app = await self._ports.app(session, client_id, language) if language in LANGUAGES else None
        if app is None or purpose_code not in app.purpose_codes:
            return None
        return await question_about(
            self._ports,
            session,
            client_id=client_id,
            purpose_code=purpose_code,
            language=language,
            now=self._ports.clock(),
        )

    async def _note(
        self,
        session: AsyncSession,
        officer: Viewer,
        action: str,
        person: Citizen | None,
        reason: str,
        *,
        rows: int,
        filters: Mapping[str, Any] | None = None,
        consent_id: str | None = None,
    ) -> None:
        await record_officer_action(
            session,
            officer_id=officer.subject_id,
            action=action,
            filters=filters,
            consent_id=consent_id,
            subject_id=person.subject_id if person is not None else None,
            reason=reason,
            rows=rows,
            now=self._ports.clock(),
            entropy=self._ports.entropy,
        )


def _entry(form: Form, upload: Upload, *, expected_shown: str | None = None) -> Entry:
    """Error: `Wrong`, also when the form was made with another text than `expected_shown`."""
    if expected_shown is not None and form.get("shown") != expected_shown:
        raise Wrong("changed")
    channel = form.get("channel", "")
    if channel not in CHANNELS:
        raise Wrong("no_channel")
    document = upload.document
    if channel == "paper" and document is None:
        raise Wrong("no_document")
    if channel != "paper" and document is not None:
        raise Wrong("no_paper")
    if document is not None and not document.is_scan:
        raise Wrong("not_a_scan")
    return Entry(
        subject_id=form.get("subject", ""),
        channel=channel,
        reason=_reason(form),
        document_sha256=document.sha256 if document is not None else None,
    )


def _reason(form: Form) -> str:
    """Error: `Wrong`."""
    reason = form.get("reason", "").strip()
    if fault_in(reason, most=500) is not None:
        raise Wrong("no_reason")
    return reason


def _questions(apps: Sequence[App], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a person can be asked: pairs of what the form says and what the officer reads."""
    return [
        (f"{app.client_id} {code}", f"{app.name} · {names[code]}")
        for app in apps
        for code in app.purpose_codes
        if code in names
    ]


def _single(upload: Upload) -> dict[str, str]:
    return {name: values[0] for name, values in upload.fields.items() if len(values) == 1}


def _done(what: str) -> Response:
    # Relative, because only the root of the composition knows under which path all this is mounted.
    return RedirectResponse(f"../assisted?done={what}", status_code=303, headers={"Cache-Control": "no-store"})
