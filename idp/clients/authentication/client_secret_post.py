"""`client_secret_post`: id and secret as parameters of the body.

Spec: RFC 6749 §2.3.1.
"""

from typing import Final

from starlette.requests import Request

from idp.clients.authentication.presented import Method, Presented
from idp.clients.authentication.secrets import verify_secret
from idp.errors import InvalidClient
from idp.protocol import Parameters


def read(_request: Request, parameters: Parameters) -> Presented | None:
    """The secret of the body, and the id that it is said to be for."""
    secret = parameters.get("client_secret")
    if secret is None:
        return None
    client_id = parameters.get("client_id")
    if client_id is None:
        raise InvalidClient("client_secret needs a client_id")
    return Presented(client_id=client_id, proof=secret)


CLIENT_SECRET_POST: Final = Method(name="client_secret_post", read=read, verify=verify_secret)
