"""How the JSON APIs answer: never cached, and a refusal with a challenge where one is due.

Spec: RFC 6750 §3 and §3.1; RFC 9110 §11.6.1.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.responses import Response

from consent.http.api.ports import ApiRefusal

NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def json_answer(content: Mapping[str, Any] | Sequence[Any], *, status: int = 200) -> Response:
    """JSON that no cache may keep."""
    return Response(orjson.dumps(content), status, headers=NO_STORE, media_type="application/json")


def refusal_answer(refused: ApiRefusal) -> Response:
    """A refusal as JSON."""
    said = {"error": refused.error} | ({"error_description": refused.description} if refused.description else {})
    answer = json_answer(said, status=refused.status)
    answer.headers.update(challenge(refused))
    return answer


def challenge(refused: ApiRefusal) -> Mapping[str, str]:
    """`WWW-Authenticate`, for who did not show a token that is good enough."""
    if refused.status not in {401, 403}:
        return {}
    return {"WWW-Authenticate": f'Bearer realm="satupintu", error="{refused.error}"'}
