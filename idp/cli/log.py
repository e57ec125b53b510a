"""`satupintu log`: the log that shows that nothing was changed."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from sqlalchemy import func, select

from consent.log.audit import audit as audit_log
from consent.log.audit import nobody_listens
from consent.log.audit_sources import SOURCES, missing_rightly
from consent.log.beginning import begin_anew
from consent.log.encoding import base64_of
from consent.log.findings import Report
from consent.log.folder import publish_to
from consent.log.guard import RolledBack
from consent.log.keys import LogKeys
from consent.log.models import LogEntry
from consent.log.prove import NoSuchEntry, NotYet, consistency, proof_for
from consent.log.publish import NothingPublished, PublishedLog
from consent.log.store import frontier_of, head_of, newest_checkpoints, set_halted
from consent.receipts.keys import receipt_jwks
from idp.audit import AuditKind
from idp.cli.context import Context, opened, run
from idp.cli.output import AsJson, Refused, show_json, show_one
from idp.running_log import open_log, refuse_an_older_copy
from keys.secrets import load_secrets

app = typer.Typer(help="The log: that nothing was changed, and how to show it.", no_args_is_help=True)

FOUND: Final = 3  # the exit code of an audit that found something

Why = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]


@dataclass(frozen=True)
class LogContext:
    """A command's context, and the log of its database."""

    context: Context
    log: PublishedLog


@asynccontextmanager
async def opened_log() -> AsyncIterator[LogContext]:
    """Opens the database and its log for one command."""
    async with opened() as context:
        async with context.database.reading() as session:
            secrets = await load_secrets(session, context.master_key)
        yield LogContext(context, await open_log(context.settings, context.database, _secret_of(secrets)))


async def check_log() -> None:
    """Checks, before servers start, that they will find the log as they need it; what is wrong in one line."""
    async with opened_log() as opened_:
        await refuse_an_older_copy(opened_.context.settings, opened_.context.database)


def _secret_of(secrets: dict[str, bytes]) -> Any:
    def secret(name: str) -> bytes:
        if name not in secrets:
            raise Refused(f"the database has no secret {name}; run: satupintu db upgrade")
        return secrets[name]

    return secret


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Say where the log stands, who has cosigned it, and whether anything stops it."""

    async def work() -> dict[str, object]:
        async with opened_log() as opened_:
            return await _status(opened_)

    show_one(run(work()), as_json=as_json)


async def _status(opened_: LogContext) -> dict[str, object]:
    log = opened_.log
    async with log.reading() as session:
        head = await head_of(session)
        newest = next(iter(await newest_checkpoints(session)), None)
        waiting = await session.scalar(select(func.count()).where(LogEntry.log_index.is_(None)))
    stopped = head.halted if head else None
    try:
        served: object = (await log.served()).size
    except NothingPublished:
        served = None
    except RolledBack as older:
        served, stopped = None, older.why
    witnesses: tuple[str, ...] = ()
    if newest is not None:
        witnesses = log.rules.policy.witnesses_of(log.rules.open(newest.note, log.keys))
    return {
        "origin": log.keys.origin,
        "size": head.size if head else 0,
        "root": head.root.hex() if head else None,
        "waiting": waiting,
        "signed_at": newest.signed_at if newest else None,
        "cosigned_by": list(witnesses),
        "wanted": log.rules.policy.in_words(),
        "served_size": served,
        "stopped": stopped,
        "state_file": str(log.guard.path),
    }


@app.command("keys")
def keys(as_json: AsJson = False) -> None:
    """Show the public keys by which the log is believed (vkeys)."""

    async def work() -> list[dict[str, object]]:
        async with opened_log() as opened_:
            return [{"type": key.type.name, "vkey": str(key)} for key in opened_.log.keys.vkeys]

    rows = run(work())
    if as_json:
        show_json(rows)
    else:
        # Each on one line, for whoever copies them.
        sys.stdout.write("".join(f"{row['vkey']}\n" for row in rows))


@app.command("proof")
def proof(
    row_id: Annotated[str, typer.Argument(metavar="ID", help="The id of an event, a use, a registry event …")],
) -> None:
    """Print the proof that a row is in the log (a .tlog-proof file, without the opening of its commitment)."""

    async def work() -> str:
        async with opened_log() as opened_:
            try:
                found = await proof_for(opened_.log, row_id)
            except (NoSuchEntry, ValueError) as unknown:
                raise Refused(str(unknown)) from None
            if isinstance(found, NotYet):
                raise Refused(found.why)
            return str(found)

    sys.stdout.write(run(work()))


@app.command("consistency")
def consistency_(
    old: Annotated[int, typer.Argument(min=0)], new: Annotated[int, typer.Argument(min=0)], as_json: AsJson = False
) -> None:
    """Print the proof that the log at size NEW begins with the log at size OLD."""

    async def work() -> dict[str, Any]:
        async with opened_log() as opened_, opened_.log.reading() as session:
            head = await head_of(session)
            if head is None or not old <= new <= head.size:
                raise Refused(f"the sizes go up to {head.size if head else 0}, the old one first")
            roots = [(await frontier_of(session, size)).root() for size in (old, new)]
            hashes = await consistency(session, old, new)
            return {
                "old": {"size": old, "root": base64_of(roots[0])},
                "new": {"size": new, "root": base64_of(roots[1])},
                "hashes": [base64_of(one) for one in hashes],
            }

    found = run(work())
    if as_json:
        show_json(found)
        return
    for name in ("old", "new"):
        sys.stdout.write(f"{name} {found[name]['size']} {found[name]['root']}\n")
    sys.stdout.write("".join(f"{one}\n" for one in found["hashes"]))


@app.command("publish")
def publish(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where the files go; made when it is not there.")],
    everything: Annotated[bool, typer.Option(help="Write every tile again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the log as static files, for a CDN: only what is new since the last time."""

    async def work() -> dict[str, object]:
        async with opened_log() as opened_:
            async with opened_.log.reading() as session:
                trust = opened_.log.trust(await receipt_jwks(session))
            written = await publish_to(opened_.log, folder, trust=trust, everything=everything)
            return {"folder": str(folder), "size": written.size, "tiles_written": written.tiles}

    show_one(run(work()), as_json=as_json)


