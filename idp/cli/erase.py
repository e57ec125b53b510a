"""`satupintu erase`: erase what is kept of a person; keep it from being erased; see by which rules the clock erases."""

from datetime import timedelta
from typing import Annotated

import typer
from sqlalchemy import select

from consent.erasure.holds import holds_of, lift_hold, place_hold
from consent.erasure.models import Erasure
from consent.erasure.person import Order, Progress, advance_erasure, progress_of, request_erasure
from consent.erasure.retention import RULES
from idp.accounts.directory import disable_account, require_account
from idp.audit import AuditKind
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_one, show_rows
from idp.erasure import end_what_rests_on, keep_of, periods_of

app = typer.Typer(help="Erasing people's data, legal holds, and rules of retention.", no_args_is_help=True)

Username = Annotated[str, typer.Argument(help="What they log in with.")]


@app.command("person")
def person(
    username: Username,
    order: Annotated[
        str | None,
        typer.Option(help="The act by which an authority orders it, such as a court's number. It must name nobody."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this, only say what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase what is kept of a person's consents, and close their account. It cannot be undone.

    Without an order it is refused while proof must be kept (EVIDENCE_YEARS after a consent's end). What is in force
    ends at once. Recipients are told first; the server does the rest by itself.
    """

    async def work() -> dict[str, object]:
        async with opened() as context:
            settings = context.settings
            async with context.database.transaction() as session:
                account = await require_account(session, username)
                await disable_account(session, username=username, now=context.now)
                erasure_id = await request_erasure(
                    session,
                    account.id,
                    keep=keep_of(settings),
                    wait=timedelta(days=settings.erasure_wait_days),
                    requested_by="operator",
                    order=None if order is None else Order(citation=order),
                    after_ending=end_what_rests_on,
                    now=context.now,
                    entropy=context.entropy,
                )
                # By the erasure's id, not the account's: this row outlives what was erased.
                await context.note(session, AuditKind.ERASURE_REQUESTED, erasure_id=erasure_id, order=order or "none")
            while True:
                async with context.database.transaction() as session:
                    if not await advance_erasure(session, only=erasure_id, now=context.now, entropy=context.entropy):
                        return _told(await progress_of(session, erasure_id))

    if not yes:
        raise Refused(
            f"this ends every consent of {username}, closes the account, and destroys the proof of what was agreed; "
            "add --yes to do it"
        )
    show_one(run(work()), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the erasures that are under way."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            open_ones = select(Erasure.id).where(Erasure.finished_at.is_(None)).order_by(Erasure.requested_at)
            ids = (await session.scalars(open_ones)).all()
            return [_told(await progress_of(session, one)) for one in ids]

    columns = ("erasure", "state", "waits_for", "wait_until")
    show_rows(run(work()), columns=columns, as_json=as_json, empty="Nobody is being erased.")


@app.command("hold")
def hold(
    username: Username,
    reason: Annotated[str, typer.Option(help="Why: a dispute, an investigation.")],
    citation: Annotated[str, typer.Option(help="By which act: a case's number.")],
    as_json: AsJson = False,
) -> None:
    """Keep everything of a person from being erased, by whomever and whatever, until the hold is lifted."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            account = await require_account(session, username)
            hold_id = await place_hold(
                session,
                subject_id=account.id,
                reason=reason,
                citation=citation,
                placed_by="operator",
                now=context.now,
                entropy=context.entropy,
            )
            await context.note(session, AuditKind.HOLD_PLACED, account_id=account.id, hold_id=hold_id)
            return {"hold": hold_id, "username": username, "placed_at": context.now}

    show_one(run(work()), as_json=as_json)


@app.command("holds")
def holds(username: Username, as_json: AsJson = False) -> None:
    """List the holds that stand on a person."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            account = await require_account(session, username)
            return [
                {"hold": one.id, "reason": one.reason, "citation": one.citation, "placed_at": one.placed_at}
                for one in await holds_of(session, account.id)
            ]

    columns = ("hold", "citation", "reason", "placed_at")
    show_rows(run(work()), columns=columns, as_json=as_json, empty="No hold stands.")


@app.command("lift")
def lift(hold_id: Annotated[str, typer.Argument(help="The hold's id.")], as_json: AsJson = False) -> None:
    """Lift a hold."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            await lift_hold(session, hold_id, lifted_by="operator", now=context.now)
            await context.note(session, AuditKind.HOLD_LIFTED, hold_id=hold_id)
            return {"hold": hold_id, "lifted_at": context.now}

    show_one(run(work()), as_json=as_json)


@app.command("rules")
def rules(as_json: AsJson = False) -> None:
    """Say which rows the clock erases, when, and what is left of them."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context:
            periods = periods_of(context.settings)
            return [
                {
                    "rule": rule.name,
                    "rows": rule.rows,
                    "days": rule.kept(periods).days,
                    "after": rule.after,
                    "done": rule.done,
                }
                for rule in RULES
            ]

    show_rows(run(work()), columns=("rule", "rows", "days", "after", "done"), as_json=as_json, empty="No rules.")


def _told(progress: Progress) -> dict[str, object]:
    if progress.finished_at is not None:
        state = "finished"
    elif progress.destroyed_at is not None:
        state = "erased; the last rows are tidied within minutes, by the server"
    else:
        state = "waiting for recipients to be told"
    return {
        "erasure": progress.erasure_id,
        "state": state,
        "waits_for": progress.waits_for,
        "wait_until": progress.wait_until,
        "destroyed_at": progress.destroyed_at,
    }
