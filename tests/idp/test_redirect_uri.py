"""Answers go to registered addresses, and to nowhere that merely looks like one."""

from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from idp.authorize.redirect_uri import (
    NotRegistrable,
    check_registrable,
    choose_redirect_uri,
    match_redirect_uri,
)
from idp.errors import PageRefusal
from tests.idp.authorize_world import registered_app

WEB = "https://rp.test/cb"
WITH_QUERY = "https://rp.test/cb?tenant=1&x=2"
LOOPBACK = "http://127.0.0.1/cb"
LOOPBACK_6 = "http://[::1]/cb"
CUSTOM = "id.go.sehat.app:/callback"

web_app = registered_app(redirect_uris=(WEB, WITH_QUERY))
native_app = registered_app(
    application_type="native",
    token_endpoint_auth_method="none",
    redirect_uris=(LOOPBACK, LOOPBACK_6, CUSTOM, "https://claimed.test/cb"),
)


@pytest.mark.parametrize("uri", [WEB, WITH_QUERY])
def test_a_registered_address_matches_itself(uri: str) -> None:
    assert match_redirect_uri(uri, web_app) == uri


@pytest.mark.threat("N1", "N2", "N3", "N4", "N5", "N6", "N7", "N10")
@pytest.mark.parametrize(
    "uri",
    [
        "https://rp.test/cb/",
        "https://rp.test/cb/more",
        "https://rp.test/x/../cb",
        "https://rp.test/./cb",
        "https://rp.test/%2e%2e/cb",
        "https://rp.test/%63b",
        "https://rp.test/cb;x",
        "https://rp.test//cb",
        "https://RP.test/cb",
        "https://rp.test/CB",
        "HTTPS://rp.test/cb",
        "https://rp.test/cb?",
        "https://rp.test/cb?a=1",
        "https://rp.test/cb?x=2&tenant=1",
        "https://rp.test/cb#",
        "https://rp.test/cb#x",
        "https://rp.test@evil.test/cb",
        "https://evil.test@rp.test/cb",
        "https://rp.test:80@evil.test/cb",
        "https://rp.test:443/cb",
        "https://rp.test\\@evil.test/cb",
        "https:\\\\rp.test/cb",
        "https://rp.test/cb\t",
        " https://rp.test/cb",
        "https://rp.test/cb\r\nLocation: https://evil.test",
        "https://rp.test/cb%00",
        "https://rp.test/cb%0d%0aLocation:%20https://evil.test",
        "https://rp.test.evil.test/cb",
        "https://evilrp.test/cb",
        "https://rpxtest/cb",
        "https://rp.test./cb",
        "https://rp。test/cb",
        "https://rр.test/cb",
        "https://xn--r-0tb.test/cb",
        "http://rp.test/cb",
        "//rp.test/cb",
        "/cb",
        "",
        "javascript:alert(1)",
        "https://rp.test/cb" + "x" * 3000,
    ],
)
def test_what_only_looks_like_a_registered_address_is_nobodys(uri: str) -> None:
    assert match_redirect_uri(uri, web_app) is None
    with pytest.raises(PageRefusal):
        choose_redirect_uri(uri, web_app)


@pytest.mark.threat("N1", "N2", "N3", "N4", "N5", "N6", "N7", "N10")
@given(
    start=st.integers(0, len(WITH_QUERY)),
    length=st.integers(0, 5),
    inserted=st.text(st.one_of(st.characters(), st.sampled_from("/.?#@\\:%;&=[]")), max_size=6),
)
def test_no_change_of_a_registered_address_matches(start: int, length: int, inserted: str) -> None:
    for registered in (WEB, WITH_QUERY, LOOPBACK):
        mutated = registered[:start] + inserted + registered[start + length :]
        assume(mutated not in {WEB, WITH_QUERY})
        assert match_redirect_uri(mutated, web_app) is None


