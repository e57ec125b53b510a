"""N1 to N12: no answer goes anywhere but to an address that the app registered, character for character.

One oracle over many mutations: whatever is not the registered address gets a page, without a redirect and without a
link or form that leads there.
"""

from collections.abc import Iterable
from urllib.parse import urlencode

import anyio.from_thread
import anyio.to_thread
import httpx2
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from idp.clients.management import ClientRefused, ClientSpec, create_client
from tests.security.stage import FORM, Stage, is_a_page_only, refusal, told_to_app
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.html import read_html
from tests.support.token_world import VERIFIER, App

pytestmark = [pytest.mark.anyio, only_sqlite]

PLAIN = "https://rp.test/cb"
WITH_QUERY = "https://rp.test/in/cb?tenant=1&x=2"
NATIVE = "http://127.0.0.1/cb"
NATIVE_6 = "http://[::1]/cb"
OWN_SCHEME = "id.go.sehat.app:/cb"


@pytest.fixture
async def web(stage: Stage) -> App:
    """A web app with two addresses."""
    return await registered(stage, (PLAIN, WITH_QUERY))


@pytest.fixture
async def native(stage: Stage) -> App:
    """A phone app that listens on its own machine, or has a scheme of its own."""
    uris = (NATIVE, NATIVE_6, OWN_SCHEME)
    return await registered(stage, uris, application_type="native", grant_types=("authorization_code", "refresh_token"))


async def registered(stage: Stage, uris: tuple[str, ...], **changes: object) -> App:
    app = await stage.world.app(redirect_uris=uris, **changes)
    return App(app.client_id, app.secret, uris[0])


def shows_no_way_to(answer: httpx2.Response) -> bool:
    """Whether every link and form of the page stays at our own site."""
    page = read_html(answer.text)
    ways = [href for href, _ in page.links] + [form.action for form in page.forms]
    return all(way == "" or (way.startswith(("/", "?", "#")) and not way.startswith("//")) for way in ways)


def is_refused(answer: httpx2.Response) -> bool:
    return is_a_page_only(answer) and shows_no_way_to(answer)


async def all_refused(stage: Stage, app: App, uris: Iterable[str]) -> None:
    """Neither an honest request nor one that is wrong in other ways sends anybody to one of these."""
    for uri in uris:
        for changes in ({}, {"prompt": "none"}, {"scope": "nonsense", "response_type": "token"}):
            answer = await stage.authorize(app, **{**changes, "redirect_uri": uri})
            assert is_refused(answer), (uri, changes, answer.status_code, answer.headers.get("location"))
        posted = urlencode(stage.request(app, redirect_uri=uri))
        assert is_refused(await stage.http.post("/authorize", content=posted, headers=FORM)), uri
    assert await stage.issued() == (0, 0)


async def test_the_registered_addresses_themselves_are_answered(stage: Stage, web: App, native: App) -> None:
    """Without this, a provider that refuses everything would pass all the rest."""
    for app, uri in ((web, PLAIN), (web, WITH_QUERY), (native, NATIVE), (native, NATIVE_6), (native, OWN_SCHEME)):
        answer = await stage.authorize(app, redirect_uri=uri, prompt="none")
        assert answer.headers["location"].startswith(uri), uri
        assert told_to_app(answer)["error"] == "login_required"


@pytest.mark.threat("N1")
async def test_another_path_is_refused(stage: Stage, web: App) -> None:
    paths = ("/cb/", "/cb/x", "/x/../cb", "/./cb", "/%2e/cb", "/%2e%2e/cb", "/cb;x", "/cb;/", "//cb", "/%63b", "/c", "")
    await all_refused(stage, web, [f"https://rp.test{path}" for path in paths])


@pytest.mark.threat("N2")
async def test_another_case_is_refused(stage: Stage, web: App) -> None:
    await all_refused(stage, web, ["https://RP.test/cb", "https://rp.test/CB", "HTTPS://rp.test/cb", PLAIN.upper()])


