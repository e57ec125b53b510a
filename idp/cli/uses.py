"""`satupintu uses`: what agencies could have disclosed, held against what they reported."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from consent.uses.delays import hidden_by_agency
from consent.uses.reconciliation import GRACE, KEEP, Period, observed, reconcile
from idp.cli.acting import agency_of
from idp.cli.context import opened, run
from idp.cli.output import AsJson, show_rows

app = typer.Typer(help="The record of use: who was given what, and who did not say so.", no_args_is_help=True)

COLUMNS = ("agency", "tokens", "checks", "answered", "gap", "reported", "without_basis")


@app.command("reconcile")
def reconcile_(
    agency: Annotated[str | None, typer.Option(help="Only this agency, by its code.")] = None,
    days: Annotated[int, typer.Option(min=1, max=KEEP.days, help="How far back to look.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Hold what each agency reported against the tokens and checks that it could have answered."""

    async def work() -> list[dict[str, Any]]:
        async with opened() as context, context.database.reading() as session:
            # A report is due within a day: what is younger is nobody's gap yet.
            until = context.now - GRACE
            period = Period(since=until - timedelta(days=days), until=until)
            agency_id = (await agency_of(session, agency)).id if agency is not None else None
            found = await reconcile(session, period, agency_id=agency_id)
            rows: list[dict[str, Any]] = [
                {
                    "agency": one.agency_code,
                    "tokens": one.tokens,
                    "checks": one.checks,
                    "answered": one.answered,
                    "gap": one.gap,
                    "reported": one.reported,
                    "without_basis": one.without_basis,
                }
                for one in found
            ]
            if agency is None:
                seen = await observed(session, period)
                # What the provider gave it saw itself: there is nothing to compare, and no gap.
                rows.append({"agency": "(satupintu)", "reported": seen, "gap": 0})
            return rows

    show_rows(run(work()), columns=COLUMNS, as_json=as_json, empty="Nothing was expected, and nothing reported.")


@app.command("hidden")
def hidden(as_json: AsJson = False) -> None:
    """Count the uses that their people get to see later, for each agency."""

    async def work() -> list[dict[str, Any]]:
        async with opened() as context, context.database.reading() as session:
            found = await hidden_by_agency(session, now=context.now)
            return [{"agency": one.agency_code, "uses": one.uses, "until": one.last_at} for one in found]

    show_rows(run(work()), columns=("agency", "uses", "until"), as_json=as_json, empty="Nothing is hidden.")