@given(st.sampled_from([WEB, WITH_QUERY]), st.data())
def test_no_encoding_of_a_registered_address_matches(uri: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(uri) - 1))
    encoded = uri[:at] + f"%{ord(uri[at]):02X}" + uri[at + 1 :]
    assert match_redirect_uri(encoded, web_app) is None
    assert match_redirect_uri(quote(uri, safe=""), web_app) is None


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "http://[::1]:51004/cb", LOOPBACK, LOOPBACK_6]
)
def test_a_native_app_may_listen_on_any_port_of_its_own_machine(uri: str) -> None:
    assert match_redirect_uri(uri, native_app) == uri


@pytest.mark.threat("N8")
@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:5000/cb",
        "http://localhost.evil.test:5000/cb",
        "http://127.0.0.1.evil.test:5000/cb",
        "http://127.0.0.1:5000@evil.test/cb",
        "http://127.0.0.1@evil.test/cb",
        "http://evil.test@127.0.0.1/cb",
        "http://0.0.0.0:5000/cb",
        "http://127.1:5000/cb",
        "http://127.0.0.2:5000/cb",
        "http://2130706433:5000/cb",
        "http://0x7f.0.0.1:5000/cb",
        "http://0177.0.0.1:5000/cb",
        "http://[::]:5000/cb",
        "http://[0:0:0:0:0:0:0:1]:5000/cb",
        "http://[::ffff:127.0.0.1]:5000/cb",
        "https://127.0.0.1:5000/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:99999999999/cb",
        "http://127.0.0.1:5000/cb/",
        "http://127.0.0.1:5000/other",
        "http://127.0.0.1:5000/cb?x=1",
        "http://127.0.0.1:5000/cb#x",
        "http://127.0.0.1:5000/cb\n",
        "http://127.0.0.1:５000/cb",
        "http://127.0.0.1:5000\\cb",
        "https://claimed.test:444/cb",
        "id.go.sehat.app:/callback/x",
        "id.go.sehat.app://callback",
    ],
)
def test_nothing_but_the_port_of_a_loopback_address_may_differ(uri: str) -> None:
    assert match_redirect_uri(uri, native_app) is None


@pytest.mark.threat("N8")
@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000/cb", "http://[::1]:5000/cb"])
def test_a_web_app_has_no_free_port(uri: str) -> None:
    app = registered_app(redirect_uris=(LOOPBACK, LOOPBACK_6))
    assert match_redirect_uri(uri, app) is None


@pytest.mark.threat("N8")
@given(st.text(st.characters(codec="utf-8"), max_size=20), st.text(st.characters(codec="utf-8"), max_size=10))
@example("", ":1")
@example("x@", "")
def test_only_a_port_can_stand_between_a_loopback_host_and_its_path(before: str, after: str) -> None:
    uri = f"http://{before}127.0.0.1{after}/cb"
    matched = match_redirect_uri(uri, native_app)
    digits = after.removeprefix(":")
    is_port = after.startswith(":") and digits.isascii() and digits.isdigit() and len(digits) <= 5
    is_allowed = before == "" and (after == "" or (is_port and 1 <= int(digits) <= 65535))
    assert matched == (uri if is_allowed else None)


@pytest.mark.threat("N11")
def test_the_address_may_be_left_out_only_when_there_is_just_one() -> None:
    assert choose_redirect_uri(None, registered_app(redirect_uris=(WEB,))) == WEB
    for uris in ((), (WEB, WITH_QUERY)):
        with pytest.raises(PageRefusal):
            choose_redirect_uri(None, registered_app(redirect_uris=uris))


@pytest.mark.parametrize(
    ("uri", "application_type"),
    [
        ("https://rp.test/cb", "web"),
        ("https://rp.test", "web"),
        ("https://rp.test:8443/cb?tenant=1", "web"),
        ("https://xn--bcher-kva.test/cb", "spa"),
        ("https://192.0.2.1/cb", "web"),
        ("https://[2001:db8::1]/cb", "web"),
        ("https://rp.test/a%20b", "web"),
        ("http://127.0.0.1/cb", "native"),
        ("http://[::1]/cb", "native"),
        ("id.go.sehat.app:/callback", "native"),
        ("id.go.sehat.app://callback", "native"),
        ("https://claimed.test/cb", "native"),
    ],
)
def test_honest_addresses_can_be_registered(uri: str, application_type: str) -> None:
    check_registrable(uri, application_type)


