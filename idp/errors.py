"""What the provider refuses, one class per wire code.

`description` may reach the client; `detail` goes to the log only. Which clothes a refusal wears (JSON, a redirect,
a page) is the endpoint's choice, not the error's.

Spec: RFC 6749 §4.1.2.1 and §5.2; OpenID Connect Core §3.1.2.6; RFC 8707 §2; RFC 9396 §5; RFC 6750 §3.1.
"""

from typing import ClassVar


class Refusal(Exception):
    """Something was asked that is not allowed. A refusal commits the transaction it leaves; a bug rolls it back.

    Otherwise a burned code, a counted failure or a revoked family would be undone by the very error that caused it.
    """


class OAuthError(Refusal):
    """A refusal that OAuth has a code for."""

    code: ClassVar[str] = "invalid_request"
    status: ClassVar[int] = 400

    def __init__(self, description: str = "", *, detail: str = "") -> None:
        super().__init__(f"{self.code}: {description or detail}")
        self.description = description
        self.detail = detail


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated or malformed."""


class InvalidClient(OAuthError):
    """Client authentication failed. The answer never says whether the client exists."""

    code = "invalid_client"
    status = 401


class InvalidGrant(OAuthError):
    """The code or refresh token is unknown, spent, expired, withdrawn or another client's."""

    code = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """This client may not use this grant or response type."""

    code = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """No such grant here."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """Only `code` is answered."""

    code = "unsupported_response_type"


class InvalidScope(OAuthError):
    """The scope is unknown, malformed or more than was given."""

    code = "invalid_scope"


class InvalidTarget(OAuthError):
    """The resource is unknown or not for this client. Spec: RFC 8707 §2."""

    code = "invalid_target"


class InvalidAuthorizationDetails(OAuthError):
    """The authorization details are of an unknown type or shape. Spec: RFC 9396 §5."""

    code = "invalid_authorization_details"


class AccessDenied(OAuthError):
    """The person said no."""

    code = "access_denied"
    status = 403


class LoginRequired(OAuthError):
    """`prompt=none`, and somebody would have to log in."""

    code = "login_required"


class ConsentRequired(OAuthError):
    """`prompt=none`, and somebody would have to agree."""

    code = "consent_required"


class AccountSelectionRequired(OAuthError):
    """`prompt=none`, and somebody would have to choose an account."""

    code = "account_selection_required"


class UnmetAuthenticationRequirements(OAuthError):
    """An essential `acr` cannot be reached. Spec: OpenID Connect Core Unmet Authentication Requirements 1.0."""

    code = "unmet_authentication_requirements"


class RequestNotSupported(OAuthError):
    """The `request` parameter is not implemented."""

    code = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """The `request_uri` parameter is not implemented."""

    code = "request_uri_not_supported"


class RegistrationNotSupported(OAuthError):
    """The `registration` parameter is not implemented."""

    code = "registration_not_supported"


class InvalidToken(OAuthError):
    """The access token is unknown, expired, revoked or for somebody else. Spec: RFC 6750 §3.1."""

    code = "invalid_token"
    status = 401


class UsesSpent(InvalidToken):
    """The data was used as often as the person agreed to. The token is good; it opens this door later, or never again.

    Not `invalid_token`, which would send the app for another token. Spec: RFC 6585 §4.
    """

    code = "use_limit_reached"
    status = 429


class InsufficientScope(OAuthError):
    """The access token does not reach this far. Spec: RFC 6750 §3.1."""

    code = "insufficient_scope"
    status = 403


class TemporarilyUnavailable(OAuthError):
    """Too much at once; the client may try again."""

    code = "temporarily_unavailable"
    status = 503


class PageRefusal(Refusal):
    """A refusal told to a person on a page, because no client can be trusted with a redirect."""

    def __init__(self, message: str, *, status: int = 400, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.detail = detail
