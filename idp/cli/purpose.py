"""`satupintu purpose`: why data is asked for, in versions that never change."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from consent.agencies import agency_by_code
from consent.purposes import PurposeVersionView, create_purpose, list_purposes
from idp.audit import AuditKind
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_one, show_rows

app = typer.Typer(help="Purposes: why data is asked for.", no_args_is_help=True)
MEMBERS = ("texts", "items", "legal_basis", "legal_citation", "retention_days", "validity_days")


@app.command("create")
def create(
    code: Annotated[str, typer.Argument(help="A short name, such as `kunjungan-puskesmas`.")],
    agency: Annotated[str, typer.Option(help="The agency's code.")],
    file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help=f"A JSON file with {', '.join(MEMBERS)}.")],
    created_by: Annotated[str, typer.Option("--by", help="Who writes this version.")] = "operator",
    as_json: AsJson = False,
) -> None:
    """Write a purpose's first version, or its next one. Earlier versions stay as they are."""
    says = _read(file)

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            owner = await agency_by_code(session, agency)
            if owner is None:
                raise Refused(f"there is no agency with the code {agency}")
            version = await create_purpose(
                session,
                agency_id=owner.id,
                code=code,
                created_by=created_by,
                now=context.now,
                entropy=context.entropy,
                **says,
            )
            await context.note(
                session, AuditKind.PURPOSE_CREATED, purpose=code, version=version.version, written_by=created_by
            )
            return describe(version)

    show_one(run(work()), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the newest version of each purpose."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            return [describe(version) for version in await list_purposes(session)]

    show_rows(
        run(work()),
        columns=("code", "version", "agency", "legal_basis", "items"),
        as_json=as_json,
        empty="No purposes yet.",
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        says = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as broken:
        raise Refused(f"{file} is not JSON: {broken}") from None
    if not isinstance(says, dict) or set(says) != set(MEMBERS):
        raise Refused(f"{file} must be an object with exactly: {', '.join(MEMBERS)}")
    return says


def describe(version: PurposeVersionView) -> dict[str, object]:
    """A purpose's version as commands show it."""
    return {
        "code": version.code,
        "version": version.version,
        "agency": version.agency_names,
        "names": {language: words["name"] for language, words in version.texts.items()},
        "legal_basis": version.legal_basis,
        "legal_citation": version.legal_citation,
        "items": [f"{item.claim}{'' if item.required else '?'}" for item in version.items],
        "retention_days": version.retention_days,
        "validity_days": version.validity_days,
        "sha256": version.digest.hex(),
        "id": version.id,
    }