@pytest.mark.threat("N3")
async def test_another_query_is_refused(stage: Stage, web: App) -> None:
    changed = ("?tenant=1", "?x=2&tenant=1", "?tenant=1&x=2&y=3", "?tenant=1&x=2&", "?tenant=2&x=2", "?tenant=1%26x=2")
    uris = [PLAIN + "?", PLAIN + "?a=1", *(f"https://rp.test/in/cb{query}" for query in changed)]
    await all_refused(stage, web, uris)


@pytest.mark.threat("N4")
async def test_a_fragment_is_refused(stage: Stage, web: App) -> None:
    await all_refused(stage, web, [PLAIN + "#", PLAIN + "#x", WITH_QUERY + "#/../", PLAIN + "%23x"])


@pytest.mark.threat("N5")
async def test_a_user_before_the_host_is_refused(stage: Stage, web: App) -> None:
    uris = (
        "https://rp.test@evil.test/cb",
        "https://evil.test@rp.test/cb",
        "https://rp.test:443@evil.test/cb",
        "https://rp.test%40evil.test/cb",
        "http://localhost:80@evil.test/cb",
        "https://@rp.test/cb",
    )
    await all_refused(stage, web, uris)


@pytest.mark.threat("N6")
async def test_backslashes_and_control_characters_are_refused(stage: Stage, web: App) -> None:
    uris = (
        "https://rp.test\\@evil.test/cb",
        "https:\\\\rp.test\\cb",
        "https://evil.test\\.rp.test/cb",
        "https://rp.test/cb\t",
        "\thttps://rp.test/cb",
        " https://rp.test/cb",
        "https://rp.test/cb\x00",
        "https://rp.test/cb%00",
        "https://rp.test/cb\r\nLocation: https://evil.test",
        "https://rp.test/cb%0d%0aLocation:%20https://evil.test",
        "https://rp.test/\u2028cb",
    )
    await all_refused(stage, web, uris)


@pytest.mark.threat("N7")
async def test_a_host_that_only_looks_alike_is_refused(stage: Stage, web: App) -> None:
    hosts = (
        "rp.test.evil.test",
        "evilrp.test",
        "evil-rp.test",
        "rpxtest",
        "rp.tes",
        "rp.test.",
        "x.rp.test",
        "rp.testx",
    )
    await all_refused(stage, web, [f"https://{host}/cb" for host in hosts])


@pytest.mark.threat("N8")
async def test_only_a_native_app_has_a_free_port_and_only_on_its_own_machine(
    stage: Stage, web: App, native: App
) -> None:
    for uri in ("http://127.0.0.1:51004/cb", "http://[::1]:1/cb", "http://127.0.0.1:65535/cb"):
        answer = await stage.authorize(native, redirect_uri=uri, prompt="none")
        assert answer.headers["location"].startswith(f"{uri}?error=login_required"), uri
    hosts = (
        "localhost",
        "localhost.evil.test",
        "127.0.0.1.evil.test",
        "127.0.0.1@evil.test",
        "0.0.0.0",
        "127.1",
        "127.0.0.2",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "[::1%25lo]",
    )
    ports = ("http://127.0.0.1:0/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:80:80/cb")
    others = ("https://127.0.0.1:51004/cb", "http://127.0.0.1:51004/cb/x", "http://127.0.0.1:51004/cb?x", *ports)
    await all_refused(stage, native, [*(f"http://{host}:51004/cb" for host in hosts), *others])
    await all_refused(stage, web, ["https://rp.test:8443/cb", "https://rp.test:443/cb", "http://127.0.0.1:51004/cb"])
    at_home = await registered(stage, ("http://127.0.0.1:8001/cb",), development=True)
    await all_refused(stage, at_home, ["http://127.0.0.1:51004/cb", "http://127.0.0.1/cb", "http://localhost:8001/cb"])


