"""Every page that a person sees: templates, languages, and the headers that keep a page harmless.

Spec: CSP Level 3; RFC 6797 (HSTS); OAuth 2.0 Form Post Response Mode 1.0; RFC 9700 §4.16 (clickjacking).
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from importlib.resources import files
from ipaddress import IPv6Address
from itertools import chain
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import BytecodeCache, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from starlette.requests import Request
from starlette.responses import HTMLResponse

from idp.browser import set_language
from idp.language import (
    CATALOGUE_PACKAGES,
    Locale,
    apart,
    chosen_language,
    formats,
    language_links,
    load_catalogue,
    locale_of,
    locales,
    visible,
)

HSTS: Final = "max-age=63072000; includeSubDomains"
PERMISSIONS_POLICY: Final = (
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), midi=(), "
    "payment=(), serial=(), usb=()"
)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,99}")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?")
# A scheme source that is a keyword of the browser's would open the page to content of its own.
_NO_APP_SCHEMES: Final = frozenset({"about", "blob", "data", "file", "filesystem", "javascript", "view-source"})


def form_action_source(uri: str) -> str:
    """What a redirect URI is in a CSP source list: its origin, or its scheme for a native app's own scheme.

    Never more than that one word, so that no registered URI can add a directive. Error: `ValueError`.
    """
    if "\\" in uri or any(character <= " " or character > "~" for character in uri):
        raise ValueError("a redirect URI has only visible ASCII characters")
    parts = urlsplit(uri)
    scheme, host = parts.scheme.lower(), parts.hostname
    if not _SCHEME.fullmatch(scheme) or scheme in _NO_APP_SCHEMES:
        raise ValueError("no form may be sent to that scheme")
    if scheme not in {"http", "https"}:
        return f"{scheme}:"
    if host is not None and parts.username is None and _is_ipv6(host) and (scheme == "https" or host == "::1"):
        # CSP's grammar has no IPv6 addresses, and an app may well be at one: RFC 8252 §7.3.
        return f"{scheme}:"
    if host is None or not _HOST.fullmatch(host) or parts.username is not None:
        raise ValueError("no host that a form may be sent to")
    return f"{scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")


def _is_ipv6(host: str) -> bool:
    try:
        return "%" not in host and bool(IPv6Address(host))
    except ValueError:
        return False


def content_security_policy(*, form_action: Collection[str] = (), scripts: bool = False) -> str:
    """The policy of one page. `form_action` are redirect URIs, `scripts` allows our own script files.

    A form's answer may redirect to the app, and browsers hold that hop to `form-action` too; hence the app's origin.
    """
    targets = " ".join(dict.fromkeys(["'self'", *map(form_action_source, form_action)]))
    script = " script-src 'self';" if scripts else ""
    return (
        f"default-src 'none';{script} style-src 'self'; img-src 'self'; form-action {targets}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )


def security_headers(*, https: bool, form_action: Collection[str] = (), scripts: bool = False) -> dict[str, str]:
    """The headers of every page: it cannot be framed, sniffed, cached, or leak its address."""
    headers = {
        "Content-Security-Policy": content_security_policy(form_action=form_action, scripts=scripts),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        # Not "no-referrer": with it, browsers send our own forms with `Origin: null`, as a hostile sandbox does.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Permissions-Policy": PERMISSIONS_POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if https:
        headers["Strict-Transport-Security"] = HSTS
    return headers


class _KeptBytecode(BytecodeCache):
    """Compiled templates, kept for the life of the process: two languages compile each template once."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        kept = self._kept.get(bucket.key)
        if kept is not None:
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_BYTECODE: Final = _KeptBytecode()


class Pages:
    """Renders templates in a language, with the headers of a page. Everything is read and compiled at boot."""

    def __init__(self, *, issuer: str, default_locale: Locale = "id") -> None:
        parts = urlsplit(issuer)
        self.https = parts.scheme == "https"
        self.base = parts.path
        self.default_locale: Locale = default_locale
        self._environments = {locale: _environment(locale, base=self.base) for locale in locales()}

    def render(
        self,
        request: Request,
        template: str,
        context: Mapping[str, Any],
        *,
        locale: str,
        status: int = 200,
        form_action: Collection[str] = (),
        scripts: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """A page. `form_action` are the redirect URIs that answering one of its forms may lead to.

        Error: `ValueError` for a redirect URI that cannot be in a policy; `jinja2.UndefinedError` for a missing name.
        """
        language: Locale = "id" if locale == "id" else "en" if locale == "en" else self.default_locale
        words = {"language_links": self._language_links(request, context, language), **context}
        body = self._environments[language].get_template(template).render(words)
        response = HTMLResponse(
            body,
            status_code=status,
            headers={
                **security_headers(https=self.https, form_action=form_action, scripts=scripts),
                "Content-Language": language,
                **(headers or {}),
            },
        )
        chosen = chosen_language(request)
        if chosen is not None and request.method == "GET":
            set_language(response, chosen)
        return response

    def error(self, request: Request, *, message: str, status: int = 400, locale: str | None = None) -> HTMLResponse:
        """A refusal or a fault told to a person. `message` is a message id (`PageRefusal("…")`)."""
        return self.render(
            request,
            "error.html",
            {"message": message, "status": status},
            locale=locale or self.locale_of(request),
            status=status,
        )

    def form_post(
        self, request: Request, *, action: str, fields: Mapping[str, str], locale: str | None = None
    ) -> HTMLResponse:
        """Sends the answer on to the app in a form: by itself, or with a button where JavaScript is off.

        Spec: OAuth 2.0 Form Post Response Mode 1.0.
        """
        return self.render(
            request,
            "form_post.html",
            {"action": action, "fields": fields, "language_links": ()},
            locale=locale or self.locale_of(request),
            form_action=(action,),
            scripts=True,
        )

    def locale_of(self, request: Request, *, ui_locales: str | None = None) -> Locale:
        """The language for this request."""
        return locale_of(request, default=self.default_locale, ui_locales=ui_locales)

    def _language_links(self, request: Request, context: Mapping[str, Any], locale: Locale) -> tuple[Any, ...]:
        if "language_links" in context:
            return ()
        if request.method in {"GET", "HEAD"}:
            return language_links(request.url.path, request.url.query, locale)
        if "interaction" in context:
            # A form that came back with a mistake: its fields were posted, and a link has to find the page again.
            return language_links(request.url.path, f"interaction={context['interaction']}", locale)
        return ()


def _environment(locale: Locale, *, base: str) -> Environment:
    loader = _loader()
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
        bytecode_cache=_BYTECODE,
        extensions=["jinja2.ext.i18n"],
    )
    translations = load_catalogue(locale)
    environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]  # the extension adds it
    environment.filters.update(formats(locale), apart=apart, visible=visible)
    environment.globals.update(
        locale=locale, base=base, static_version=_static_version(), translate=translations.gettext
    )
    for name in loader.list_templates():
        environment.get_template(name)
    return environment


def _loader() -> ChoiceLoader:
    loaders = [PackageLoader(package, "templates") for package in CATALOGUE_PACKAGES]
    names = list(chain.from_iterable(loader.list_templates() for loader in loaders))
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two templates have one name: {', '.join(sorted(twice))}")
    return ChoiceLoader(loaders)


def _static_version() -> str:
    # In the address, so that a browser never pairs today's page with yesterday's stylesheet.
    content = hashlib.sha256()
    for file in sorted((files("idp") / "static").iterdir(), key=lambda file: file.name):
        content.update(file.read_bytes())
    return content.hexdigest()[:12]
