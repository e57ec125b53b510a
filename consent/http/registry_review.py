"""The console's proposals: what waits for its two reviewers, the checklist, and the two answers.

A privacy officer approves for one side, and says which; that two different people do so, neither of whom proposed it,
is checked where it is written (`consent.registry.versions`).
"""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from consent.errors import AgreementRefused, PurposeRefused, ReviewRefused, UnknownAgreement, UnknownPurpose
from consent.http.console import for_officers
from consent.http.forms import read_form
from consent.http.ports import Form, Ports, Viewer
from consent.http.registry import notice_for_the_register, operations_of
from consent.http.shown import spoken
from consent.models import Agency
from consent.purposes import PurposeVersionView, purpose_version, versions_of, versions_with_status
from consent.registry.agreement_versions import SIDES as AGREEMENT_SIDES
from consent.registry.agreement_versions import approve_agreement, reject_agreement
from consent.registry.agreements import agreement_version, list_agreements
from consent.registry.differences import differences
from consent.registry.events import AGREEMENT_VERSION, PURPOSE_VERSION, events_of
from consent.registry.mandatory import Candidate
from consent.registry.people import Person
from consent.registry.review import QUESTIONS, Review, examine
from consent.registry.versions import SIDES, WERE_IN_FORCE, approve, reject

_SEE_OTHER: Final = 303


def routes(ports: Ports) -> list[Route]:
    """The officer's pages about proposals."""
    pages = ReviewPages(ports)
    return [
        Route("/console/proposals", for_officers(ports, pages.list_proposals), methods=["GET"]),
        Route("/console/proposals/{version_id}", for_officers(ports, pages.purpose), methods=["GET", "POST"]),
        Route(
            "/console/proposals/agreements/{version_id}", for_officers(ports, pages.agreement), methods=["GET", "POST"]
        ),
    ]


