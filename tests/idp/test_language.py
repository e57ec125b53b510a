"""Which language a page is in, and how that language writes names, days and numbers."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.language import LOCALES, Locale, apart, formats, language_links, locale_of, negotiate_locale, visible
from tests.support.page_samples import a_request

ANYTHING = st.none() | st.text() | st.text(alphabet="id-en;q=0.19,* \t\x00infna", max_size=60)


@pytest.mark.parametrize(
    ("ui_locales", "cookie", "accept_language", "expected"),
    [
        (None, None, None, "id"),
        ("en", "id", "id", "en"),
        ("fr en-GB id", None, None, "en"),
        ("fr de", "en", None, "en"),
        (None, "en", "id", "en"),
        (None, "xx", "en", "en"),
        (None, None, "en-US,en;q=0.9", "en"),
        (None, None, "en;q=0.5, id;q=0.9", "id"),
        (None, None, "en;q=0, de", "id"),
        (None, None, "en;q=inf, id;q=0.1", "id"),
        (None, None, "de;q=1, en;q=0.001", "en"),
        (None, None, "in-ID", "id"),
        ("ENGLISH", None, None, "id"),
        ("EN-us", None, None, "en"),
    ],
)
def test_the_language_is_the_first_that_is_known_of_app_choice_and_browser(
    ui_locales: str | None, cookie: str | None, accept_language: str | None, expected: str
) -> None:
    assert negotiate_locale(ui_locales, cookie, accept_language, "id") == expected


@given(ANYTHING, ANYTHING, ANYTHING, st.sampled_from(["id", "en"]))
def test_whatever_is_sent_there_is_a_language(
    ui_locales: str | None, cookie: str | None, accept_language: str | None, default: Locale
) -> None:
    assert negotiate_locale(ui_locales, cookie, accept_language, default) in set(LOCALES.values())


@pytest.mark.threat("N88")
def test_a_huge_preference_is_read_only_so_far() -> None:
    assert negotiate_locale("x " * 100_000 + "en", None, ",;=" * 100_000, "id") == "id"


def test_a_pressed_link_goes_before_everything_else() -> None:
    request = a_request(query="lang=en", headers={"Cookie": "__Host-lang=id", "Accept-Language": "id"})
    assert locale_of(request, default="id", ui_locales="id") == "en"


def test_a_language_link_keeps_the_rest_of_the_address() -> None:
    links = {link.code: link for link in language_links("/consent", "interaction=%22%3E&lang=id&lang=en&empty=", "id")}
    assert links["en"].href == "/consent?interaction=%22%3E&empty=&lang=en"
    assert links["id"].current
    assert not links["en"].current


def test_a_language_link_never_leaves_this_site() -> None:
    for path in ("//evil.test/", "/\\evil.test/", "///evil.test"):
        assert all(link.href.startswith("/evil.test") for link in language_links(path, "", "id"))


@given(st.text())
def test_a_name_shows_no_character_that_nobody_sees(name: str) -> None:
    shown = str(apart(name))
    assert shown.startswith("<bdi>")
    assert shown.endswith("</bdi>")
    assert "<" not in shown[5:-6]
    assert not set("\u202a\u202e\u2066\u2069\u200b\u200f\ufeff\x00\x1b\n\u2028") & set(shown)


def test_an_honest_name_stays_as_it_is() -> None:
    for name in ("Siti Nurhaliza", "I Gusti Ngurah Raʼi", "O’Neil & Søn", "مريم", "Cut Nyak Dhien-Lampadang"):
        assert visible(name) == name


def test_days_are_days_of_western_indonesia() -> None:
    late = datetime(2026, 8, 16, 17, 30, tzinfo=UTC)
    assert formats("id")["moment"](late) == "17 Agustus 2026 pukul 00.30 WIB"
    assert formats("en")["moment"](late) == "17 August 2026 at 00:30 WIB"
    assert formats("id")["date"](late) == "17 Agustus 2026"
    assert formats("en")["date"](date(2026, 8, 17)) == "17 August 2026"


def test_a_moment_without_a_time_zone_is_a_bug() -> None:
    with pytest.raises(ValueError, match="time zone"):
        formats("id")["moment"](datetime(2026, 8, 17))


def test_numbers_are_written_as_people_write_them() -> None:
    assert formats("id")["number"](1234567) == "1.234.567"
    assert formats("en")["number"](1234567) == "1,234,567"
