"""Keys and their algorithms: the table of what we speak, how a key is made, and which public keys we take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from joserfc.jwk import import_key
from jwt.algorithms import Algorithm as Mathematics
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, RSAPSSAlgorithm

from keys.encoding import b64url_decode, b64url_encode
from keys.errors import KeyRefused, KeyUnsuitable, MalformedEncoding

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey

RSA_BITS: Final = 3072  # OWASP ASVS 5.0 §11.2.3: 128 bits of strength
MAX_KID_LENGTH: Final = 200
_RSA_BITS_TAKEN: Final = range(2048, 8192 + 1)
_PUBLIC_EXPONENTS_TAKEN: Final = range(65537, 2**64)
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"})


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One signature algorithm: its name on the wire, the type and curve of its keys, and who does the mathematics."""

    name: str
    kty: str
    crv: str | None
    mathematics: Mathematics
    # RSA takes most of a millisecond and lets other threads run meanwhile; a curve takes less than the way to a thread.
    slow: bool = False


# `EdDSA` and `Ed25519` are two names of one algorithm: RFC 9864 deprecates the first, most libraries know only it.
ALGORITHMS: Final[Mapping[str, Algorithm]] = MappingProxyType(
    {
        algorithm.name: algorithm
        for algorithm in (
            Algorithm("RS256", "RSA", None, RSAAlgorithm(RSAAlgorithm.SHA256), slow=True),
            Algorithm("PS256", "RSA", None, RSAPSSAlgorithm(RSAPSSAlgorithm.SHA256), slow=True),
            Algorithm("ES256", "EC", "P-256", ECAlgorithm(ECAlgorithm.SHA256, ec.SECP256R1)),
            Algorithm("EdDSA", "OKP", "Ed25519", OKPAlgorithm()),
            Algorithm("Ed25519", "OKP", "Ed25519", OKPAlgorithm()),
        )
    }
)
ALL_ALGS: Final = frozenset(ALGORITHMS)


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key that passed `check_public_jwk`, loaded once, with the algorithms that it may verify."""

    kid: str | None
    algs: frozenset[str]
    key: PublicKey = field(repr=False)

    def verifies(self, signing_input: bytes, signature: bytes, *, alg: str) -> bool:
        """Whether the signature is this key's. An algorithm that is not the key's own verifies nothing."""
        return alg in self.algs and ALGORITHMS[alg].mathematics.verify(signing_input, self.key, signature)


def generate_private(alg: str, *, rsa_bits: int = RSA_BITS) -> PrivateKey:
    """Makes a private key for an algorithm, from the cryptographic library's own generator. RSA takes a while."""
    algorithm = _known(alg)
    if algorithm.kty == "RSA":
        if rsa_bits not in _RSA_BITS_TAKEN:
            raise KeyRefused(f"an RSA key has 2048 to 8192 bits, not {rsa_bits}")
        return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm.kty == "EC" else Ed25519PrivateKey.generate()


def private_to_bytes(private: PrivateKey) -> bytes:
    """The private key as PKCS#8 in DER, in the clear: only `keys.sealing.seal` should see it."""
    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def private_from_bytes(data: bytes) -> PrivateKey:
    """Reads what `private_to_bytes` wrote.

    OpenSSL's check of an RSA key takes a tenth of a second, and looks for what an honest generator never makes: these
    bytes come out of our own seal, which nobody without the master key could have closed over other ones.
    """
    return cast(PrivateKey, load_der_private_key(data, password=None, unsafe_skip_rsa_key_validation=True))