class ReviewPages:
    """The handlers."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def list_proposals(self, request: Request, officer: Viewer) -> Response:
        """Everything that waits for somebody."""
        async with self._ports.reading() as session:
            purposes = await versions_with_status(session, "proposed")
            agreements = await list_agreements(session, statuses=("proposed",))
        return self._ports.render(
            request,
            "console_proposals.html",
            {
                "viewer": officer,
                "language": spoken(officer.locale),
                "purposes": purposes,
                "agreements": agreements,
            },
            locale=officer.locale,
        )

    async def purpose(self, request: Request, officer: Viewer) -> Response:
        """One purpose version: shown with its checklist; or, posted, approved or rejected."""
        version_id = request.path_params["version_id"]
        if request.method != "POST":
            return await self._show_purpose(request, officer, version_id)

        async def decide(session: AsyncSession, form: Form, who: Person) -> None:
            now, entropy = self._ports.clock(), self._ports.entropy
            if form.get("decision") == "reject":
                await reject(session, version_id, by=who, reason=form.get("reason", ""), now=now, entropy=entropy)
                return
            side, review = form.get("side", ""), review_of(form)
            await approve(session, version_id, side=side, by=who, review=review, now=now, entropy=entropy)

        async def again(refused: str, form: Form) -> Response:
            return await self._show_purpose(request, officer, version_id, refused=refused, form=form)

        return await self._decided(request, officer, decide, again)

    async def agreement(self, request: Request, officer: Viewer) -> Response:
        """One agreement version: shown; or, posted, approved or rejected."""
        version_id = request.path_params["version_id"]
        if request.method != "POST":
            return await self._show_agreement(request, officer, version_id)

        async def decide(session: AsyncSession, form: Form, who: Person) -> None:
            now, entropy = self._ports.clock(), self._ports.entropy
            if form.get("decision") == "reject":
                reason = form.get("reason", "")
                await reject_agreement(session, version_id, by=who, reason=reason, now=now, entropy=entropy)
                return
            side = form.get("side", "")
            await approve_agreement(session, version_id, side=side, by=who, now=now, entropy=entropy)

        async def again(refused: str, form: Form) -> Response:
            return await self._show_agreement(request, officer, version_id, refused=refused, form=form)

        return await self._decided(request, officer, decide, again)

    async def _decided(
        self,
        request: Request,
        officer: Viewer,
        decide: Callable[[AsyncSession, Form, Person], Awaitable[None]],
        again: Callable[[str, Form], Awaitable[Response]],
    ) -> Response:
        form = await read_form(request)
        if not self._ports.csrf_ok(request, form):
            return self._ports.render(request, "consent_form_refused.html", {}, locale=officer.locale, status=403)
        if form.get("decision") not in {"approve", "reject"}:
            return await again("neither approved nor rejected", form)
        who = Person(officer.display_name, officer.subject_id)
        try:
            async with self._ports.transaction() as session:
                await decide(session, form, who)
        except (UnknownPurpose, UnknownAgreement):
            return self._missing(request, officer)
        except (ReviewRefused, PurposeRefused, AgreementRefused) as refused:
            return await again(refused.why, form)
        # Relative: only the root of the composition knows under which path all this is mounted.
        here = request.url.path.rsplit("/", 1)[1]
        return RedirectResponse(here, status_code=_SEE_OTHER, headers={"Cache-Control": "no-store"})

    async def _show_purpose(
        self,
        request: Request,
        officer: Viewer,
        version_id: str,
        *,
        refused: str | None = None,
        form: Form | None = None,
    ) -> Response:
        language = spoken(officer.locale)
        async with self._ports.reading() as session:
            try:
                version = await purpose_version(session, version_id)
            except UnknownPurpose:
                return self._missing(request, officer)
            agency = await session.get(Agency, version.agency_id)
            assert agency is not None, "a purpose's agency is held by a foreign key"
            earlier = _before(version, await versions_of(session, version.code))
            history = await events_of(session, PURPOSE_VERSION, version_id)
        return self._ports.render(
            request,
            "console_proposal.html",
            {
                "viewer": officer,
                "language": language,
                "version": version,
                "notice": notice_for_the_register(version, language),
                "operations": operations_of(version, language),
                "examination": examine(Candidate(version, agency)),
                "questions": QUESTIONS,
                "sides": SIDES,
                "earlier": earlier,
                "changes": () if earlier is None else differences(earlier.as_draft(), version.as_draft()),
                "labels": {claim: version.item(claim).label(language) for claim in version.claims},
                "history": history,
                "refused": refused,
                "form": form or {},
            },
            locale=officer.locale,
            status=200 if refused is None else 400,
        )

    async def _show_agreement(
        self,
        request: Request,
        officer: Viewer,
        version_id: str,
        *,
        refused: str | None = None,
        form: Form | None = None,
    ) -> Response:
        async with self._ports.reading() as session:
            try:
                version = await agreement_version(session, version_id)
            except UnknownAgreement:
                return self._missing(request, officer)
            history = await events_of(session, AGREEMENT_VERSION, version_id)
        return self._ports.render(
            request,
            "console_agreement.html",
            {
                "viewer": officer,
                "language": spoken(officer.locale),
                "version": version,
                "sides": AGREEMENT_SIDES,
                "history": history,
                "refused": refused,
                "form": form or {},
            },
            locale=officer.locale,
            status=200 if refused is None else 400,
        )

    def _missing(self, request: Request, officer: Viewer) -> Response:
        return self._ports.render(request, "register_missing.html", {}, locale=officer.locale, status=404)


def review_of(form: Form) -> Review:
    """The review that was filled in. What is not answered stays unanswered, and is refused where it is checked."""
    answer = {"yes": True, "no": False}.get(form.get("public_task", ""))
    if answer is None:
        raise ReviewRefused("whether a public-task basis would apply is not answered")
    return Review(
        confirmed=frozenset(question.code for question in QUESTIONS if form.get(f"confirmed-{question.code}") == "yes"),
        public_task_applies=answer,
        public_task_reason=form.get("public_task_reason", "").strip(),
        reasons={
            name.removeprefix("reason-"): text.strip()
            for name, text in form.items()
            if name.startswith("reason-") and text.strip()
        },
        remark=form.get("remark", "").strip() or None,
    )


def _before(version: PurposeVersionView, every: list[PurposeVersionView]) -> PurposeVersionView | None:
    """The version that was in force last before this one."""
    return next((one for one in every if one.version < version.version and one.status in WERE_IN_FORCE), None)
