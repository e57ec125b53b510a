"""The pages: their headers, what a hostile name can do on them, and that each is whole in both languages."""

import re
import shutil
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from jinja2 import UndefinedError
from playwright.sync_api import Dialog, Route, sync_playwright
from starlette.responses import Response

from idp.authorize.redirect_uri import check_registrable
from idp.language import CATALOGUE_PACKAGES
from idp.pages import HSTS, Pages, content_security_policy, form_action_source
from tests.support.html import Document, read_html
from tests.support.page_samples import AGENCY, APP, LAYERS, PERSON, a_notice, a_request, samples

LANGUAGES = ("id", "en")
STATIC = files("idp") / "static"
HOSTILE = '<img src=x onerror="alert(1)">\u202egnp.exe\u200b\u2028</title><script>alert(2)</script>'
BREAKING = '"><script>alert(1)</script><input value="'


@cache
def pages() -> Pages:
    return Pages(issuer="https://idp.test")


def templates() -> list[Path]:
    folders = [Path(str(files(package) / "templates")) for package in CATALOGUE_PACKAGES]
    return sorted(path for folder in folders for path in folder.rglob("*.html"))


def document(response: Response) -> Document:
    return read_html(bytes(response.body).decode())


def rendered(template: str, context: dict[str, Any], language: str = "id") -> Document:
    return document(pages().render(a_request(), template, context, locale=language))


def consent_page(language: str = "id", **changes: Any) -> Document:
    notice = a_notice(language, **changes)
    context = {"interaction": "i", "csrf": "c", "shown": notice.sha256.hex(), "notice": notice}
    return rendered("consent.html", context, language)


# --- whole, in both languages ---


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_renders_in_both_languages(language: str) -> None:
    for template, context in samples(language):
        page = rendered(template, context, language)
        assert page.language == language
        assert page.title.endswith("· Satu Pintu"), template
        headings = [tag for tag, _ in page.elements if tag in {"h1", "h2", "h3"}]
        assert headings.count("h1") == 1, template
        ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
        assert len(ids) == len(set(ids)), f"{template} has an id twice"


def test_every_template_of_the_provider_has_a_sample() -> None:
    own = {path.name for path in templates() if "idp" in path.parts[-3:]}
    assert own - LAYERS == {template for template, _ in samples("id")}


def test_a_name_that_a_page_lacks_is_a_fault_and_not_a_gap() -> None:
    with pytest.raises(UndefinedError):
        rendered("login.html", {"interaction": "i", "csrf": "c"})


def test_what_is_said_differs_between_the_languages() -> None:
    for (template, indonesian), (_, english) in zip(samples("id"), samples("en"), strict=True):
        assert rendered(template, indonesian).title != rendered(template, english, "en").title, template


@pytest.mark.parametrize("path", templates(), ids=lambda path: path.name)
def test_no_template_has_a_script_a_style_or_a_handler_of_its_own(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|\|\s*safe|autoescape", source, re.IGNORECASE)
    for script in re.findall(r"<script[^>]*>.*?</script>", source, re.DOTALL):
        assert re.fullmatch(r'<script src="\{\{ base \}\}/static/[^"]+" defer></script>', script)
    assert "http://" not in source.replace("http://www.w3.org", "")
    assert "https://" not in source


def test_a_page_with_its_stylesheet_weighs_less_than_60_kilobytes() -> None:
    shared = sum(len((STATIC / name).read_bytes()) for name in ("style.css", "logo.svg", "submit.js"))
    for language in LANGUAGES:
        for template, context in samples(language):
            body = pages().render(a_request(), template, context, locale=language).body
            assert shared + len(body) < 60_000, template


def test_the_stable_ids_are_there() -> None:
    ids = {template: set[str]() for template, _ in samples("id")}
    for template, context in samples("id"):
        ids[template] |= {
            attributes["id"] for _, attributes in rendered(template, context).elements if "id" in attributes
        }
    assert {"username", "password", "continue"} <= ids["login.html"]
    assert {"allow", "deny"} <= ids["consent.html"]
    assert {"logout-yes", "logout-no"} <= ids["logout.html"]


# --- the headers ---


@pytest.mark.threat("N83")
def test_every_page_has_the_headers_that_keep_it_harmless() -> None:
    for template, context in samples("id"):
        headers = pages().render(a_request(), template, context, locale="id").headers
        assert headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        )
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["strict-transport-security"] == HSTS
        assert headers["referrer-policy"] in {"same-origin", "no-referrer"}
        assert headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.threat("N83")
def test_our_own_forms_keep_their_origin() -> None:
    """Under `no-referrer` browsers send forms with `Origin: null`, and the CSRF check would refuse them all."""
    answer = pages().error(a_request(), message="This form was not filled in as expected.")
    assert answer.headers["referrer-policy"] == "same-origin"


