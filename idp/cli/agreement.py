"""`satupintu agreement`: that one agency may give data to another, in versions that both approve."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from consent.registry.agreement_versions import approve_agreement, propose_agreement, reject_agreement
from consent.registry.agreements import AgreementVersionView, agreement_versions_of, list_agreements
from consent.registry.events import AGREEMENT_VERSION, events_of
from idp.audit import AuditKind
from idp.cli.acting import HISTORY_COLUMNS, By, Reason, acting, agency_of, describe_event, read_object
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_one, show_rows

app = typer.Typer(help="Agreements: which agency may give which data to whom.", no_args_is_help=True)
REQUIRED = ("instrument", "items", "valid_from", "valid_until", "data_life_days")
OPTIONAL = ("fetch_type", "use_limit", "use_window_days")

Code = Annotated[str, typer.Argument(help="The agreement's code.")]
Version = Annotated[int | None, typer.Option("--version", help="Which version; without it, the newest.")]


@app.command("propose")
def propose(
    code: Annotated[str, typer.Argument(help="A short name, such as `dukcapil-kemensos-bantuan`.")],
    provider: Annotated[str, typer.Option(help="The code of the agency that gives the data.")],
    purpose: Annotated[str, typer.Option(help="The code of the purpose that it is for.")],
    file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help=f"A JSON file with {', '.join(REQUIRED)}.")],
    by: By,
    as_json: AsJson = False,
) -> None:
    """Propose an agreement's first version, or its next one."""
    says = _read(file)

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            version = await propose_agreement(
                session,
                code=code,
                provider_agency_id=(await agency_of(session, provider)).id,
                purpose_code=purpose,
                proposed_by=await acting(session, by),
                now=context.now,
                entropy=context.entropy,
                **says,
            )
            await context.note(
                session, AuditKind.REGISTRY_CHANGED, what="agreement proposed", agreement=code, by_whom=by
            )
            return describe(version)

    show_one(run(work()), as_json=as_json)


@app.command("approve")
def approve(
    code: Code,
    side: Annotated[str, typer.Option(help="For whom: `provider` or `recipient`.")],
    by: By,
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Approve a proposed version for one side. With the other side's approval it is in force."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            one = await chosen(session, code, version)
            who = await acting(session, by)
            one = await approve_agreement(session, one.id, side=side, by=who, now=context.now, entropy=context.entropy)
            await context.note(
                session, AuditKind.REGISTRY_CHANGED, what="agreement approved", agreement=code, side=side, by_whom=by
            )
            return describe(one)

    show_one(run(work()), as_json=as_json)


@app.command("reject")
def reject(code: Code, by: By, reason: Reason, version: Version = None, as_json: AsJson = False) -> None:
    """Reject a proposal."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            one = await chosen(session, code, version)
            who = await acting(session, by)
            one = await reject_agreement(
                session, one.id, by=who, reason=reason, now=context.now, entropy=context.entropy
            )
            await context.note(
                session, AuditKind.REGISTRY_CHANGED, what="agreement rejected", agreement=code, by_whom=by
            )
            return describe(one)

    show_one(run(work()), as_json=as_json)


@app.command("show")
def show(code: Code, version: Version = None, as_json: AsJson = False) -> None:
    """Show everything that a version says."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.reading() as session:
            one = await chosen(session, code, version)
            return {**describe(one), "says": one.terms.as_json()}

    show_one(run(work()), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List every version of every agreement."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            return [describe(version) for version in await list_agreements(session)]

    show_rows(
        run(work()),
        columns=("code", "version", "status", "provider", "recipient", "purpose", "valid_until"),
        as_json=as_json,
        empty="No agreements yet.",
    )


@app.command("history")
def history(code: Code, version: Version = None, as_json: AsJson = False) -> None:
    """Show what happened to a version."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            one = await chosen(session, code, version)
            return [describe_event(event) for event in await events_of(session, AGREEMENT_VERSION, one.id)]

    show_rows(run(work()), columns=HISTORY_COLUMNS, as_json=as_json, empty="Nothing happened to it.")


async def chosen(session: AsyncSession, code: str, version: int | None) -> AgreementVersionView:
    """The version of that number, or the newest. Error: `Refused`."""
    every = await agreement_versions_of(session, code)
    found = next((one for one in every if version is None or one.version == version), None)
    if found is None:
        raise Refused(f"{code} has no version {version}")
    return found


def _read(file: Path) -> dict[str, Any]:
    says = read_object(file, required=REQUIRED, optional=OPTIONAL)
    for name in ("valid_from", "valid_until"):
        try:
            says[name] = datetime.fromisoformat(says[name])
        except (TypeError, ValueError):
            raise Refused(f"{file}: {name} is a moment such as 2026-08-17T00:00:00+07:00") from None
    if not isinstance(says["items"], list):
        raise Refused(f"{file}: items is a list")
    return says


def describe(version: AgreementVersionView) -> dict[str, object]:
    """An agreement's version as commands show it."""
    terms = version.terms
    return {
        "code": version.code,
        "version": version.version,
        "status": version.status,
        "provider": version.provider_code,
        "recipient": version.recipient_code,
        "purpose": version.purpose_code,
        "items": list(terms.items),
        "instrument": f"{terms.instrument.kind} {terms.instrument.number}",
        "valid_from": terms.valid_from,
        "valid_until": terms.valid_until,
        "fetch_type": terms.fetch_type,
        "data_life_days": terms.data_life_days,
        "sha256": version.digest.hex(),
        "id": version.id,
    }
