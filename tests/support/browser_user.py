"""A citizen with a browser and without JavaScript, who opens addresses, fills in forms and presses buttons.

await user.open(address)                      # follows redirects, until they leave for the app
await user.log_in("siti", password)
await user.allow(items={"email"})             # ticks exactly these of the optional data
user.callback_parameters["code"]              # what the app was told
"""

from collections.abc import Collection, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Self
from urllib.parse import parse_qsl, urlencode

import httpx2

from tests.support.html import Document, Form, read_html

MOST_REDIRECTS = 10
UNTOUCHED: Collection[str] = ("as the page proposes",)


class Page:
    """The page that the citizen sees."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.url = response.url
        self.status = response.status_code
        self.document: Document = read_html(response.text)

    @property
    def path(self) -> str:
        """The path of the page's address."""
        return self.url.path

    @property
    def text(self) -> str:
        """All visible words, with single spaces."""
        return self.document.text

    @property
    def title(self) -> str:
        """The page's title."""
        return self.document.title

    def has(self, id_: str) -> bool:
        """Whether something on the page has this id."""
        return any(attributes.get("id") == id_ for _, attributes in self.document.elements)

    def form_with(self, id_or_name: str) -> Form:
        """The form that has this control or button. Error: `AssertionError` with what the page says instead."""
        for form in self.document.forms:
            if form.has(id_or_name):
                return form
        raise AssertionError(f"no form has {id_or_name!r} on {self.url} ({self.status}): {self.text[:400]}")

    @property
    def origin_to_send(self) -> str:
        """The `Origin` that a form on this page is sent with: browsers say `null` under `no-referrer`.

        Spec: Fetch §3.2 "append a request Origin header".
        """
        if self.response.headers.get("referrer-policy", "") == "no-referrer":
            return "null"
        return origin_of(self.url)

    def lets_forms_go_to(self, url: httpx2.URL) -> bool:
        """Whether the page's policy lets a form end there, redirects included, as Chromium reads it.

        Spec: Content Security Policy Level 3 §6.4.2 (form-action).
        """
        policy = self.response.headers.get("content-security-policy", "")
        directives = {name: sources for name, *sources in (part.split() for part in policy.split(";") if part.split())}
        if "form-action" not in directives:
            return True
        own = origin_of(self.url) if "'self'" in directives["form-action"] else None
        return any(source in {origin_of(url), f"{url.scheme}:"} for source in (own, *directives["form-action"]))