def test_hsts_is_not_promised_over_plain_http() -> None:
    plain = Pages(issuer="http://localhost:8000")
    assert "strict-transport-security" not in plain.error(a_request(), message="No.").headers


def test_a_page_lets_its_form_end_at_the_one_app_and_nowhere_else() -> None:
    policy = content_security_policy(form_action=["https://app.test:8443/cb?x=1", "https://app.test:8443/other"])
    assert "form-action 'self' https://app.test:8443; frame-ancestors" in policy


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://app.test/cb", "https://app.test"),
        ("http://127.0.0.1:49152/cb", "http://127.0.0.1:49152"),
        ("http://[::1]:49152/cb", "http:"),
        ("https://[2001:db8::1]/cb", "https:"),
        ("https://192.0.2.1/cb", "https://192.0.2.1"),
        ("https://xn--bcher-kva.test/cb", "https://xn--bcher-kva.test"),
        ("id.go.kemenkes.antrean:/cb", "id.go.kemenkes.antrean:"),
    ],
)
def test_a_redirect_uri_becomes_one_source(uri: str, source: str) -> None:
    check_registrable(uri, "native")
    assert form_action_source(uri) == source


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.test; script-src *",
        "https://app.test;script-src/*",
        "https://app.test,evil.test/",
        "https://user@app.test/",
        "http://[2001:db8::1]/cb",
        "https://[::1%25eth0]/cb",
        "https://*/cb",
        "https:///cb",
        "https://app.test\\@evil.test/",
        "https://app.test/\r\nX: y",
        "javascript:alert(1)",
        "data:text/html,x",
        "'unsafe-inline'",
        "",
    ],
)
@pytest.mark.threat("N83")
def test_no_redirect_uri_can_widen_the_policy(uri: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        form_action_source(uri)


# --- hostile names ---


@pytest.mark.threat("N49")
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_hostile_name_stays_words_on_every_page(language: str) -> None:
    nice = samples(language, app=APP, agency=AGENCY, person=PERSON)
    bad = samples(language, app=HOSTILE, agency=HOSTILE, person=HOSTILE)
    for (template, clean), (_, hostile) in zip(nice, bad, strict=True):
        as_clean, as_hostile = rendered(template, clean, language), rendered(template, hostile, language)
        elements = [tag for tag, _ in as_hostile.elements]
        assert elements == [tag for tag, _ in as_clean.elements], f"{template}: the name made or hid elements"
        assert not any(name.startswith("on") for _, attributes in as_hostile.elements for name in attributes)


@pytest.mark.threat("N49")
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_cannot_turn_around_the_words_after_it(language: str) -> None:
    for template, context in samples(language, app=HOSTILE, agency=HOSTILE, person=HOSTILE):
        if template == "error.html":
            continue  # its sentences are ours
        page = rendered(template, context, language)
        assert not set("\u202e\u200b\u2028") & set(page.text + page.title), template


@pytest.mark.threat("N49")
def test_a_long_name_is_cut_before_it_pushes_the_page_away() -> None:
    page = rendered(
        "select_account.html", {"interaction": "i", "csrf": "c", "display_name": "a" * 10_000, "app_name": APP}
    )
    assert page.text_by_id["account"] == "a" * 119 + "…"


@pytest.mark.threat("N49")
def test_an_app_that_nobody_checked_says_so_and_wears_no_ministrys_name() -> None:
    page = consent_page(app="Kementerian Kesehatаn", verified=False)
    assert "belum memeriksa" in page.text_by_id["unverified"]
    assert "verified" not in page.text_by_id
    assert ("p", {"class": "eyebrow"}) not in page.elements
    assert "telah memeriksa" in consent_page().text_by_id["verified"]


# --- consent: no dark patterns ---


def test_the_consent_page_shows_everything_that_is_recorded_as_shown() -> None:
    for language in LANGUAGES:
        notice = a_notice(language)
        page = consent_page(language)
        sentences = [
            *(notice.agency_name, notice.heading, notice.verification, notice.purpose_name),
            *(notice.legal_basis_sentence, notice.legal_citation, notice.identifier, notice.retention, notice.validity),
            *(
                notice.offline_access or "",
                *(
                    notice.collection or "",
                    notice.fetch,
                    notice.recipients or "",
                    notice.abroad or "",
                    notice.rights or "",
                ),
                *notice.refusal,
                notice.withdrawal,
                notice.contact,
                notice.allow,
                notice.deny,
            ),
            *(text for item in notice.items for text in (item.label, item.why, item.note)),
            *(text for item in notice.items for text in (item.source, item.guarded) if text),
            " ".join(notice.purpose_description.split()),
        ]
        for sentence in sentences:
            assert sentence in page.text


def test_nothing_that_may_be_refused_is_ticked_beforehand() -> None:
    boxes = [one for one in consent_page().forms[0].fields if one.kind == "checkbox"]
    assert [box.value for box in boxes] == ["phone_number", "address"]
    assert not any(box.checked for box in boxes)


def test_what_was_agreed_before_stays_ticked_when_the_page_asks_again() -> None:
    notice = a_notice("id")
    context = {"interaction": "i", "csrf": "c", "shown": "s", "notice": notice, "ticked": frozenset({"address"})}
    boxes = [one for one in rendered("consent.html", context).forms[0].fields if one.kind == "checkbox"]
    assert {box.value for box in boxes if box.checked} == {"address"}


def test_allowing_and_refusing_are_equals() -> None:
    for verified in (True, False):
        page = consent_page(verified=verified)
        buttons = [attributes for tag, attributes in page.elements if tag == "button"]
        assert [button["id"] for button in buttons] == ["allow", "deny"], "on one page, in one row"
        assert buttons[0]["class"] == buttons[1]["class"]
        assert not any("autofocus" in attributes for _, attributes in page.elements)
    assert ".actions.equal { display: grid; grid-auto-rows: 1fr;" in (STATIC / "style.css").read_text()


# --- the language of a page ---


def test_a_page_links_to_itself_in_the_other_language() -> None:
    request = a_request("/login", query="interaction=a%26b&lang=id")
    template, context = samples("id")[0]
    page = document(pages().render(request, template, context, locale="id"))
    assert ("/login?interaction=a%26b&lang=en", "English") in page.links
    assert "Bahasa Indonesia" not in [text for _, text in page.links], "that is where the reader is"


def test_a_form_that_came_back_links_to_its_page_and_not_to_the_post() -> None:
    template, context = samples("id")[1]
    answer = pages().render(a_request("/login", method="POST"), template, context, locale="id")
    assert ("/login?interaction=0198b3c2&lang=en", "English") in document(answer).links


def test_a_pressed_language_is_remembered_and_an_unknown_one_is_not() -> None:
    template, context = samples("en")[0]
    pressed = pages().render(a_request(query="lang=en"), template, context, locale="en")
    assert pressed.headers["set-cookie"].startswith("__Host-lang=en; HttpOnly;")
    for query in ("", "lang=xx", "lang=%0d%0aSet-Cookie:a=b"):
        assert "set-cookie" not in pages().render(a_request(query=query), template, context, locale="en").headers


def test_a_refusal_is_told_in_the_readers_language() -> None:
    sentence = "This form was not filled in as expected."
    for header, told in (("id", "Formulir ini tidak terisi"), ("en", sentence), ("de", "Formulir ini tidak terisi")):
        answer = pages().error(a_request(headers={"Accept-Language": header}), message=sentence, status=403)
        assert answer.status_code == 403
        assert told in document(answer).text_by_id["error"]


# --- the answer in a form ---


@pytest.mark.threat("N18")
def test_a_state_cannot_leave_its_field() -> None:
    answer = pages().form_post(a_request(), action="https://app.test/cb?x=1", fields={"state": BREAKING, "code": "c"})
    page = document(answer)
    assert [(one.name, one.value, one.kind) for one in page.forms[0].fields] == [
        ("state", BREAKING, "hidden"),
        ("code", "c", "hidden"),
    ]
    assert (page.forms[0].action, page.forms[0].method) == ("https://app.test/cb?x=1", "post")
    assert [button.id for button in page.forms[0].buttons] == ["continue"], "for a browser without JavaScript"
    scripts = [attributes["src"] for tag, attributes in page.elements if tag == "script"]
    assert [src.partition("?")[0] for src in scripts] == ["/static/submit.js"]
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "form-action 'self' https://app.test;" in policy


@pytest.mark.browser
@pytest.mark.threat("N18")
@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_chromium_posts_the_answer_and_runs_nothing_that_was_in_it(javascript: bool) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium is not None, "this test needs Chromium"
    answer = pages().form_post(a_request(), action="https://app.test/cb", fields={"state": BREAKING, "code": "c"})
    posted: list[dict[str, list[str]]] = []
    said: list[str] = []

    def serve(route: Route) -> None:
        url = route.request.url
        if url.startswith("https://app.test/cb"):
            posted.append(parse_qs(route.request.post_data or "", strict_parsing=True))
            route.fulfill(body="<!doctype html><title>app</title>", content_type="text/html")
        elif "/static/" in url:
            name = url.partition("/static/")[2].partition("?")[0]
            kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
            route.fulfill(body=(STATIC / name).read_bytes(), content_type=kinds[name.rpartition(".")[2]])
        else:
            route.fulfill(body=bytes(answer.body), headers=dict(answer.headers))

    def dismiss(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_context(java_script_enabled=javascript).new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", dismiss)
        page.route("**/*", serve)
        page.goto("https://idp.test/authorize", wait_until="commit")
        if not javascript:
            assert posted == []
            page.click("#continue")
        page.wait_for_url("https://app.test/cb")
        browser.close()
    assert posted == [{"state": [BREAKING], "code": ["c"]}]
    assert said == []
