"""`satupintu purpose`: why data is asked for, in versions that never change and that two people approve."""

from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from consent.models import Agency
from consent.purposes import PurposeVersionView, list_purposes, versions_of
from consent.registry.events import PURPOSE_VERSION, events_of
from consent.registry.mandatory import Candidate
from consent.registry.review import QUESTIONS, Examination, Review, examine
from consent.registry.versions import approve as approve_version
from consent.registry.versions import propose as propose_draft
from consent.registry.versions import propose_version
from consent.registry.versions import reject as reject_version
from idp.audit import AuditKind
from idp.cli.acting import HISTORY_COLUMNS, By, Reason, acting, agency_of, describe_event, read_object
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_one, show_rows

app = typer.Typer(help="Purposes: why data is asked for.", no_args_is_help=True)
REQUIRED = ("texts", "items", "legal_basis", "legal_citation", "retention_days", "validity_days")
OPTIONAL = ("terms", "fetch_type", "use_limit", "use_window_days", "compatible_with")
ANSWERS = ("confirmed", "public_task_applies", "public_task_reason")

Code = Annotated[str, typer.Argument(help="The purpose's code.")]
Version = Annotated[int | None, typer.Option("--version", help="Which version; without it, the newest.")]


@app.command("propose")
def propose(
    code: Annotated[str, typer.Argument(help="A short name, such as `kunjungan-puskesmas`.")],
    agency: Annotated[str, typer.Option(help="The agency's code.")],
    file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help=f"A JSON file with {', '.join(REQUIRED)}.")],
    by: By,
    draft: Annotated[bool, typer.Option("--draft", help="Only write it down; `submit` proposes it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a purpose's first version, or its next one, and propose it. Earlier versions stay as they are."""
    says = read_object(file, required=REQUIRED, optional=OPTIONAL)

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            version = await propose_version(
                session,
                agency_id=(await agency_of(session, agency)).id,
                code=code,
                proposed_by=await acting(session, by),
                draft=draft,
                now=context.now,
                entropy=context.entropy,
                **says,
            )
            await context.note(session, AuditKind.PURPOSE_CREATED, purpose=code, version=version.version, written_by=by)
            return describe(version)

    show_one(run(work()), as_json=as_json)


@app.command("submit")
def submit(code: Code, by: By, version: Version = None, as_json: AsJson = False) -> None:
    """Propose a draft."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            one = await chosen(session, code, version)
            who = await acting(session, by)
            one = await propose_draft(session, one.id, by=who, now=context.now, entropy=context.entropy)
            await context.note(session, AuditKind.REGISTRY_CHANGED, what="purpose submitted", purpose=code, by_whom=by)
            return describe(one)

    show_one(run(work()), as_json=as_json)


@app.command("review")
def review(code: Code, version: Version = None, as_json: AsJson = False) -> None:
    """Examine a version: what is missing, what the rules find, how it reads, and what a reviewer has to answer."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.reading() as session:
            one = await chosen(session, code, version)
            agency = await session.get(Agency, one.agency_id)
            assert agency is not None
            return describe_examination(one, examine(Candidate(one, agency)))

    show_one(run(work()), as_json=as_json)


@app.command("approve")
def approve(
    code: Code,
    side: Annotated[str, typer.Option(help="For whom: `agency` or `operator`.")],
    by: By,
    answers: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help=f"A JSON file with {', '.join(ANSWERS)}, reasons, remark.")
    ],
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Approve a proposed version for one side. With the other side's approval it is in force."""
    answered = read_answers(answers)

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            one = await chosen(session, code, version)
            who = await acting(session, by)
            one = await approve_version(
                session, one.id, side=side, by=who, review=answered, now=context.now, entropy=context.entropy
            )
            await context.note(
                session, AuditKind.REGISTRY_CHANGED, what="purpose approved", purpose=code, side=side, by_whom=by
            )
            return describe(one)

    show_one(run(work()), as_json=as_json)


@app.command("reject")
def reject(code: Code, by: By, reason: Reason, version: Version = None, as_json: AsJson = False) -> None:
    """Reject a draft or a proposal."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            one = await chosen(session, code, version)
            who = await acting(session, by)
            one = await reject_version(session, one.id, by=who, reason=reason, now=context.now, entropy=context.entropy)
            await context.note(session, AuditKind.REGISTRY_CHANGED, what="purpose rejected", purpose=code, by_whom=by)
            return describe(one)

    show_one(run(work()), as_json=as_json)


@app.command("show")
def show(code: Code, version: Version = None, as_json: AsJson = False) -> None:
    """Show everything that a version says."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.reading() as session:
            one = await chosen(session, code, version)
            return {**describe(one), "says": one.as_draft().as_json()}

    show_one(run(work()), as_json=as_json)


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Every version, not only the one in force.")] = False,
    as_json: AsJson = False,
) -> None:
    """List each purpose by the version in force, or else by its newest."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            purposes = await list_purposes(session)
            if every:
                purposes = [one for purpose in purposes for one in await versions_of(session, purpose.code)]
            return [describe(one) for one in purposes]

    show_rows(
        run(work()),
        columns=("code", "version", "status", "agency", "legal_basis", "items"),
        as_json=as_json,
        empty="No purposes yet.",
    )


@app.command("history")
def history(code: Code, version: Version = None, as_json: AsJson = False) -> None:
    """Show what happened to a version."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            one = await chosen(session, code, version)
            return [describe_event(event) for event in await events_of(session, PURPOSE_VERSION, one.id)]

    show_rows(run(work()), columns=HISTORY_COLUMNS, as_json=as_json, empty="Nothing happened to it.")


