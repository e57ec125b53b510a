"""Which language a page is in, what its sentences are, and how it writes dates and numbers.

Spec: RFC 9110 §12.5.4 (Accept-Language); OpenID Connect Core §3.1.2.1 (`ui_locales`).
"""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from importlib.resources import files
from io import BytesIO
from typing import Final, Literal
from urllib.parse import parse_qsl, urlencode

from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import Translations
from markupsafe import Markup
from starlette.requests import Request

from idp.browser import LANGUAGE_COOKIE

Locale = Literal["id", "en"]

LOCALES: Final[dict[str, Locale]] = {"id": "id", "en": "en", "in": "id"}  # Java and Android long sent "in" for "id"
LANGUAGE_NAMES: Final[dict[Locale, str]] = {"id": "Bahasa Indonesia", "en": "English"}
CATALOGUE_PACKAGES: Final = ("idp", "consent")
LONGEST_PREFERENCE: Final = 1000
LONGEST_NAME: Final = 120
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})

# Western Indonesian Time has had no summer time since 1964: a fixed offset needs no time zone database to be installed.
WIB: Final = timezone(timedelta(hours=7), "WIB")
_MOMENT: Final[dict[Locale, str]] = {
    "id": "d MMMM y 'pukul' HH.mm 'WIB'",
    "en": "d MMMM y 'at' HH:mm 'WIB'",
}


@dataclass(frozen=True, slots=True)
class LanguageLink:
    """The way to the same page in another language."""

    code: Locale
    name: str
    href: str
    current: bool


def negotiate_locale(
    ui_locales: str | None, cookie: str | None, accept_language: str | None, default: Locale
) -> Locale:
    """The language to write in: what the app says of the person, else what they chose here, else what the browser says.

    Never fails, whatever it is given. Spec: OpenID Connect Core §3.1.2.1 (an unsupported `ui_locales` is no error).
    """
    return (
        _first_known((ui_locales or "")[:LONGEST_PREFERENCE].split())
        or _first_known([cookie or ""])
        or _first_known(_by_weight((accept_language or "")[:LONGEST_PREFERENCE]))
        or default
    )


def _first_known(tags: list[str]) -> Locale | None:
    for tag in tags:
        locale = LOCALES.get(tag[:3].partition("-")[0].lower())
        if locale is not None:
            return locale
    return None


def _by_weight(accept_language: str) -> list[str]:
    weighted = []
    for element in accept_language.split(","):
        tag, _, parameter = element.partition(";")
        weight = _weight(parameter)
        if weight > 0:
            weighted.append((weight, tag.strip()))
    weighted.sort(key=lambda pair: -pair[0])  # a stable sort: equal weights keep their order
    return [tag for _, tag in weighted]


def _weight(parameter: str) -> float:
    if not parameter.strip():
        return 1.0
    name, _, value = parameter.partition("=")
    digits = value.strip()
    # float() also reads "inf", "nan" and "1e9", none of which is a weight.
    if name.strip().lower() != "q" or not digits.isascii() or not digits.replace(".", "", 1).isdigit():
        return 0.0
    return min(float(digits[:6]), 1.0)


def chosen_language(request: Request) -> Locale | None:
    """The language that the person has just pressed (`?lang=`), if they did."""
    return _first_known([request.query_params.get("lang", "")])


def locale_of(request: Request, *, default: Locale, ui_locales: str | None = None) -> Locale:
    """The language for this request: a pressed language link goes before everything else."""
    return chosen_language(request) or negotiate_locale(
        ui_locales, request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language"), default
    )


def language_links(path: str, query: str, locale: Locale) -> tuple[LanguageLink, ...]:
    """Links to the same address in each language."""
    here = "/" + path.lstrip("/\\")  # "//evil.test/" would be another site's address
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "lang"]
    return tuple(
        LanguageLink(code, name, f"{here}?{urlencode([*kept, ('lang', code)])}", code == locale)
        for code, name in LANGUAGE_NAMES.items()
    )


def load_catalogue(locale: Locale) -> Translations:
    """The sentences of a language, of both packages together. An empty or doubtful translation does not count."""
    merged = Translations()
    for package in CATALOGUE_PACKAGES:
        source = files(package) / "locales" / locale / "LC_MESSAGES" / "messages.po"
        with source.open("rb") as file:
            catalogue = read_po(file, locale=locale)
        compiled = BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        merged.merge(Translations(compiled))
    return merged


def formats(locale: Locale) -> dict[str, Callable[..., str]]:
    """The filters that write dates and numbers in a language, by name."""

    def moment(at: datetime) -> str:
        if at.tzinfo is None:
            raise ValueError("a moment without a time zone is not a moment")
        return format_datetime(at.astimezone(WIB), _MOMENT[locale], locale=locale)

    def day(on: date) -> str:
        if isinstance(on, datetime):
            on = on.astimezone(WIB).date()
        return format_date(on, "d MMMM y", locale=locale)

    def number(value: int) -> str:
        return format_decimal(value, locale=locale)

    return {"moment": moment, "date": day, "number": number, "isoformat": lambda at: at.isoformat()}


def visible(text: str) -> str:
    """A text without the characters that nobody sees, which could turn around or hide the words after them."""
    return "".join(
        " " if character in "\n\r\t" else character
        for character in text
        if character in "\n\r\t" or unicodedata.category(character) not in _INVISIBLE
    )


def apart(name: str) -> Markup:
    """A name that somebody else chose, so that it cannot reorder, hide or push away the words around it."""
    shown = visible(name[: LONGEST_NAME * 4])
    if len(shown) > LONGEST_NAME:
        shown = shown[: LONGEST_NAME - 1] + "…"
    return Markup("<bdi>{}</bdi>").format(shown)


def locales() -> Iterator[Locale]:
    """Every language that pages are written in."""
    return iter(LANGUAGE_NAMES)


def N_(sentence: str) -> str:  # noqa: N802 - the name by which every gettext tool finds marked sentences
    """Marks a sentence for the catalogues. It is translated where it is shown, in the reader's language."""
    return sentence
