"""The public keys against which a token is verified: our own ring's, or those that a client registered."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from keys.errors import InvalidToken, KeyRefused, KeyUnsuitable, UnknownKey
from keys.key import VerifyingKey, check_public_jwk

MAX_KEYS: Final = 20


class VerificationKeys:
    """A set of checked public keys, in which a token's header finds its key."""

    __slots__ = ("_by_name", "_keys")

    def __init__(self, keys: Iterable[VerifyingKey]) -> None:
        self._keys = tuple(keys)
        self._by_name: dict[str, list[VerifyingKey]] = {}
        for key in self._keys:
            if key.kid is not None:
                namesakes = self._by_name.setdefault(key.kid, [])
                # RFC 7517 §4.5 lets keys of different types share a kid; two for one algorithm would be a coin toss.
                if any(key.algs & other.algs for other in namesakes):
                    raise KeyRefused(f"two keys for the same algorithm have the kid {key.kid!r}")
                namesakes.append(key)

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def from_jwks(
        cls,
        jwks: object,
        allowed_algs: frozenset[str],
        *,
        max_keys: int = MAX_KEYS,
        skip_unsuitable: bool = False,
    ) -> "VerificationKeys":
        """Takes a JWK Set, or raises `KeyRefused` with what is wrong.

        At registration every key must be one that we can use. A set fetched later from a client's `jwks_uri` may hold
        keys for other uses beside: `skip_unsuitable=True` leaves those out, and still refuses private and weak ones.

        Spec: RFC 7517 §5
        """
        listed: Any = jwks.get("keys") if isinstance(jwks, Mapping) else None
        if not isinstance(listed, list):
            raise KeyRefused("a JWK Set is a JSON object with an array 'keys'")
        if len(listed) > max_keys:
            raise KeyRefused(f"a JWK Set of more than {max_keys} keys")
        taken = []
        for jwk in listed:
            try:
                taken.append(check_public_jwk(jwk, allowed_algs=allowed_algs))
            except KeyUnsuitable:
                if not skip_unsuitable:
                    raise
        return cls(taken)

    def find(self, kid: str | None, alg: str) -> VerifyingKey:
        """The one key with this name and algorithm; without a name, the only key of the algorithm.

        Raises `UnknownKey` when there is none by that name, `InvalidToken` when it is a key of another algorithm or
        when a token without a name could be any of several.

        Spec: RFC 7515 §4.1.4; RFC 8725 §3.1
        """
        if kid is None:
            fitting = [key for key in self._keys if alg in key.algs]
            if len(fitting) > 1:
                raise InvalidToken(f"no kid, and {len(fitting)} keys fit {alg}")
        else:
            namesakes = self._by_name.get(kid, [])
            fitting = [key for key in namesakes if alg in key.algs]
            if namesakes and not fitting:
                raise InvalidToken(f"the key {kid!r} is not a key for {alg!r}")
        if not fitting:
            raise UnknownKey(f"no key for kid {kid!r} and alg {alg!r}")
        return fitting[0]
