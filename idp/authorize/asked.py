"""What a request asks of a person: which of the purpose's items, who exactly, and how surely known.

Spec: OpenID Connect Core §5.4 (scopes), §5.5 (claims), §5.5.1.1 (acr), §11 (offline_access); RFC 9396 §3.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from consent.coverage import Ask
from consent.purposes import PurposeCatalogue, PurposeVersionView
from idp.accounts.profile import claims_of_scopes
from idp.authorize.parameters import AuthorizationRequest
from idp.clients.registry import RegisteredClient
from idp.errors import InvalidAuthorizationDetails, UnauthorizedClient

OFFLINE_ACCESS = "offline_access"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, of which version of which purpose."""

    version: PurposeVersionView
    ask: Ask


async def read_asked(
    session: AsyncSession,
    purposes: PurposeCatalogue,
    request: AuthorizationRequest,
    client: RegisteredClient,
    *,
    now: datetime,
) -> Asked:
    """What this request asks of a person, of the newest version of its one purpose.

    Errors: `unauthorized_client` when the purpose is not in force; `invalid_authorization_details` when `datatypes`
    names something that the purpose does not have, or another version was meant.
    """
    version = await purposes.newest(session, purpose_code(request, client), now=now)
    return asked_of(version, request, client)


def asked_of(version: PurposeVersionView | None, request: AuthorizationRequest, client: RegisteredClient) -> Asked:
    """What this request asks for of its purpose's newest version. Errors: those of `read_asked`."""
    if version is None or version.agency_id != client.agency_id:
        raise UnauthorizedClient("the purpose of this request is not in force")
    detail = request.authorization_details
    if detail is not None and not version.claims.issuperset(detail.datatypes):
        raise InvalidAuthorizationDetails("the purpose does not have every one of the datatypes")
    if detail is not None and detail.purpose_version not in {None, version.version}:
        raise InvalidAuthorizationDetails(f"the version of the purpose that is in force is {version.version}")
    return Asked(version, ask_for(version, request, client))


def purpose_code(request: AuthorizationRequest, client: RegisteredClient) -> str:
    """The one purpose of a request: the one that it names, or else the client's first."""
    detail = request.authorization_details
    return detail.purpose if detail is not None else client.purpose_codes[0]


def ask_for(version: PurposeVersionView, request: AuthorizationRequest, client: RegisteredClient) -> Ask:
    """Whatever is asked for in any way, as far as the purpose has it: what it does not have, nobody gets."""
    named = claims_of_scopes(request.scope) | request.claims.names
    if request.authorization_details is not None:
        named |= frozenset(request.authorization_details.datatypes)
    items = named & version.claims
    return Ask(
        client_id=client.client_id,
        agency_id=client.agency_id,
        purpose_version_id=version.id,
        purpose_id=version.purpose_id,
        required=items & version.required,
        optional=items - version.required,
        offline_access=asks_offline_access(request, client),
        claims=version.claims,
        compatible=version.compatible_version_ids,
    )


def asks_offline_access(request: AuthorizationRequest, client: RegisteredClient) -> bool:
    """Whether refresh tokens are asked for. A client without that grant is not promised any: the scope is ignored.

    `prompt=consent` is not demanded besides, since offline access is agreed to on the consent page and recorded.
    Spec: OpenID Connect Core §11.
    """
    return OFFLINE_ACCESS in request.scope and "refresh_token" in client.grant_types


def is_expected_subject(subject: str, request: AuthorizationRequest) -> bool:
    """Whether this is the person that the request asks for; any person, when it asks for nobody.

    Spec: OpenID Connect Core §3.1.2.1 (id_token_hint), §3.1.2.2 (a requested `sub` value), §5.5.1.
    """
    if request.hinted_subject is not None and request.hinted_subject != subject:
        return False
    wishes = (request.claims.id_token.get("sub"), request.claims.userinfo.get("sub"))
    return all(subject in wish.acceptable for wish in wishes if wish is not None and wish.acceptable)


def essential_acr(request: AuthorizationRequest) -> frozenset[str]:
    """The acr values of which one has to be reached. `acr_values`, and a claim that is not essential, are only wishes.

    Spec: OpenID Connect Core §5.5.1.1.
    """
    wish = request.claims.id_token.get("acr")
    if wish is None or not wish.essential:
        return frozenset()
    return frozenset(str(value) for value in wish.acceptable)
