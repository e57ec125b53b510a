"""A health app that asks people for the ministry's own data and for another ministry's, and that ministry's system.

world = await new_evidence_world(database, issuer=…, clock=…, transport=…, state=world.state, opened=stack)
login = await world.agree(user, "siti", password)        # log in, allow, tokens for both: userinfo and dukcapil's API
await world.check(login.sub);  await world.authzen(login.sub);  await world.status(login.access_token)
"""

import json
import zlib
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import jwt

from consent.agencies import agency_by_code
from consent.registry.versions import propose_version
from idp.clock import Clock
from idp.database import Database
from idp.demo.registry import FAMILY_CARD, PURPOSES
from keys.encoding import b64url_decode
from keys.entropy import SystemEntropy
from tests.support.browser_user import UNTOUCHED, BrowserUser
from tests.support.purposes import active_agreement, approved
from tests.support.recipient import Recipient
from tests.support.registrar import Registrar
from tests.support.relying_party import Login, RelyingParty

API: Final = "https://api.dukcapil.test"
PURPOSE: Final = "imunisasi-keluarga"
AGREEMENT: Final = "dukcapil-kemenkes-imunisasi"
SCOPE: Final = "openid profile phone offline_access"
OWN_SCOPES: Final = ("consent:events", "consent:audit", "govstack:service", "govstack:audit")
GIVER_SCOPES: Final = ("consent:check", "consent:report", "consent:events", "consent:audit")
VALID, INVALID, SUSPENDED = 0, 1, 2
_VISIT: Final = next(purpose for purpose in PURPOSES if purpose["code"] == "kunjungan-puskesmas")


