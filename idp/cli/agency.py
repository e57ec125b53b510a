"""`satupintu agency`: the ministries and regencies that ask for data."""

from typing import Annotated

import typer

from consent.agencies import create_agency, list_agencies
from consent.models import Agency
from idp.audit import AuditKind
from idp.cli.context import opened, run
from idp.cli.output import AsJson, show_one, show_rows

app = typer.Typer(help="Agencies: the ministries and regencies that ask for data.", no_args_is_help=True)


@app.command("create")
def create(
    code: Annotated[str, typer.Argument(help="A short name for addresses and commands, such as `kemenkes`.")],
    name: Annotated[str, typer.Option(help="Its name in Indonesian.")],
    name_en: Annotated[str, typer.Option(help="Its name in English.")],
    contact: Annotated[str, typer.Option(help="Where people reach it: an address, a phone number.")],
    privacy_contact: Annotated[str, typer.Option(help="Its data protection officer's contact.")],
    website: Annotated[str | None, typer.Option(help="Its website.")] = None,
    as_json: AsJson = False,
) -> None:
    """Register an agency."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            agency = await create_agency(
                session,
                code=code,
                names={"id": name, "en": name_en},
                contact=contact,
                privacy_contact=privacy_contact,
                website=website,
                now=context.now,
                entropy=context.entropy,
            )
            await context.note(session, AuditKind.AGENCY_CREATED, agency=agency.code)
            return describe(agency)

    show_one(run(work()), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the agencies."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            return [describe(agency) for agency in await list_agencies(session)]

    show_rows(
        run(work()), columns=("code", "names", "status", "privacy_contact"), as_json=as_json, empty="No agencies yet."
    )


def describe(agency: Agency) -> dict[str, object]:
    """An agency as commands show it."""
    return {
        "code": agency.code,
        "names": agency.names,
        "status": agency.status,
        "contact": agency.contact,
        "privacy_contact": agency.privacy_contact,
        "website": agency.website,
        "id": agency.id,
    }
