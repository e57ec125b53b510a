"""`client_credentials`: an app acts for itself, and so never with a scope that is about people.

Spec: RFC 6749 §4.4; RFC 8707 §2; RFC 9068 §2.2 (`sub`).
"""

from idp.accounts.profile import CLAIMS_OF_SCOPE
from idp.grants.request import Answer, TokenRequest
from idp.tokens import access_token
from idp.tokens.audience import audiences, requested_resources
from idp.tokens.scope import narrow


async def client_credentials(request: TokenRequest) -> Answer:
    """Issues an access token to the app itself. Errors: `invalid_scope`, `invalid_target`."""
    own = sorted(request.client.scopes - CLAIMS_OF_SCOPE.keys())
    scopes = narrow(request.parameters.get("scope"), allowed=own)
    chosen = audiences(
        requested_resources(request.parameters.get("resource")),
        granted=(),
        client=request.client,
        issuer=request.provider.settings.issuer,
    )
    minted = await access_token.mint(
        request.provider,
        access_token.NewAccessToken(client_id=request.client.client_id, audiences=chosen, scopes=scopes, person=None),
        now=request.now,
    )
    await request.provider.database.driver.row(access_token.KEEP, minted.row)
    answer: Answer = {"access_token": minted.token, "token_type": "Bearer", "expires_in": minted.expires_in}
    return answer | {"scope": " ".join(scopes)} if scopes else answer
