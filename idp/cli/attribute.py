"""`satupintu attribute`: data items that agencies hold and others may ask for."""

from typing import Annotated

import typer

from consent.attributes import ITEMS, DataItem
from consent.registry.attributes import attribute, list_attributes, register_attribute
from consent.registry.events import ATTRIBUTE, events_of
from idp.audit import AuditKind
from idp.cli.acting import HISTORY_COLUMNS, By, acting, agency_of, describe_event
from idp.cli.context import opened, run
from idp.cli.output import AsJson, show_one, show_rows

app = typer.Typer(help="Data items that agencies hold and others may ask for.", no_args_is_help=True)

Claim = Annotated[str, typer.Argument(help="Its whole name, such as `urn:satupintu:data:dukcapil:family_card_number`.")]


@app.command("register")
def register(
    name: Annotated[str, typer.Argument(help="A short name, such as `family_card_number`.")],
    agency: Annotated[str, typer.Option(help="The code of the agency that holds it.")],
    label: Annotated[str, typer.Option(help="What people call it in Indonesian.")],
    label_en: Annotated[str, typer.Option(help="What people call it in English.")],
    category: Annotated[str, typer.Option(help="Its category, such as `family` or `health`.")],
    dpv: Annotated[str, typer.Option(help="Its DPV category, such as `https://w3id.org/dpv/pd#HealthRecord`.")],
    specific: Annotated[bool, typer.Option("--specific", help="The law guards it more (UU PDP article 4).")] = False,
    by: By = "operator",
    as_json: AsJson = False,
) -> None:
    """Register an item. It never changes afterwards; another meaning is another item."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            item = await register_attribute(
                session,
                source_agency_id=(await agency_of(session, agency)).id,
                name=name,
                labels={"id": label, "en": label_en},
                category=category,
                is_specific=specific,
                dpv_iri=dpv,
                registered_by=await acting(session, by),
                now=context.now,
                entropy=context.entropy,
            )
            await context.note(
                session, AuditKind.REGISTRY_CHANGED, what="attribute registered", attribute=item.claim, by_whom=by
            )
            return describe(item)

    show_one(run(work()), as_json=as_json)


@app.command("show")
def show(claim: Claim, as_json: AsJson = False) -> None:
    """Show an item."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.reading() as session:
            return describe(await attribute(session, claim))

    show_one(run(work()), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List every item: those of people's accounts here, and those that agencies hold."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            return [describe(item) for item in (*ITEMS.values(), *await list_attributes(session))]

    show_rows(run(work()), columns=("claim", "label", "category", "kind", "source"), as_json=as_json, empty="")


@app.command("history")
def history(claim: Claim, as_json: AsJson = False) -> None:
    """Show what happened to a registered item."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            return [describe_event(event) for event in await events_of(session, ATTRIBUTE, claim)]

    show_rows(run(work()), columns=HISTORY_COLUMNS, as_json=as_json, empty="Nothing happened to it.")


def describe(item: DataItem) -> dict[str, object]:
    """An item as commands show it."""
    return {
        "claim": item.claim,
        "label": {"id": item.id, "en": item.en},
        "category": item.category.value,
        "kind": item.kind,
        "dpv_iri": item.dpv_iri,
        "source": None if item.source is None else item.source.code,
    }
