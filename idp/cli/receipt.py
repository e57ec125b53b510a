"""`satupintu receipt`: the keys that sign receipts, and receipts in other formats."""

from pathlib import Path
from typing import Annotated

import typer

from consent.log.errors import LogError
from consent.log.receipt_jws import receipt_keys, verify_receipt
from consent.log.verify import MAX_FILE_BYTES, Receipt
from consent.receipts.errors import RecordRefused
from consent.receipts.formats import FORMATS
from consent.receipts.keys import list_receipt_keys, receipt_jwks, revoke_receipt_key, rotate_receipt_key
from consent.receipts.record import ConsentDocument
from idp.audit import AuditKind
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_json, show_one, show_rows
from keys.encoding import strict_json_loads
from keys.errors import MalformedEncoding

app = typer.Typer(help="Receipts: their keys, and other formats of them.", no_args_is_help=True)

_OWN_CLAIMS = frozenset({"iss", "iat", "jti", "event_sha256"})


@app.command("keys")
def keys(as_json: AsJson = False) -> None:
    """List the keys. All but revoked ones stay published for good, for what they signed is looked at for decades."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            return [
                {
                    "kid": key.kid,
                    "state": key.state,
                    "created_at": key.created_at,
                    "replaced_at": key.replaced_at,
                    "revoked_at": key.revoked_at,
                }
                for key in await list_receipt_keys(session)
            ]

    show_rows(run(work()), columns=("state", "kid", "created_at"), as_json=as_json, empty="No keys yet.")


@app.command("rotate-key")
def rotate_key(as_json: AsJson = False) -> None:
    """Make another key sign from now on. The one before loses its private part and stays published."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            kid = await rotate_receipt_key(session, now=context.now)
            await context.note(session, AuditKind.KEYS_ROTATED, alg="receipts", kid=kid)
            return {"kid": kid, "state": "signing"}

    show_one(run(work()), as_json=as_json)


# One key in 64 has a name that begins with a hyphen, and is no option all the same.
@app.command("revoke-key", context_settings={"ignore_unknown_options": True})
def revoke_key(kid: Annotated[str, typer.Argument(help="The key's id.")], as_json: AsJson = False) -> None:
    """Publish a key no more, because it leaked. Receipts that it signed have to be fetched again."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            await revoke_receipt_key(session, kid, now=context.now)
            await context.note(session, AuditKind.KEY_RETIRED, kid=kid)
            return {"kid": kid, "state": "revoked"}

    show_one(run(work()), as_json=as_json)


@app.command("convert")
def convert(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A receipt file.")],
    to: Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.")],
) -> None:
    """Write the record of a receipt in another format. Its signature must be by one of this provider's keys."""
    chosen = FORMATS.get(to)
    if chosen is None:
        raise Refused(f"the formats are {', '.join(FORMATS)}")
    with file.open("rb") as opened_file:
        data = opened_file.read(MAX_FILE_BYTES + 1)

    async def work() -> ConsentDocument:
        async with opened() as context, context.database.reading() as session:
            return _record(data, await receipt_jwks(session))

    show_json(chosen.export(run(work())))


def _record(data: bytes, jwks: object) -> ConsentDocument:
    try:
        receipt = _jws(data)
        _kid, claims = verify_receipt(receipt, keys=receipt_keys(jwks))
        return ConsentDocument.read({name: value for name, value in claims.items() if name not in _OWN_CLAIMS})
    except (LogError, RecordRefused, MalformedEncoding) as refused:
        raise Refused(f"this is no receipt of this provider: {refused}") from None


def _jws(data: bytes) -> str:
    """The signed record of a receipt file, or of the file that an agency gets."""
    document = strict_json_loads(data, max_bytes=MAX_FILE_BYTES)
    if isinstance(document, dict) and isinstance(document.get("receipt"), str) and "event" not in document:
        return str(document["receipt"])
    return Receipt.parse(data).jws
