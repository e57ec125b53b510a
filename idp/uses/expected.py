"""What other agencies may now disclose: noted with the token that lets them, and held against what they report."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from consent.gate import Permit
from idp.clients.registry import RegisteredClient
from idp.driver.statement import Values
from idp.provider import Provider


async def expected_of(
    provider: Provider, client: RegisteredClient, token: Values, permit: Permit, *, now: datetime
) -> Sequence[dict[str, Any]]:
    """The rows of a person's new access token, one for each other agency whose API it opens."""
    if token["audiences"] == [provider.settings.issuer]:
        return ()
    owners = await provider.clients.owners(now)
    # An agency that hands its own app its own data gives nothing away.
    agencies = {owners[one] for one in token["audiences"] if one in owners} - {client.agency_id}
    return [
        {
            "reference": token["jti"],
            "provider_agency_id": agency_id,
            "kind": "token",
            "at": now,
            "agency_id": client.agency_id,
            "client_id": client.client_id,
            "consent_id": permit.consent_id,
            "reported_at": None,
        }
        for agency_id in sorted(agencies)
    ]