@pytest.mark.threat("N9", "N4", "N5", "N6", "N10")
async def test_what_must_not_be_registered_is_not_and_is_nobodys_address(stage: Stage, web: App) -> None:
    refused = {
        "web": ["http://rp.test/cb", OWN_SCHEME, "http://127.0.0.1/cb", "urn:ietf:wg:oauth:2.0:oob"],
        "spa": ["http://rp.test/cb", OWN_SCHEME],
        "native": ["http://rp.test/cb", "http://localhost/cb", "sehat:/cb", "id.go.sehat.app:cb"],
    }
    everywhere = (
        "javascript:alert(1)",
        "javascript://rp.test/%0aalert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///x",
        "https://rp.test/cb#x",
        "https://a@rp.test/cb",
        "https://rp.test/cb%0d%0aX:1",
        "https://rp。test/cb",
    )
    for application_type, uris in refused.items():
        for number, uri in enumerate((*uris, *everywhere)):
            spec = ClientSpec(
                agency_id=stage.world.agency_id,
                client_id=f"refused-{application_type}-{number}",
                names={"en": "Refused"},
                application_type=application_type,
                redirect_uris=(uri,),
                purpose_codes=(stage.world.purpose.code,),
            )
            with pytest.raises(ClientRefused, match="redirect_uris"):
                async with stage.provider.database.transaction() as session:
                    await create_client(session, spec, now=stage.clock(), entropy=stage.provider.entropy)
            await all_refused(stage, App(spec.client_id, "", uri), [uri])
    await all_refused(stage, web, everywhere)


@pytest.mark.threat("N10")
async def test_an_international_look_alike_is_refused(stage: Stage, web: App) -> None:
    hosts = (
        "rр.test",
        "rp。test",
        "rp．test",
        "rp.teѕt",
        "xn--r-0tb.test",
        "ⓡp.test",
        "rp\u00ad.test",
        "rp.test\u200b",
    )
    await all_refused(stage, web, [f"https://{host}/cb" for host in hosts])


@pytest.mark.threat("N1", "N2", "N3", "N4", "N5", "N6", "N7", "N8", "N10")
async def test_no_change_of_a_registered_address_is_ever_answered(stage: Stage, web: App, native: App) -> None:
    """Every cut, insertion and replacement that Hypothesis can think of, through the whole application."""
    text = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("/.?#@\\:%;&=[]~")), max_size=6)
    known = {web.client_id: {PLAIN, WITH_QUERY}, native.client_id: {NATIVE, NATIVE_6, OWN_SCHEME}}

    @settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        app=st.sampled_from([web, native]),
        which=st.integers(0, 2),
        start=st.integers(0, 40),
        length=st.integers(0, 6),
        inserted=text,
    )
    def attempt(app: App, which: int, start: int, length: int, inserted: str) -> None:
        uris = sorted(known[app.client_id])
        uri = uris[which % len(uris)]
        mutated = uri[:start] + inserted + uri[start + length :]
        assume(mutated not in known[app.client_id])
        answer = anyio.from_thread.run(lambda: stage.authorize(app, redirect_uri=mutated, prompt="none"))
        if is_refused(answer):
            return
        # What is left: the port of a native app on its own machine.
        assert app is native, mutated
        rest = mutated.removeprefix("http://127.0.0.1").removeprefix("http://[::1]")
        assert rest.startswith(":"), mutated
        assert rest.endswith("/cb"), mutated
        assert rest[1:-3].isdecimal(), mutated
        assert answer.headers["location"].startswith(f"{mutated}?"), mutated

    await anyio.to_thread.run_sync(attempt)
    assert await stage.issued() == (0, 0)


@pytest.mark.threat("N11")
async def test_an_app_with_two_addresses_has_no_default(stage: Stage, web: App) -> None:
    for changes in ({}, {"prompt": "none"}, {"scope": "nonsense"}):
        assert is_refused(await stage.authorize(web, **{**changes, "redirect_uri": None}))
        assert is_refused(await stage.authorize(web, **{**changes, "redirect_uri": ""}))


@pytest.mark.threat("N12")
@pytest.mark.parametrize("sent", [None, WITH_QUERY, PLAIN + "/", "https://evil.test/cb"])
async def test_a_code_is_worth_nothing_with_another_redirect_uri(
    stage: Stage, web: App, user: BrowserUser, sent: str | None
) -> None:
    code = await stage.code(user, web)
    answer = await stage.world.redeem(web, code, redirect_uri=sent)
    assert refusal(answer) == (400, "invalid_grant")
    late = await stage.world.redeem(web, code, code_verifier=VERIFIER)
    assert refusal(late) == (400, "invalid_grant"), "the wrong try must have burned the code"