@pytest.mark.parametrize("uri", ["http://localhost:8001/cb", "http://127.0.0.1:8001/cb", "http://[::1]:8001/cb"])
def test_a_web_app_may_be_on_this_machine_in_development_only(uri: str) -> None:
    check_registrable(uri, "web", development=True)
    with pytest.raises(NotRegistrable):
        check_registrable(uri, "web")


@pytest.mark.threat("N4", "N5", "N6", "N9", "N10")
@pytest.mark.parametrize("application_type", ["web", "spa", "native"])
@pytest.mark.parametrize("development", [True, False])
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/cb",
        "//rp.test/cb",
        "rp.test/cb",
        "https:",
        "https:///cb",
        "https:rp.test/cb",
        "https:/rp.test/cb",
        "https://",
        "https://:443/cb",
        "https://rp.test:/cb",
        "https://rp.test:0/cb",
        "https://rp.test:65536/cb",
        "https://rp.test:x/cb",
        "https://rp.test/cb#",
        "https://rp.test/cb#x",
        "https://*.rp.test/cb",
        "https://rp.test/*",
        "https://user@rp.test/cb",
        "https://user:pw@rp.test/cb",
        "http://localhost:80@evil.test/cb",
        "https://rp.test\\evil.test/cb",
        "https://rp.test/%5cevil.test",
        "https://rp.test/%2e%2e/cb",
        "https://rp.test/../cb",
        "https://rp.test/./cb",
        "https://rp.test/a%2Fb",
        "https://rp.test/cb%0d%0aX:1",
        "https://rp.test/cb%00",
        "https://rp.test/%zz",
        "https://rp.test/a b",
        "https://rp.test/cb\n",
        "https://rp.test/<script>",
        'https://rp.test/"x',
        "https://rp。test/cb",
        "https://bücher.test/cb",
        "https://RP.test/cb",
        "https://-rp.test/cb",
        "https://rp..test/cb",
        "https://rp.test./cb",
        "https://127.1/cb",
        "https://0x7f.1/cb",
        "https://2130706433/cb",
        "https://0177.0.0.1/cb",
        "https://[::1/cb",
        "https://[::1%25eth0]/cb",
        "https://[0:0::1]/cb",
        "HTTPS://rp.test/cb",
        "http://rp.test/cb",
        "http://evil.test:8001/cb",
        "http://localhost.evil.test/cb",
        "javascript:alert(1)",
        "javascript://rp.test/%0aalert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://rp.test/x",
        "intent://x#Intent;end",
        "sehat:/callback",
        "ftp://rp.test/cb",
        "id.go.sehat.app:callback",
        "id.go.sehat.app:/a@b",
        ".id.go:/cb",
        "urn:ietf:wg:oauth:2.0:oob",
        "https://rp.test/" + "x" * 2000,
    ],
)
def test_dangerous_addresses_cannot_be_registered(uri: str, application_type: str, development: bool) -> None:
    with pytest.raises(NotRegistrable):
        check_registrable(uri, application_type, development=development)


@pytest.mark.threat("N9")
@pytest.mark.parametrize("uri", ["id.go.sehat.app:/callback", "http://127.0.0.1/cb"])
def test_what_is_for_native_apps_is_not_for_web_apps(uri: str) -> None:
    for application_type in ("web", "spa"):
        with pytest.raises(NotRegistrable):
            check_registrable(uri, application_type)


@pytest.mark.threat("N8")
@pytest.mark.parametrize("uri", ["http://localhost/cb", "http://rp.test/cb", "http://0.0.0.0/cb"])
def test_a_native_app_uses_http_on_loopback_addresses_only(uri: str) -> None:
    with pytest.raises(NotRegistrable):
        check_registrable(uri, "native", development=True)


@given(st.text(max_size=80))
def test_whatever_can_be_registered_is_plain(uri: str) -> None:
    try:
        check_registrable(uri, "native", development=True)
    except NotRegistrable:
        return
    assert uri.isascii()
    assert uri.isprintable()
    assert not set(uri) & set(' #*\\"<>')
    assert "@" not in uri.partition("?")[0].split("/")[2:3]