@app.command("audit")
def audit(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="A checkpoint that others kept; may be repeated."),
    ] = None,
    quiet: Annotated[bool, typer.Option(help="Say nothing while checking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Replay the database against its log, and name every row that was changed. Exit code 3 when one was."""
    brought = [_note(path) for path in checkpoint or ()]

    def told(part: str, done: int) -> None:
        sys.stderr.write(f"\r{part}: {done:,}   ")
        sys.stderr.flush()

    async def work() -> Report:
        async with opened_log() as opened_, opened_.log.reading() as session:
            return await audit_log(
                session,
                keys=opened_.log.keys,
                guard=opened_.log.guard,
                sources=SOURCES,
                by_rule=missing_rightly,
                brought=brought,
                progress=nobody_listens if quiet or not sys.stderr.isatty() else told,
            )

    report = run(work())
    if as_json:
        show_json(report.as_json())
    else:
        _tell(report)
    if not report.intact:
        raise typer.Exit(FOUND)


def _note(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as broken:
        raise Refused(f"{path} cannot be read as a checkpoint: {broken}") from None


def _tell(report: Report) -> None:
    said = {
        "log": report.origin,
        "size": report.size,
        "root": report.root.hex(),
        "waiting": report.waiting,
        "checked": dict(report.checked),
        "erased": dict(report.erased),
        "found": {how.value: count for how, count in report.found.items()}
        or "nothing: the database is as it was written",
    }
    show_one(said, as_json=False)
    for finding in report.findings:
        sys.stdout.write(f"{finding}\n")


@app.command("resume")
def resume(reason: Why, as_json: AsJson = False) -> None:
    """Let a log go on that was stopped, once you know why it was. The guard's file and the witnesses go on watching."""

    async def work() -> dict[str, object]:
        async with opened_log() as opened_, opened_.context.database.transaction() as session:
            head = await head_of(session)
            if head is None or head.halted is None:
                raise Refused("the log is not stopped")
            await set_halted(session, None, now=opened_.context.now)
            await opened_.context.note(session, AuditKind.LOG_RESUMED, reason=reason, was_stopped_because=head.halted)
            return {"origin": head.origin, "size": head.size, "was_stopped_because": head.halted}

    show_one(run(work()), as_json=as_json)


@app.command("begin")
def begin(
    origin: Annotated[str, typer.Argument(help="The new log's name, such as `login.example.go.id/log/2`.")],
    reason: Why,
    as_json: AsJson = False,
) -> None:
    """Begin another log with what is left of one whose newest part is lost. Others must be given its new keys."""

    async def work() -> dict[str, object]:
        async with opened() as context:
            async with context.database.reading() as session:
                secrets = await load_secrets(session, context.master_key)
            new_keys = LogKeys.open(origin, _secret_of(secrets))
            async with context.database.transaction() as session:
                old, _ = await begin_anew(session, new_keys, now=context.now)
                await context.note(session, AuditKind.LOG_BEGUN_ANEW, reason=reason, log=origin, before=old.origin)
            return {
                "origin": origin,
                "size": old.size,
                "before": old.origin,
                "vkeys": [str(key) for key in new_keys.vkeys],
                "then": f"on every host, move {context.settings.log_state_path} away, and start the servers again",
            }

    show_one(run(work()), as_json=as_json)