def public_jwk(key: PrivateKey | PublicKey, *, alg: str) -> dict[str, Any]:
    """The public half as a JWK with `use`, `alg` and `kid`.

    The kid is the key's thumbprint and the algorithm's name, so it cannot be given to two keys, nor one key's to two
    algorithms. Raises `KeyRefused` when the key is not of the algorithm's type.

    Spec: RFC 7517 §4; RFC 7638 §3
    """
    members = _members(key)
    algorithm = _known(alg)
    if (algorithm.kty, algorithm.crv) != (members["kty"], members.get("crv")):
        raise KeyRefused(f"a key of type {members['kty']} does not sign {alg}")
    return {**members, "use": "sig", "alg": alg, "kid": f"{thumbprint(members)}.{alg}"}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The key's own name: SHA-256 over its required members, in base64url.

    Spec: RFC 7638 §3
    """
    return import_key(dict(jwk)).thumbprint()


def check_public_jwk(jwk: object, *, allowed_algs: frozenset[str]) -> VerifyingKey:
    """Takes a public key that may verify signatures here, or says what is wrong with it.

    Raises `KeyUnsuitable` for a key that belongs elsewhere (encryption, another type, curve or algorithm), and
    `KeyRefused` for one that belongs nowhere (private, symmetric, weak, malformed).

    Spec: RFC 7517 §4; RFC 7518 §6; RFC 8037 §2; RFC 8725 §3.5
    """
    if not isinstance(jwk, dict):
        raise KeyRefused("a JWK is a JSON object")
    if private := _PRIVATE_MEMBERS & jwk.keys():
        raise KeyRefused(
            f"the key has private or symmetric members {sorted(private)}: it must be replaced, not only hidden"
        )
    kid = jwk.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID_LENGTH):
        raise KeyRefused(f"kid is not a string of 1 to {MAX_KID_LENGTH} characters")
    if jwk.get("use", "sig") != "sig":
        raise KeyUnsuitable(f"use is {jwk['use']!r}: this key is not for signatures")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeyUnsuitable("key_ops does not hold 'verify'")
    algs = _algs_of(jwk, allowed_algs)
    load = _LOADERS[jwk["kty"]]
    return VerifyingKey(kid=kid, algs=algs, key=load(jwk))


def _algs_of(jwk: dict[str, Any], allowed_algs: frozenset[str]) -> frozenset[str]:
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if not isinstance(kty, str) or kty not in _LOADERS:
        raise KeyUnsuitable(f"kty {kty!r} is not one of {sorted(_LOADERS)}")
    fitting = frozenset(
        name for name in allowed_algs & ALL_ALGS if ALGORITHMS[name].kty == kty and ALGORITHMS[name].crv in (None, crv)
    )
    # The key fixes the algorithm; a key that names none may do whatever its type can and the caller allows.
    alg = jwk.get("alg")
    algs = fitting if alg is None else frozenset(name for name in fitting if name == alg)
    if not algs:
        raise KeyUnsuitable(f"no allowed algorithm fits kty {kty!r}, crv {crv!r}, alg {alg!r}")
    return algs


def _load_rsa(jwk: dict[str, Any]) -> PublicKey:
    n, e = (int.from_bytes(_octets(jwk, name), "big") for name in ("n", "e"))
    if n.bit_length() not in _RSA_BITS_TAKEN or n % 2 == 0:
        raise KeyRefused(f"an RSA modulus is odd and has 2048 to 8192 bits, not {n.bit_length()}")
    # e = 1 verifies what anybody writes; small e has a history of forgeries; a huge one makes us do the work.
    if e not in _PUBLIC_EXPONENTS_TAKEN or e % 2 == 0:
        raise KeyRefused("the RSA public exponent is not an odd number from 65537 up to 64 bits")
    return _loaded(lambda: rsa.RSAPublicNumbers(e, n).public_key())


def _load_ec(jwk: dict[str, Any]) -> PublicKey:
    # Loading proves that the point is on the curve: the classic invalid-curve attack ends here.
    x, y = (int.from_bytes(_octets(jwk, name, length=32), "big") for name in ("x", "y"))
    return _loaded(lambda: ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())


def _load_okp(jwk: dict[str, Any]) -> PublicKey:
    x = _octets(jwk, "x", length=32)
    return _loaded(lambda: Ed25519PublicKey.from_public_bytes(x))


_LOADERS: Final[Mapping[str, Callable[[dict[str, Any]], PublicKey]]] = MappingProxyType(
    {"RSA": _load_rsa, "EC": _load_ec, "OKP": _load_okp}
)


def _octets(jwk: dict[str, Any], name: str, *, length: int | None = None) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str):
        raise KeyRefused(f"{name} is not a string")
    try:
        octets = b64url_decode(text)
    except MalformedEncoding as error:
        raise KeyRefused(f"{name} is {error.detail}") from error
    # RFC 7518 §6.2.1.2 wants coordinates at full length, §6.3.1 wants RSA's numbers at their shortest.
    if length is not None and len(octets) != length:
        raise KeyRefused(f"{name} is {len(octets)} bytes long, not {length}")
    if length is None and octets[:1] in (b"", b"\x00"):
        raise KeyRefused(f"{name} starts with a zero byte or is empty")
    return octets


def _loaded(load: Callable[[], PublicKey]) -> PublicKey:
    try:
        return load()
    except ValueError as error:
        raise KeyRefused("the numbers of this key do not make a key") from error


def _members(key: PrivateKey | PublicKey) -> dict[str, Any]:
    public = key if isinstance(key, PublicKey) else key.public_key()
    match public:
        case rsa.RSAPublicKey():
            numbers = public.public_numbers()
            return {"kty": "RSA", "n": _shortest(numbers.n), "e": _shortest(numbers.e)}
        case ec.EllipticCurvePublicKey():
            if not isinstance(public.curve, ec.SECP256R1):
                raise KeyRefused(f"curve {public.curve.name} is not P-256")
            point = public.public_numbers()
            x, y = (b64url_encode(number.to_bytes(32, "big")) for number in (point.x, point.y))
            return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        case _:
            raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
            return {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(raw)}


def _shortest(number: int) -> str:
    return b64url_encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _known(alg: str) -> Algorithm:
    algorithm = ALGORITHMS.get(alg)
    if algorithm is None:
        raise KeyRefused(f"{alg!r} is not one of {sorted(ALGORITHMS)}")
    return algorithm
