"""`satupintu withdrawal`: who still has to stop, and by when; and apps that were suspended for it."""

from typing import Annotated

import typer

from consent.withdrawal.board import ESCALATIONS, STATES, BoardFilter, BoardRow, board, delivery_by_id
from idp.audit import AuditKind
from idp.cli.acting import By, Reason, agency_of
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_one, show_rows
from idp.clients.management import enable_client, show_client

app = typer.Typer(help="Withdrawals: who has to stop, and by when.", no_args_is_help=True)

COLUMNS = ("due_at", "escalation", "state", "role", "client_id", "agency", "kind", "attempts", "last_error", "id")


@app.command("board")
def show_board(
    state: Annotated[str, typer.Option(help=f"One of {', '.join(STATES)}; without it, all that is open.")] = "",
    escalation: Annotated[str, typer.Option(help=f"One of {', '.join(ESCALATIONS)}.")] = "",
    agency: Annotated[str, typer.Option(help="Of this agency (its code).")] = "",
    client: Annotated[str, typer.Option(help="Of this app.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show who still has to stop or erase, what is due soonest first."""
    for word, known, what in ((state, STATES, "state"), (escalation, ESCALATIONS, "escalation")):
        if word and word not in known:
            raise Refused(f"the {what} is one of {', '.join(known)}")

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            filters = BoardFilter(
                state=state or None,
                escalation=escalation or None,
                agency_id=(await agency_of(session, agency)).id if agency else None,
                client_id=client or None,
            )
            return [describe(row) for row in (await board(session, filters=filters, limit=limit)).rows]

    show_rows(run(work()), columns=COLUMNS, as_json=as_json, empty="Nobody has to stop anything.")


@app.command("show")
def show(delivery_id: Annotated[str, typer.Argument(help="The delivery's id.")], as_json: AsJson = False) -> None:
    """Show one duty: what was sent, what was attested, when the clock struck."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.reading() as session:
            detail = await delivery_by_id(session, delivery_id)
            return {
                **describe(detail.row),
                "attestations": [
                    {"state": one.state, "at": one.at.isoformat(), "jws": one.jws} for one in detail.attestations
                ],
                "escalations": [
                    {"level": one.level, "at": one.at.isoformat(), "suspended": one.suspended}
                    for one in detail.escalations
                ],
            }

    show_one(run(work()), as_json=as_json)


@app.command("reinstate")
def reinstate(
    client_id: Annotated[str, typer.Argument(help="The app that was suspended.")],
    by: By,
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Let a suspended app go on. Its next breach suspends it again; those before do not."""
    if not reason.strip() or len(reason) > 500:
        raise Refused("give a reason, of at most 500 characters")

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            if (await show_client(session, client_id)).status == "live":
                raise Refused(f"{client_id} is not suspended")
            client = await enable_client(session, client_id, now=context.now)
            await context.note(session, AuditKind.CLIENT_REINSTATED, client_id=client_id, by_whom=by, reason=reason)
            return {"client_id": client.client_id, "status": client.status}

    show_one(run(work()), as_json=as_json)


def describe(row: BoardRow) -> dict[str, object]:
    """A duty as commands show it."""
    return {
        "id": row.id,
        "jti": row.jti,
        "consent_id": row.consent_id,
        "role": row.role,
        "client_id": row.client_id or "(the agency)",
        "agency": row.agency_code,
        "kind": row.kind,
        "state": row.state,
        "awaits": row.awaits,
        "escalation": row.escalation,
        "due_at": row.due_at,
        "sent_at": row.sent_at,
        "acknowledged_at": row.acknowledged_at,
        "stopped_at": row.stopped_at,
        "erased_at": row.erased_at,
        "closed_at": row.closed_at,
        "contradicted_at": row.contradicted_at,
        "attempts": row.attempts,
        "next_attempt_at": row.next_attempt_at,
        "last_error": row.last_error,
    }
