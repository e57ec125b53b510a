"""The catalogues: every sentence that people read is there in every language, and nothing else is."""

import pytest

from tests.support import catalogues

CODE = """
SAID: Final = "This page was open for too long."
UNSAID: Final = "satupintu.internal"
raise PageRefusal("It is gone." if gone else SAID, status=410)
raise PageRefusal(f"{name} is wrong.")
pages.error(request, message="It broke.", status=500)
"""


@pytest.mark.parametrize("language", catalogues.LANGUAGES)
@pytest.mark.parametrize("package", catalogues.PACKAGES)
def test_a_catalogue_says_everything_once_and_nothing_more(package: str, language: str) -> None:
    assert catalogues.faults(package, language) == [], "run: python -m tests.support.catalogues"


@pytest.mark.parametrize("language", catalogues.LANGUAGES)
@pytest.mark.parametrize("package", catalogues.PACKAGES)
def test_a_catalogue_is_as_the_tool_writes_it(package: str, language: str) -> None:
    written = catalogues.path_of(package, language).read_bytes()
    assert written == catalogues.updated(package, language), "run: python -m tests.support.catalogues"


def test_english_says_what_its_ids_say() -> None:
    for package in catalogues.PACKAGES:
        for entry in catalogues.read(package, "en"):
            assert not entry.id or entry.string == entry.id


def test_indonesian_is_not_english() -> None:
    same = {
        entry.id
        for package in catalogues.PACKAGES
        for entry in catalogues.read(package, "id")
        if entry.id and entry.string == entry.id
    }
    assert same == set()


def test_one_sentence_is_translated_in_one_way() -> None:
    first, second = (catalogues.read(package, "id") for package in catalogues.PACKAGES)
    for entry in first:
        other = second.get(entry.id) if entry.id else None
        assert other is None or other.string == entry.string


def test_what_code_tells_people_is_found() -> None:
    assert set(catalogues.sentences_in(CODE)) == {"It is gone.", "This page was open for too long.", "It broke."}
    assert catalogues.made_up_at_run_time(CODE) == [5]


def test_no_page_refusal_is_made_up_at_run_time() -> None:
    for package in catalogues.PACKAGES:
        for path in sorted((catalogues.ROOT / package).rglob("*.py")):
            assert catalogues.made_up_at_run_time(path.read_text()) == [], path