@dataclass
class EvidenceWorld:
    """The stage. `app` is the one that asks, `giver` the system of the ministry that gives.

    `recipient` and `giving` are how these two hear of events, and sign what they did about them.
    """

    app: RelyingParty
    giver: RelyingParty
    recipient: Recipient
    giving: Recipient
    http: httpx2.AsyncClient
    clock: Clock
    _tokens: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    # --- the person ---

    async def ask(self, user: BrowserUser, **parameters: Any) -> None:
        """The person presses "log in" at the app."""
        detail = {
            "type": "satupintu_purpose",
            "purpose": PURPOSE,
            "datatypes": [FAMILY_CARD],
            "locations": [API],
            "actions": ["read"],
        }
        details = json.dumps([detail])
        await user.open(await self.app.authorization_url(scope=SCOPE, authorization_details=details, **parameters))

    async def agree(
        self, user: BrowserUser, username: str, password: str, *, items: Collection[str] = UNTOUCHED
    ) -> Login:
        """Log in, allow, and back at the app, whose token then opens the API of the ministry that gives."""
        await self.ask(user)
        if not user.is_at_app and user.page.path == "/login":
            await user.log_in(username, password)
        if not user.is_at_app:
            await user.allow(items=items)
        attempt, told = self.app.attempt, user.callback_parameters
        assert attempt is not None
        assert "code" in told, told
        token = await self.app.redeem(told["code"], code_verifier=attempt.code_verifier, resource=API)
        return await self.app.check_login(token, nonce=attempt.nonce)

    async def own_token(self, login: Login) -> dict[str, Any]:
        """Another token of the same login, which opens userinfo."""
        return await self.app.refresh(login.refresh_token, resource=self.app.issuer)

    # --- the ministry that gives ---

    async def check(self, sub: str, **changes: Any) -> dict[str, Any]:
        """May the app have the person's family card?"""
        asked = {"client_id": self.app.client_id, "sub": sub, "purpose": PURPOSE, "items": [FAMILY_CARD]} | changes
        headers = await self.bearer(self.giver, "consent:check")
        answer = await self.http.post("/consent/v1/check", json=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def authzen(self, sub: str) -> bool:
        """The same, asked as a gateway does."""
        asked = {
            "subject": {"type": "user", "id": sub},
            "action": {"name": "read"},
            "resource": {"type": "data_item", "id": FAMILY_CARD},
            "context": {"client_id": self.app.client_id, "purpose": PURPOSE},
        }
        headers = await self.bearer(self.giver, "consent:check")
        answer = await self.http.post("/access/v1/evaluation", json=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["decision"])

    async def status(self, access_token: str) -> int:
        """What the list says that the token names, read with PyJWT as a stranger would."""
        reference = (await self._verified(access_token, "at+jwt"))["status"]["status_list"]
        claims = await self._verified((await self.http.get(reference["uri"])).text, "statuslist+jwt")
        assert claims["sub"] == reference["uri"]
        array = zlib.decompress(b64url_decode(claims["status_list"]["lst"]))
        return int(array[reference["idx"] // 4] >> (reference["idx"] % 4 * 2) & 3)

    async def report(self, *uses: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        """The ministry says what it gave."""
        headers = await self.bearer(self.giver, "consent:report") | {"Idempotency-Key": key}
        answer = await self.http.post("/consent/v1/uses", json={"uses": list(uses)}, headers=headers)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    # --- events ---

    async def listen(self) -> None:
        """The app says where it is told."""
        asked = {"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": self.recipient.url}}
        headers = await self.bearer(self.app, "consent:events")
        answer = await self.http.put("/consent/v1/stream", json=asked, headers=headers)
        assert answer.status_code in {200, 201}, answer.text

    async def poll(
        self, who: RelyingParty | None = None, *, agency: bool = False, ack: Collection[str] = ()
    ) -> list[dict[str, Any]]:
        """Events that wait for somebody; their claims, verified. `ack` names those that were taken before."""
        who = who or self.app
        scope = "consent:events consent:check" if agency else "consent:events"
        path = "/consent/v1/agency/events/poll" if agency else "/consent/v1/events/poll"
        asked = {"returnImmediately": True, "ack": list(ack)}
        answer = await self.http.post(path, json=asked, headers=await self.bearer(who, scope))
        assert answer.status_code == 200, answer.text
        return [await self._verified(token, "secevent+jwt") for token in answer.json()["sets"].values()]

    async def attest(self, delivery: str, state: str, *, as_giver: bool = False) -> httpx2.Response:
        """The app's signed statement, or that of the ministry that gave."""
        who, voice = (self.giver, self.giving) if as_giver else (self.app, self.recipient)
        scope = "consent:events consent:check" if as_giver else "consent:events"
        return await self.http.post(
            "/consent/v1/events/attestations",
            content=voice.attestation(delivery, state, at=self.clock()),
            headers=await self.bearer(who, scope) | {"Content-Type": "application/consent-attestation+jwt"},
        )

    async def bearer(self, who: RelyingParty, scope: str) -> dict[str, str]:
        """The Authorization header of somebody's own access token."""
        token = self._tokens.get((who.client_id, scope))
        now = self.clock().timestamp()
        if token is None or token["until"] < now:
            token = await who.client_credentials(scope=scope)
            token["until"] = now + token["expires_in"] - 60
            self._tokens[who.client_id, scope] = token
        return {"Authorization": f"Bearer {token['access_token']}"}

    async def _verified(self, token: str, typ: str) -> dict[str, Any]:
        found = (await self.http.get("/jwks")).json()
        keys = jwt.PyJWKSet.from_dict({"keys": [key for key in found["keys"] if key["alg"] == "ES256"]})
        header = jwt.get_unverified_header(token)
        assert header["typ"] == typ
        claims: dict[str, Any] = jwt.decode(
            token,
            keys[header["kid"]],
            algorithms=["ES256"],
            issuer=self.app.issuer,
            # The clock may be the test's own, and who it is for is each test's question.
            options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False},
        )
        return claims


async def new_evidence_world(
    database: Database,
    *,
    issuer: str,
    clock: Clock,
    transport: httpx2.AsyncBaseTransport,
    opened: AsyncExitStack,
) -> EvidenceWorld:
    """Beside the little country: the purpose, the agreement for it, the app and the giving ministry's system."""
    registrar = Registrar(database, issuer=issuer, clock=clock, entropy=SystemEntropy(), transport=transport)
    await opened.enter_async_context(registrar)
    http = await opened.enter_async_context(httpx2.AsyncClient(transport=transport, base_url=issuer, timeout=30))
    await _agree_on_the_purpose(database, clock)
    jwks = (await http.get("/jwks")).json()
    recipient, giving = [
        Recipient(issuer=issuer, audience=client_id, jwks=jwks) for client_id in ("posyandu", "dukcapil-api")
    ]
    app = await registrar.app(
        client_id="posyandu",
        names={"id": "Posyandu Kita", "en": "Our Health Post"},
        redirect_uris=("https://posyandu.test/callback",),
        grant_types=("authorization_code", "refresh_token", "client_credentials"),
        scopes=(*SCOPE.split(), *OWN_SCOPES),
        purpose_codes=(PURPOSE,),
        allowed_resources=(API,),
        jwks=recipient.public_jwks,
    )
    giver = await registrar.app(
        "dukcapil",
        client_id="dukcapil-api",
        names={"id": "Data keluarga", "en": "Family data"},
        grant_types=("client_credentials",),
        redirect_uris=(),
        scopes=GIVER_SCOPES,
        purpose_codes=(),
        resources=(API,),
        jwks=giving.public_jwks,
    )
    return EvidenceWorld(app, giver, recipient, giving, http, clock)


async def _agree_on_the_purpose(database: Database, clock: Clock) -> None:
    """The purpose is proposed, agreed on between the ministries, and approved: by the real path."""
    now, entropy = clock(), SystemEntropy()
    says = {name: value for name, value in _VISIT.items() if name != "agency"} | {"code": PURPOSE}
    card = {"id": "Untuk menemukan anak-anak Anda", "en": "To find your children"}
    says["items"] = [
        *(item for item in says["items"] if item["claim"] in {"name", "phone_number"}),
        {"claim": FAMILY_CARD, "required": True, "why": card},
    ]
    async with database.transaction() as session:
        kemenkes, dukcapil = [await agency_by_code(session, code) for code in ("kemenkes", "dukcapil")]
        assert kemenkes is not None
        assert dukcapil is not None
        version = await propose_version(
            session, agency_id=kemenkes.id, **says, proposed_by="Dewi Lestari", now=now, entropy=entropy
        )
        await active_agreement(
            session, code=AGREEMENT, version=version, provider_agency_id=dukcapil.id, now=now, entropy=entropy
        )
        await approved(session, version, now=now, entropy=entropy)
