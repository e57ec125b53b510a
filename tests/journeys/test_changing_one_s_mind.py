"""What a person does with what they agreed to, on their own pages: each with its effect on what the app gets next."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from idp.accounts.directory import Role, grant_role
from idp.housekeeping import sweep
from idp.provider import Provider
from tests.journeys.visiting import HEALTH_SCOPE, NIK, ask_silently, statuses, userinfo, visit
from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.registrar import Registrar
from tests.support.relying_party import Login, RelyingParty
from tests.support.world import World

pytestmark = pytest.mark.anyio

SCOPE = f"{HEALTH_SCOPE} offline_access"
SCAN = b"%PDF-1.7\nIni kertas yang ditandatangani."


@dataclass
class Agreed:
    """Siti, who agreed to everything, and her app with its tokens."""

    user: BrowserUser
    app: RelyingParty
    login: Login

    async def open_consent(self) -> BrowserUser:
        """Opens the page of the newest consent."""
        await self.user.open("/my/consents")
        links = [href for href, text in self.user.page.document.links if text == "Sehat Bersama"]
        return await self.user.open(links[0])

    async def data(self) -> set[str]:
        """What the app gets now, with a token that it refreshes when it must. Nothing when it is refused."""
        answer = await self.app.userinfo(self.login.access_token)
        return set(answer.json()) - {"sub"} if answer.status_code == 200 else set()


@pytest.fixture
async def agreed(world: World, user: BrowserUser) -> Agreed:
    """Every optional item is ticked."""
    app = world.app("health")
    login = await visit(world, user, app, scope=SCOPE, items={"gender", "phone_number", "address"})
    agreed = Agreed(user, app, login)
    assert {"gender", "phone_number", NIK} <= await agreed.data()
    return agreed


async def test_a_pause_stops_every_token_and_going_on_revives_them(agreed: Agreed) -> None:
    await agreed.open_consent()
    await agreed.user.press("pause")
    assert "Anda menjeda ini" in agreed.user.page.document.text_by_id["state"]
    assert await agreed.data() == set()
    assert await agreed.app.introspect(agreed.login.access_token) == {"active": False}
    assert (await ask_silently(agreed.user, agreed.app, scope=SCOPE))["error"] == "consent_required"

    await agreed.open_consent()
    await agreed.user.press("resume")
    assert {"gender", "phone_number"} <= await agreed.data()
    assert "code" in await ask_silently(agreed.user, agreed.app, scope=SCOPE)


async def test_an_app_that_asks_what_is_paused_is_told_so_and_the_person_may_go_on(
    agreed: Agreed,
) -> None:
    await agreed.open_consent()
    await agreed.user.press("pause")
    await agreed.user.open(await agreed.app.authorization_url(scope=SCOPE))
    assert agreed.user.page.path == "/consent/answered"
    assert "Anda menjeda ini" in agreed.user.page.text
    await agreed.user.press("anew")
    assert (await agreed.app.finish(agreed.user.callback_parameters)).access_token


async def test_one_item_less_is_missing_from_the_tokens_that_are_out(agreed: Agreed) -> None:
    await agreed.open_consent()
    await agreed.user.press("let-go-gender")
    assert "gender" not in await agreed.data()
    assert "phone_number" in await agreed.data()
    assert "code" in await ask_silently(agreed.user, agreed.app, scope=SCOPE), "nobody is asked about it again"


async def test_an_end_that_was_brought_nearer_is_the_end(agreed: Agreed, clock: FakeClock, provider: Provider) -> None:
    await agreed.open_consent()
    day = (clock() + timedelta(days=1)).date().isoformat()
    await agreed.user.press("shorten", {"until": day})
    assert "Anda memajukan akhirnya" in agreed.user.page.text
    clock.advance(days=2)
    await sweep(provider)
    assert await agreed.data() == set()
    assert await agreed.app.introspect(agreed.login.refresh_token) == {"active": False}


async def test_it_goes_on_for_longer_with_one_look_and_one_press(
    agreed: Agreed, world: World, clock: FakeClock
) -> None:
    before = await agreed.open_consent()
    until = before.page.document.text_by_id["decided"]
    clock.advance(days=20)
    await agreed.user.open("/my/consents")
    await agreed.user.log_in("siti", world.password("siti"))
    await agreed.open_consent()
    link = next(href for href, text in agreed.user.page.document.links if text == "Perpanjang")
    await agreed.user.open(link)
    await agreed.user.press("renew")
    assert agreed.user.page.document.text_by_id["decided"] != until
    assert "Anda memperpanjangnya" in agreed.user.page.document.text_by_id["history"]
    await agreed.user.open("/my/consents")
    assert statuses(agreed.user) == ["renewed"]


async def test_a_no_is_remembered_and_taken_back_on_ones_own_page(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE))
    await user.log_in("siti", world.password("siti"))
    await user.deny()
    assert user.callback_parameters["error"] == "access_denied"
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE))
    assert user.page.path == "/consent/answered"

    await user.open("/my/consents")
    await user.open(next(href for href, text in user.page.document.links if text == "Sehat Bersama"))
    await user.press("lift")
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE))
    assert user.page.path == "/consent"


async def test_taking_back_takes_no_more_presses_than_giving(agreed: Agreed, world: World) -> None:
    """Giving was one page and one press, once logged in. So is taking back, from the first of one's own pages."""
    await agreed.user.open("/my/consents")
    button = next(
        button.id
        for form in agreed.user.page.document.forms
        for button in form.buttons
        if button.id.startswith("withdraw-")
    )
    await agreed.user.press(button)
    assert "Anda menarik persetujuan ini pada" in agreed.user.page.document.text_by_id["state"]
    assert await agreed.data() == set()


