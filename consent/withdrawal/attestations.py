"""What a recipient signs: that it has the news, that it stopped, that it erased. Believed only after every check.

The signature is what makes it evidence, so whoever has no registered key cannot attest. The statement is kept as it was
signed, and is a leaf of the log. When it came is what counts: a date in it could be older than the clock allows.

Order: `stopped` says that the news was received, too. `erased` wants `stopped` before it, in words of its own, because
the law has a clock for the one and not for the other.
Spec: RFC 7515; RFC 7519; RFC 8725 §3.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.locking import hold
from consent.log import entries
from consent.log.entry import Kind
from consent.vault import vault_of
from consent.withdrawal.errors import AttestationRefused, NoDelivery
from consent.withdrawal.models import Attestation, Delivery
from keys.entropy import Entropy, new_row_id
from keys.errors import InvalidToken
from keys.jws import verify_jwt
from keys.key import ALL_ALGS
from keys.verification import VerificationKeys

TYP: Final = "consent-attestation+jwt"
STATES: Final = ("acknowledged", "stopped", "erased")
_SKEW: Final = timedelta(seconds=60)
_MAX_JTI: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAttestation:
    """A statement whose signature and form passed. Nothing but `verify` makes one."""

    client_id: str
    jti: str
    state: str
    issued_at: datetime
    jws: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """How far the delivery is now. `closed` when nothing more is expected."""

    jti: str
    state: str
    at: datetime
    closed: bool


def verify(
    jws: str, *, client_id: str, keys: VerificationKeys, expected_audience: str, now: datetime
) -> VerifiedAttestation:
    """Believes a statement, or raises `AttestationRefused`.

    Claims: `iss` (the app), `aud` (the provider, and nobody else), `iat`, `delivery` (the token's `jti`), `state`.
    """
    if len(keys) == 0:
        raise AttestationRefused("no_keys", "only an app with registered keys (jwks) can attest")
    try:
        claims = verify_jwt(
            jws,
            keys=keys,
            expected_algs=ALL_ALGS,
            now=now,
            expected_typ=TYP,
            expected_issuer=client_id,
            expected_audience=expected_audience,
            # A statement for somebody else as well could have been made for them.
            audience_exactly=True,
            require=("iat", "delivery", "state"),
            future_iat_tolerance_seconds=int(_SKEW.total_seconds()),
        ).claims
    except InvalidToken as refused:
        raise AttestationRefused("invalid_attestation", refused.detail) from None
    jti, state = claims["delivery"], claims["state"]
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI or not isinstance(state, str) or state not in STATES:
        raise AttestationRefused(
            "invalid_attestation", f"delivery is the jti of the event, state one of {', '.join(STATES)}"
        )
    return VerifiedAttestation(
        client_id=client_id,
        jti=jti,
        state=state,
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
        jws=jws,
    )


async def attest(
    session: AsyncSession,
    said: VerifiedAttestation,
    *,
    agency_id: str,
    as_agency: bool,
    now: datetime,
    entropy: Entropy,
) -> Attested:
    """Records what a recipient attests about a delivery of its own.

    `as_agency` is the agency that gives data, and not the app alone. Errors: `NoDelivery`, also for somebody else's;
    `AttestationRefused`.
    """
    await hold(session, f"delivery {said.jti}")
    delivery = await _own(session, said, agency_id=agency_id, as_agency=as_agency)
    _check(said, delivery)
    at: dict[str, Any] = {f"{said.state}_at": now}
    if delivery.acknowledged_at is None:
        at["acknowledged_at"] = now
    closed = said.state == delivery.awaits
    await session.execute(
        update(Delivery)
        .where(Delivery.id == delivery.id)
        .values(
            **at,
            # Whoever attests it has it, however it came.
            sent_at=delivery.sent_at or now,
            next_attempt_at=None,
            claimed_until=None,
            closed_at=now if closed else delivery.closed_at,
        )
    )
    row = Attestation(id=new_row_id(entropy, now), delivery_id=delivery.id, state=said.state, at=now, jws=said.jws)
    await session.execute(
        insert(Attestation).values(id=row.id, delivery_id=row.delivery_id, state=row.state, at=row.at, jws=row.jws)
    )
    leaf = entries.entry_of(Kind.DELIVERY, row.id, row.as_json(), vault_of(session).nobodys, at=now)
    await entries.append(session, [leaf])
    return Attested(jti=said.jti, state=said.state, at=now, closed=closed)


async def _own(session: AsyncSession, said: VerifiedAttestation, *, agency_id: str, as_agency: bool) -> Delivery:
    """The delivery, if it is the caller's. One answer for another's and for none, so that nobody can probe."""
    mine = ("", said.client_id) if as_agency else (said.client_id,)
    delivery = (
        await session.scalars(
            select(Delivery).where(
                Delivery.jti == said.jti, Delivery.agency_id == agency_id, Delivery.client_id.in_(mine)
            )
        )
    ).one_or_none()
    if delivery is None:
        raise NoDelivery("you have no such delivery")
    return delivery


def _check(said: VerifiedAttestation, delivery: Delivery) -> None:
    if said.issued_at < delivery.created_at - _SKEW:
        raise AttestationRefused("invalid_attestation", "it was signed before the event that it is about")
    if getattr(delivery, f"{said.state}_at") is not None and (
        said.state != "acknowledged" or delivery.stopped_at is None
    ):
        raise AttestationRefused("already_attested", f"{said.state} was attested before")
    if STATES.index(said.state) > STATES.index(delivery.awaits):
        raise AttestationRefused("not_expected", f"{delivery.awaits} is the last that is expected of this delivery")
    later = [state for state in STATES[STATES.index(said.state) + 1 :] if getattr(delivery, f"{state}_at")]
    if later:
        raise AttestationRefused("out_of_order", f"{later[0]} was attested already")
    if said.state == "erased" and delivery.stopped_at is None:
        raise AttestationRefused("out_of_order", "attest stopped first")
