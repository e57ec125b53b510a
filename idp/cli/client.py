"""`satupintu client`: the apps."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from consent.agencies import agency_by_code
from idp.audit import AuditKind
from idp.cli.context import opened, run
from idp.cli.output import AsJson, Refused, show_one, show_rows
from idp.clients.management import (
    ClientSpec,
    change_client,
    create_client,
    disable_client,
    list_clients,
    rotate_secret,
    show_client,
)
from idp.clients.models import Client

app = typer.Typer(help="Clients: the agencies' apps.", no_args_is_help=True)

ClientId = Annotated[str, typer.Argument(help="The app's client_id.")]
Many = list[str]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="The app's name, as people will read it.")],
    agency: Annotated[str, typer.Option(help="The agency's code (`satupintu agency list`).")],
    redirect_uri: Annotated[Many | None, typer.Option(help="Where answers may go; repeat for more.")] = None,
    purpose: Annotated[Many | None, typer.Option(help="A purpose's code; the first is the app's usual one.")] = None,
    scope: Annotated[str, typer.Option(help="The scopes that it may ask for, separated by spaces.")] = "openid profile",
    kind: Annotated[str, typer.Option("--type", help="web, native or spa.")] = "web",
    auth_method: Annotated[str, typer.Option(help="client_secret_basic or _post, private_key_jwt, none.")] = "",
    jwks: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Its public keys (JWKS).")] = None,
    grant: Annotated[Many | None, typer.Option(help="A grant type; repeat for more.")] = None,
    post_logout_redirect_uri: Annotated[Many | None, typer.Option(help="Where logout may lead.")] = None,
    resource: Annotated[Many | None, typer.Option(help="A protected resource that this client is (a URI).")] = None,
    allowed_resource: Annotated[Many | None, typer.Option(help="A resource that it may ask tokens for.")] = None,
    id_token_alg: Annotated[str, typer.Option(help="RS256, PS256, ES256, EdDSA or Ed25519.")] = "",
    userinfo_alg: Annotated[str | None, typer.Option(help="Sign /userinfo with this algorithm.")] = None,
    web_origin: Annotated[Many | None, typer.Option(help="An origin whose scripts may call /token.")] = None,
    subject_type: Annotated[str, typer.Option(help="pairwise or public.")] = "pairwise",
    profile: Annotated[str, typer.Option(help="oidc or fapi2.")] = "oidc",
    client_id: Annotated[str, typer.Option(help="Made up when not given.")] = "",
    name_en: Annotated[str | None, typer.Option(help="Its name in English, when it is another.")] = None,
    without_pkce: Annotated[bool, typer.Option(help="For an old confidential client that knows no PKCE.")] = False,
    verified: Annotated[bool, typer.Option(help="The agency vouched for it; people see a badge.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register an app. Its secret, if it has one, is shown this once."""
    grants = tuple(grant or ("authorization_code",))
    if "authorization_code" in grants and not purpose:
        raise Refused("name the app's purpose with --purpose (satupintu purpose list shows them)")

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            owner = await agency_by_code(session, agency)
            if owner is None:
                raise Refused(f"there is no agency with the code {agency}")
            spec = ClientSpec(
                agency_id=owner.id,
                names={"id": name, "en": name_en or name},
                client_id=client_id,
                profile=profile,
                application_type=kind,
                verified=verified,
                redirect_uris=tuple(redirect_uri or ()),
                post_logout_redirect_uris=tuple(post_logout_redirect_uri or ()),
                grant_types=grants,
                token_endpoint_auth_method=auth_method,
                jwks=_read(jwks) if jwks else None,
                scopes=tuple(scope.split()),
                resources=tuple(resource or ()),
                allowed_resources=tuple(allowed_resource or ()),
                purpose_codes=tuple(purpose or ()),
                subject_type=subject_type,
                id_token_signed_response_alg=id_token_alg,
                userinfo_signed_response_alg=userinfo_alg,
                require_pkce=not without_pkce,
                web_origins=tuple(web_origin or ()),
                development=context.settings.mode == "development",
            )
            client, secret = await create_client(session, spec, now=context.now, entropy=context.entropy)
            await context.note(session, AuditKind.CLIENT_CREATED, client_id=client.client_id)
            return {**describe(client), "client_secret": secret, "issuer": context.settings.issuer}

    show_one(run(work()), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the apps."""

    async def work() -> list[dict[str, object]]:
        async with opened() as context, context.database.reading() as session:
            return [describe(client) for client in await list_clients(session)]

    show_rows(
        run(work()),
        columns=("client_id", "names", "status", "token_endpoint_auth_method", "purpose_codes"),
        as_json=as_json,
        empty="No clients yet.",
    )


@app.command("show")
def show(client_id: ClientId, as_json: AsJson = False) -> None:
    """Show one app's registration."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.reading() as session:
            return describe(await show_client(session, client_id))

    show_one(run(work()), as_json=as_json)


@app.command("change")
def change(
    client_id: ClientId,
    add_scope: Annotated[Many | None, typer.Option(help="A scope that it may ask for too; repeat for more.")] = None,
    jwks: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Its public keys (JWKS).")] = None,
    as_json: AsJson = False,
) -> None:
    """Give an app more scopes, or other public keys."""
    if not add_scope and jwks is None:
        raise Refused("say what changes: --add-scope or --jwks")

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            client = await change_client(
                session,
                client_id,
                add_scopes=tuple(add_scope or ()),
                jwks=_read(jwks) if jwks else None,
                now=context.now,
            )
            await context.note(
                session,
                AuditKind.CLIENT_CHANGED,
                client_id=client_id,
                scopes=" ".join(add_scope or ()),
                keys="replaced" if jwks else "",
            )
            return describe(client)

    show_one(run(work()), as_json=as_json)


@app.command("disable")
def disable(client_id: ClientId, as_json: AsJson = False) -> None:
    """Shut an app out: no logins, and its tokens are dead at once."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            client = await disable_client(session, client_id, now=context.now)
            await context.note(session, AuditKind.CLIENT_DISABLED, client_id=client_id)
            return describe(client)

    show_one(run(work()), as_json=as_json)


@app.command("rotate-secret")
def rotate(
    client_id: ClientId,
    keep_old_for: Annotated[int, typer.Option(min=0, help="Seconds for which the old secret still works.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Give an app a new secret, shown this once."""

    async def work() -> dict[str, object]:
        async with opened() as context, context.database.transaction() as session:
            secret = await rotate_secret(
                session,
                client_id,
                keep_old_for=timedelta(seconds=keep_old_for),
                now=context.now,
                entropy=context.entropy,
            )
            await context.note(session, AuditKind.CLIENT_SECRET_ROTATED, client_id=client_id, keep_old_for=keep_old_for)
            return {"client_id": client_id, "client_secret": secret}

    show_one(run(work()), as_json=as_json)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as broken:
        raise Refused(f"{file} is not JSON: {broken}") from None
    if not isinstance(document, dict):
        raise Refused(f"{file} must be a JSON object with the member keys")
    return document


def describe(client: Client) -> dict[str, object]:
    """An app as commands show it: everything but its secrets."""
    members = (column.key for column in Client.__table__.columns if column.key != "secrets")
    return {member: getattr(client, member) for member in members}