async def test_data_that_flows_by_law_is_told_and_not_agreed_to(
    world: World, user: BrowserUser, registrar: Registrar
) -> None:
    purpose = await registrar.purpose(
        code="lapor-wabah",
        items=[{"claim": "name", "required": True, "why": {"id": "Untuk dicatat", "en": "To be recorded"}}],
        legal_basis="legal_obligation",
        legal_citation="UU 17/2023 pasal 176",
    )
    app = await registrar.app(purpose_codes=(purpose.code,))
    await user.open(await app.authorization_url(scope="openid profile"))
    await user.log_in("siti", world.password("siti"))
    assert "Ini pemberitahuan, bukan permintaan persetujuan" in user.page.text
    await user.allow()
    login = await app.finish(user.callback_parameters)
    assert "name" in await userinfo(app, login.access_token)

    await user.open("/my/consents")
    assert "UU 17/2023 pasal 176" in user.page.text
    await user.open(next(href for href, text in user.page.document.links if text == "Antrean RSUD"))
    assert not user.page.has("withdraw")
    assert "Anda diberi tahu data mana yang diberikan" in user.page.document.text_by_id["history"]
    assert user.page.has("whom-to-ask")


async def test_an_officer_writes_down_what_somebody_says_at_the_counter(
    world: World, new_user: Callable[[], BrowserUser], provider: Provider, clock: FakeClock
) -> None:
    async with provider.database.transaction() as session:
        await grant_role(session, username="budi", role=Role.ASSISTING_OFFICER, granted_by="operator", now=clock())
    clerk, siti = new_user(), new_user()
    await clerk.open("/console/assisted")
    await clerk.log_in("budi", world.password("budi"))
    assert clerk.page.path == "/console/assisted"
    await clerk.press("find", {"identifier": "siti", "reason": "Datang ke loket 3"})
    about = next(
        value
        for form in clerk.page.document.forms
        for field in form.fields
        if field.name == "about"
        for value in [field.value]
    )
    app = world.app("health")
    assert about
    form = clerk.page.form_with("show-notice")
    wanted = f"{app.client_id} kunjungan-puskesmas"
    await clerk.send(form, [(name, wanted if name == "about" else value) for name, value in form.values()])
    assert "Sehat Bersama meminta data Anda" in clerk.page.text
    await clerk.press("allow", {"channel": "paper"}, ticked={"item": {"gender"}}, files={"document": SCAN})
    assert clerk.page.has("done"), clerk.page.text

    # The app asks nothing any more: what was said at the counter is a consent like any other.
    await siti.open(await app.authorization_url(scope=HEALTH_SCOPE))
    await siti.log_in("siti", world.password("siti"))
    login = await app.finish(siti.callback_parameters)
    assert (await userinfo(app, login.access_token))["gender"] == "female"

    await siti.open("/my/consents")
    await siti.open(next(href for href, text in siti.page.document.links if text == "Sehat Bersama"))
    assert "di atas kertas" in siti.page.document.text_by_id["assisted"]
    await siti.open("/my/officers")
    assert "Datang ke loket 3" in siti.page.text
    assert "Petugas mencatat apa yang Anda katakan" in siti.page.text


@pytest.mark.parametrize(("language", "says"), [("id", "Jeda"), ("en", "Pause")])
async def test_every_page_speaks_the_persons_language(agreed: Agreed, language: str, says: str) -> None:
    await agreed.user.open(f"/my/consents?lang={language}")
    button = next(
        button.id.removeprefix("withdraw-")
        for form in agreed.user.page.document.forms
        for button in form.buttons
        if button.id.startswith("withdraw-")
    )
    for path in ("", "/renew"):
        await agreed.user.open(f"/my/consents/{button}{path}")
        assert agreed.user.page.document.language == language
        assert (says in agreed.user.page.text) is not (path == "/renew")
