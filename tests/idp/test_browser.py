"""Cookies, forms and addresses."""

from collections.abc import Callable

import pytest
from starlette.requests import Request
from starlette.responses import Response

from idp.browser import (
    BROWSER_COOKIE,
    Form,
    browser_of,
    browser_or_new,
    check_form_post,
    clear_session,
    client_address,
    csrf_token,
    read_form,
    set_browser,
    set_language,
    set_session,
)
from idp.errors import PageRefusal
from keys.encoding import b64url_encode
from keys.entropy import SystemEntropy

pytestmark = pytest.mark.anyio

ISSUER = "https://idp.test"
SECRET = bytes(range(32))
FORM = "application/x-www-form-urlencoded"


def request_with(
    headers: dict[str, str] | list[tuple[str, str]], *, body: bytes = b"", peer: str | None = "203.0.113.9"
) -> Request:
    pairs = headers.items() if isinstance(headers, dict) else headers
    sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/login",
        "query_string": b"",
        "headers": sent,
        "client": (peer, 40000) if peer else None,
    }
    return Request(scope, receive)


def with_browser(**headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request_with({"cookie": f"{BROWSER_COOKIE}={b64url_encode(SECRET)}", **named})


async def form_of(body: bytes) -> object:
    return await read_form(request_with({"content-type": FORM}, body=body), max_bytes=4096)


@pytest.mark.threat("N84")
@pytest.mark.parametrize(
    "give",
    [
        lambda response: set_browser(response, SECRET),
        lambda response: set_session(response, "value"),
        lambda response: set_language(response, "id"),
        clear_session,
    ],
)
def test_every_cookie_is_bound_to_this_very_host_and_hidden_from_scripts(give: Callable[[Response], None]) -> None:
    response = Response()
    give(response)
    name, *attributes = [part.strip().lower() for part in response.headers["set-cookie"].split(";")]
    assert name.startswith("__host-")
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= set(attributes)
    assert not any(attribute.startswith("domain") for attribute in attributes)


def test_a_browser_gets_256_random_bits_once() -> None:
    first = Response()
    secret = browser_or_new(request_with({}), SystemEntropy())
    set_browser(first, secret)
    assert len(secret) == 32
    assert "__Host-browser=" in first.headers["set-cookie"]
    returning = request_with({"cookie": first.headers["set-cookie"].split(";")[0]})
    assert browser_or_new(returning, SystemEntropy()) == secret


@pytest.mark.parametrize("value", ["", "short", "A" * 42, "A" * 44, "!" * 43, "A" * 42 + "B", "é" * 43])
def test_a_browser_cookie_that_we_did_not_make_is_no_browser(value: str) -> None:
    assert browser_of(request_with({"cookie": f"{BROWSER_COOKIE}={value}"})) is None


def test_a_form_of_our_own_page_is_accepted() -> None:
    request = with_browser(origin="https://idp.test", sec_fetch_site="same-origin")
    form = Form({"csrf": [csrf_token(SECRET, "one")]})
    assert check_form_post(request, form, context="one", issuer=ISSUER) == SECRET


def test_a_form_whose_origin_a_proxy_hid_is_accepted_only_when_the_browser_vouches_for_it() -> None:
    form = Form({"csrf": [csrf_token(SECRET, "one")]})
    vouched = with_browser(origin="null", sec_fetch_site="same-origin")
    assert check_form_post(vouched, form, context="one", issuer=ISSUER) == SECRET
    for site in ("cross-site", "same-site", "none"):
        with pytest.raises(PageRefusal):
            check_form_post(with_browser(origin="null", sec_fetch_site=site), form, context="one", issuer=ISSUER)


def test_a_form_from_a_browser_without_fetch_metadata_is_accepted_on_its_token() -> None:
    form = Form({"csrf": [csrf_token(SECRET, "one")]})
    assert check_form_post(with_browser(), form, context="one", issuer=ISSUER) == SECRET


@pytest.mark.threat("N67")
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "http://idp.test"},
        {"origin": "https://idp.test.evil.test"},
        {"origin": "https://idp.test:444"},
        {"origin": "null"},
        {"origin": ""},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"origin": "https://idp.test", "sec_fetch_site": "cross-site"},
    ],
)
def test_a_form_from_elsewhere_is_refused_though_its_token_is_right(headers: dict[str, str]) -> None:
    form = Form({"csrf": [csrf_token(SECRET, "one")]})
    with pytest.raises(PageRefusal) as refused:
        check_form_post(with_browser(**headers), form, context="one", issuer=ISSUER)
    assert refused.value.status == 403


@pytest.mark.threat("N67")
@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [""],
        [csrf_token(SECRET, "another form")],
        [csrf_token(bytes(32), "one")],
        [csrf_token(SECRET, "one")[:-1]],
        ["ünïcode"],
        [csrf_token(SECRET, "one"), csrf_token(SECRET, "one")],
    ],
)
def test_a_wrong_missing_or_repeated_token_is_refused(tokens: list[str]) -> None:
    with pytest.raises(PageRefusal):
        check_form_post(with_browser(), Form({"csrf": tokens}), context="one", issuer=ISSUER)


@pytest.mark.threat("N67")
def test_a_form_without_the_browser_cookie_is_refused() -> None:
    form = Form({"csrf": [csrf_token(SECRET, "one")]})
    with pytest.raises(PageRefusal) as refused:
        check_form_post(request_with({}), form, context="one", issuer=ISSUER)
    assert refused.value.status == 403


async def test_a_form_keeps_every_value_in_order() -> None:
    assert await form_of(b"a=1&b=%C3%A9+x&a=2&empty=") == {"a": ["1", "2"], "b": ["é x"], "empty": [""]}


@pytest.mark.parametrize(
    "body",
    [
        b"a=" + b"x" * 5000,
        b"&".join(b"f%d=1" % number for number in range(101)),
        b"a=%FF",
        b"a=\xff",
        b"a=%00%ED%A0%80",
    ],
    ids=["too long", "too many fields", "not UTF-8", "raw bytes", "a surrogate"],
)
async def test_a_form_that_no_browser_makes_is_refused(body: bytes) -> None:
    with pytest.raises(PageRefusal) as refused:
        await form_of(body)
    assert refused.value.status == 400


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "text/plain", "application/json", ""])
async def test_a_form_of_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(PageRefusal):
        await read_form(request_with({"content-type": content_type}, body=b"a=1"), max_bytes=4096)


@pytest.mark.threat("N73")
@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # nobody's proxy: what it forwards is its own invention
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1"], "198.51.100.1"),  # the left part, the client wrote
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.7"], "10.0.0.7"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::1", ["2001:db8::1"], "2001:db8::1"),
        ("testclient", ["198.51.100.1"], "unknown"),
        (None, ["198.51.100.1"], "unknown"),
    ],
)
def test_a_forwarded_address_counts_as_far_as_our_own_proxies_wrote_it(
    peer: str | None, forwarded: list[str], seen: str
) -> None:
    request = request_with([("x-forwarded-for", value) for value in forwarded], peer=peer)
    assert client_address(request, ["10.0.0.0/8", "::1/128"]) == seen