class BrowserUser:
    """One browser: a cookie jar and the page that is open in it."""

    def __init__(self, client: httpx2.AsyncClient, *, issuer: str) -> None:
        self.client = client
        self.issuer = httpx2.URL(issuer)
        self.callback: httpx2.URL | None = None
        self.form_post: dict[str, str] | None = None
        self.requests: list[tuple[str, httpx2.URL]] = []
        self._page: Page | None = None

    @classmethod
    def over(cls, transport: httpx2.AsyncBaseTransport | None, *, issuer: str) -> Self:
        """A browser with an empty cookie jar; `transport` is an `ASGITransport`, or None for real connections."""
        client = httpx2.AsyncClient(
            transport=transport,
            # Browsers take loopback for secure, and so send `Secure` cookies there over http as well.
            cookies=CookieJar(DefaultCookiePolicy(secure_protocols=("https", "http"))),
            headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "id"},
            timeout=30,
        )
        return cls(client, issuer=issuer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    def in_place_of(self, other: "BrowserUser") -> Self:
        """The same browser, by another way to the provider: it has the other's cookies, and the page that is open."""
        self.client.cookies.jar = other.client.cookies.jar
        self._page = other._page
        return self

    # --- what is seen ---

    @property
    def page(self) -> Page:
        """The page that is open. Error: `AssertionError` when there is none, as after leaving for the app."""
        if self._page is None:
            raise AssertionError(f"no page is open; the last redirect led to {self.callback}")
        return self._page

    @property
    def callback_parameters(self) -> dict[str, str]:
        """What the app was told, whether by redirect or by form. Error: `AssertionError` when a name came twice."""
        if self.form_post is not None:
            return self.form_post
        if self.callback is None:
            raise AssertionError(f"not at the app, but at {self.page.url}: {self.page.text[:400]}")
        pairs = parse_qsl(self.callback.query.decode(), keep_blank_values=True)
        assert len(dict(pairs)) == len(pairs), f"a parameter came twice: {pairs}"
        return dict(pairs)

    @property
    def is_at_app(self) -> bool:
        """Whether the last step led back to the app."""
        return self.callback is not None

    # --- what is done ---

    async def open(self, address: str | httpx2.URL, **parameters: str) -> "BrowserUser":
        """Types an address, or follows an app's link to it, and then every redirect at the provider."""
        url = self.issuer.join(address)
        if parameters:
            url = url.copy_merge_params(parameters)
        return await self._go("GET", url)

    async def press(
        self,
        button: str,
        fields: Mapping[str, str] | None = None,
        *,
        ticked: Mapping[str, Collection[str]] | None = None,
        files: Mapping[str, bytes] | None = None,
        without: Collection[str] = (),
    ) -> "BrowserUser":
        """Presses a button by its id, after filling fields (by id or name), ticking boxes and choosing files (by name).

        `without` leaves out fields by name, as a tampering visitor would.
        """
        form = self.page.form_with(button)
        pairs = _filled(form, fields or {}, ticked or {})
        pressed = next(one for one in form.buttons if button in {one.id, one.name})
        if pressed.name:
            pairs.append((pressed.name, pressed.value))
        pairs = [(name, value) for name, value in pairs if name not in without]
        return await self.send(form, pairs, files=files)

    async def send(
        self, form: Form, pairs: Collection[tuple[str, str]], *, files: Mapping[str, bytes] | None = None
    ) -> "BrowserUser":
        """Sends a form with exactly these values."""
        target = self.page.url.join(form.action) if form.action else self.page.url
        if form.method == "get":
            return await self._go("GET", target.copy_with(query=urlencode(list(pairs)).encode()))
        if not self.page.lets_forms_go_to(target):
            raise AssertionError(f"the page's form-action does not let a form go to {origin_of(target)}")
        if origin_of(target) != origin_of(self.issuer):
            return self._leave(target, form_post=dict(pairs))
        content_type, content = "application/x-www-form-urlencoded", urlencode(list(pairs)).encode()
        if form.is_multipart:
            content_type, content = as_multipart(form, pairs, files or {})
        headers = {
            "Content-Type": content_type,
            "Origin": self.page.origin_to_send,
            "Sec-Fetch-Site": "same-origin",
        }
        return await self._go("POST", target, content=content, headers=headers)

    async def log_in(self, username: str, password: str) -> "BrowserUser":
        """Fills the login form and continues."""
        return await self.press("continue", {"username": username, "password": password})

    async def allow(self, *, items: Collection[str] = UNTOUCHED) -> "BrowserUser":
        """Agrees. `items` are the optional data to tick, exactly; left out, the page's proposal stays."""
        return await self.press("allow", ticked={} if items is UNTOUCHED else {"item": items})

    async def deny(self) -> "BrowserUser":
        """Refuses."""
        return await self.press("deny")

    async def _go(
        self, method: str, url: httpx2.URL, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> "BrowserUser":
        self.callback = self.form_post = None
        form_page = self.page if method == "POST" else None
        sent = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", **(headers or {})}
        for _ in range(MOST_REDIRECTS):
            self.requests.append((method, url))
            response = await self.client.request(method, url, content=content, headers=sent, follow_redirects=False)
            if not response.is_redirect:
                self._page = Page(response)
                await self._submit_if_form_post()
                return self
            url = url.join(response.headers["location"])
            if response.status_code in {301, 302, 303}:
                method, content = "GET", None
                sent = {name: value for name, value in sent.items() if name not in {"Content-Type", "Origin"}}
            if form_page is not None and not form_page.lets_forms_go_to(url):
                raise AssertionError(f"the page's form-action blocks the redirect to {origin_of(url)}")
            if origin_of(url) != origin_of(self.issuer):
                return self._leave(url)
        raise AssertionError(f"more than {MOST_REDIRECTS} redirects, the last to {url}")

    async def _submit_if_form_post(self) -> None:
        """The page of `response_mode=form_post` has a single form, for the app: pressed as the page asks."""
        for form in self.page.document.forms:
            if form.id == "form-post":
                await self.send(form, form.values())
                return

    def _leave(self, url: httpx2.URL, *, form_post: dict[str, str] | None = None) -> "BrowserUser":
        self.callback, self.form_post, self._page = url, form_post, None
        return self


def _filled(form: Form, fields: Mapping[str, str], ticked: Mapping[str, Collection[str]]) -> list[tuple[str, str]]:
    missing = [name for name in fields if not form.has(name)]
    assert not missing, f"the form has no {missing}"
    for name, wanted in ticked.items():
        offered = {one.value for one in form.fields if one.name == name}
        assert offered >= set(wanted), f"the form offers {sorted(offered)}, not {sorted(set(wanted) - offered)}"
    pairs = []
    for one in form.fields:
        if one.name in ticked and one.kind == "checkbox":
            if one.value in ticked[one.name]:
                pairs.append((one.name, one.value))
        elif one.name and (one.kind not in {"checkbox", "radio"} or one.checked):
            pairs.append((one.name, fields.get(one.id, fields.get(one.name, one.value))))
    return pairs


def as_multipart(form: Form, pairs: Collection[tuple[str, str]], files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """The media type and the body of a form with files. A file field that nothing was chosen for is sent empty.

    Spec: RFC 7578 §4; HTML §4.10.22.8.
    """
    boundary = "----WebKitFormBoundaryOf7Words"
    chosen = {one.name for one in form.fields if one.kind == "file"}
    body = bytearray()
    for name, value in pairs:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if name in chosen:
            filename = "scan.pdf" if name in files else ""
            body += f'; filename="{filename}"\r\nContent-Type: application/octet-stream'.encode()
        body += b"\r\n\r\n" + (files.get(name, b"") if name in chosen else value.encode()) + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", bytes(body)


def origin_of(url: httpx2.URL) -> str:
    """The scheme, host and port of an address, as browsers compare them."""
    return f"{url.scheme}://{url.netloc.decode()}"
