"""`satupintu agency`: the ministries and regencies that ask for data."""

from typing import Annotated, Any

import typer

from consent.agencies import (
    change_agency,
    create_agency,
    list_agencies,
    reinstate_agency,
    suspend_agency,
)
from consent.models import Agency
from consent.registry.events import AGENCY, events_of
from idp.audit import AuditKind
from idp.cli.acting import HISTORY_COLUMNS, By, Reason, acting, agency_of, describe_event
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_one, show_rows

app = typer.Typer(help="Agencies: the ministries and regencies that ask for data.", no_args_is_help=True)

Code = Annotated[str, typer.Argument(help="The agency's code.")]
Address = Annotated[str | None, typer.Option(help="Its postal address. Without one it can ask nobody for data.")]
Website = Annotated[str | None, typer.Option(help="Its website.")]
Email = Annotated[str | None, typer.Option(help="Its email address.")]
Phone = Annotated[str | None, typer.Option(help="Its phone number.")]


@app.command("create")
def create(
    code: Annotated[str, typer.Argument(help="A short name for addresses and commands, such as `kemenkes`.")],
    name: Annotated[str, typer.Option(help="Its name in Indonesian.")],
    name_en: Annotated[str, typer.Option(help="Its name in English.")],
    contact: Annotated[str, typer.Option(help="Where people reach it: an address, a phone number.")],
    privacy_contact: Annotated[str, typer.Option(help="Its data protection officer's contact.")],
    address: Address = None,
    website: Website = None,
    email: Email = None,
    phone: Phone = None,
    party_type: Annotated[str, typer.Option(help="What kind of organisation it is.")] = "government",
    by: By = "operator",
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
                address=address,
                email=email,
                phone=phone,
                party_type=party_type,
                registered_by=await acting(session, by),
                now=context.now,
                entropy=context.entropy,
            )
            await context.note(session, AuditKind.AGENCY_CREATED, agency=agency.code)
            return describe(agency)

    show_one(run(work()), as_json=as_json)


@app.command("change")
def change(
    code: Code,
    contact: Annotated[str | None, typer.Option(help="Where people reach it.")] = None,
    privacy_contact: Annotated[str | None, typer.Option(help="Its data protection officer's contact.")] = None,
    address: Address = None,
    website: Website = None,
    email: Email = None,
    phone: Phone = None,
    party_type: Annotated[str | None, typer.Option(help="What kind of organisation it is.")] = None,
    by: By = "operator",
    as_json: AsJson = False,
) -> None:
    """Change what an agency says of itself; what is not given stays."""
    given: dict[str, Any] = {
        "contact": contact,
        "privacy_contact": privacy_contact,
        "address": address,
        "website": website,
        "email": email,
        "phone": phone,
        "party_type": party_type,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise Refused("say what to change; see: satupintu agency change --help")

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            agency = await change_agency(
                session,
                (await agency_of(session, code)).id,
                by=await acting(session, by),
                now=context.now,
                entropy=context.entropy,
                **changes,
            )
            await context.note(session, AuditKind.REGISTRY_CHANGED, what="agency changed", agency=code, by_whom=by)
            return describe(agency)

    show_one(run(work()), as_json=as_json)


@app.command("suspend")
def suspend(code: Code, by: By, reason: Reason, as_json: AsJson = False) -> None:
    """Stop everything that flows to an agency, at once. Consents stay, and count again once it is reinstated."""
    _turn(code, by, reason, suspend=True, as_json=as_json)


@app.command("reinstate")
def reinstate(code: Code, by: By, reason: Reason, as_json: AsJson = False) -> None:
    """End a suspension."""
    _turn(code, by, reason, suspend=False, as_json=as_json)


@app.command("show")
def show(code: Code, as_json: AsJson = False) -> None:
    """Show an agency."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.reading() as session:
            return describe(await agency_of(session, code))

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


@app.command("history")
def history(code: Code, as_json: AsJson = False) -> None:
    """Show what happened to an agency."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            agency = await agency_of(session, code)
            return [describe_event(event) for event in await events_of(session, AGENCY, agency.id)]

    show_rows(run(work()), columns=HISTORY_COLUMNS, as_json=as_json, empty="Nothing happened to it.")


def _turn(code: str, by: str, reason: str, *, suspend: bool, as_json: bool) -> None:
    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            turn = suspend_agency if suspend else reinstate_agency
            agency = await turn(
                session,
                (await agency_of(session, code)).id,
                by=await acting(session, by),
                reason=reason,
                now=context.now,
                entropy=context.entropy,
            )
            what = "agency suspended" if suspend else "agency reinstated"
            await context.note(session, AuditKind.REGISTRY_CHANGED, what=what, agency=code, by_whom=by)
            return describe(agency)

    show_one(run(work()), as_json=as_json)


def describe(agency: Agency) -> dict[str, object]:
    """An agency as commands show it."""
    return {
        "code": agency.code,
        "names": agency.names,
        "status": agency.status,
        "contact": agency.contact,
        "privacy_contact": agency.privacy_contact,
        "website": agency.website,
        "address": agency.address,
        "email": agency.email,
        "phone": agency.phone,
        "party_type": agency.party_type,
        "id": agency.id,
    }