async def chosen(session: AsyncSession, code: str, version: int | None) -> PurposeVersionView:
    """The version of that number, or the newest. Error: `Refused`."""
    every = await versions_of(session, code)
    found = next((one for one in every if version is None or one.version == version), None)
    if found is None:
        raise Refused(f"{code} has no version {version}")
    return found


def read_answers(file: Path) -> Review:
    """A review from a file. Error: `Refused`."""
    says = read_object(file, required=ANSWERS, optional=("reasons", "remark"))
    confirmed, reasons = says.pop("confirmed"), says.pop("reasons", {})
    if not isinstance(confirmed, list) or not all(isinstance(one, str) for one in confirmed):
        raise Refused(f"{file}: confirmed is a list of texts")
    if not isinstance(reasons, dict):
        raise Refused(f"{file}: reasons is an object")
    return Review(confirmed=frozenset(confirmed), reasons=reasons, **says)


def describe(version: PurposeVersionView) -> dict[str, object]:
    """A purpose's version as commands show it."""
    return {
        "code": version.code,
        "version": version.version,
        "status": version.status,
        "agency": version.agency_names,
        "names": {language: words["name"] for language, words in version.texts.items()},
        "legal_basis": version.legal_basis,
        "legal_citation": version.legal_citation,
        "items": [f"{item.claim}{'' if item.required else '?'}" for item in version.items],
        "retention_days": version.retention_days,
        "validity_days": version.validity_days,
        "fetch_type": version.fetch_type,
        "compatible_with": list(version.compatible_with),
        "activated_at": version.activated_at,
        "sha256": version.digest.hex(),
        "id": version.id,
    }


def describe_examination(version: PurposeVersionView, found: Examination) -> dict[str, Any]:
    """What a reviewer looks at, and the answers that `approve` wants, to be filled in."""
    return {
        "code": version.code,
        "version": version.version,
        "status": version.status,
        "missing": found.missing,
        **found.as_json(),
        "checklist": {question.code: list(question.answered_by) for question in QUESTIONS},
        "answers": {
            "confirmed": [],
            "public_task_applies": None,
            "public_task_reason": "",
            "reasons": dict.fromkeys(found.warned, ""),
            "remark": None,
        },
    }
