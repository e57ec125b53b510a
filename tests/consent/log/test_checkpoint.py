"""A checkpoint's text: one way to write it, and no other way to read it."""

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.log.checkpoint import Checkpoint
from consent.log.errors import FormatRefused

# C2SP tlog-checkpoint
TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
ROOT = b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")


def test_the_specifications_example_is_read_and_written_the_same() -> None:
    checkpoint = Checkpoint.parse(TEXT)
    assert checkpoint == Checkpoint("example.com/behind-the-sofa", 20852163, ROOT)
    assert checkpoint.text() == TEXT


def test_extension_lines_are_kept() -> None:
    checkpoint = Checkpoint.parse(f"{TEXT}one\ntwo\n")
    assert checkpoint.extensions == ("one", "two")
    assert checkpoint.text() == f"{TEXT}one\ntwo\n"


def test_an_empty_tree_has_the_size_0() -> None:
    assert Checkpoint.parse(TEXT.replace("20852163", "0")).size == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "Head\n9944\n",
        TEXT[:-1],
        TEXT.replace("example.com/behind-the-sofa", ""),
        f"{TEXT}\n",
        f"{TEXT}one\n\n",
        f"{TEXT}one",
        *(TEXT.replace("20852163", size) for size in ("", "bananas", "-34", "+34", "020852163", "2_0", " 20", "20.0")),
        TEXT.replace("20852163", "٢٠"),
        TEXT.replace("20852163", "3438945738945739845734895735"),
        TEXT.replace("20852163", str(2**63)),
        TEXT.replace("q2I=", "q2I"),
        TEXT.replace("q2I=", "q2J="),
        TEXT.replace("CsUYapGG", ""),
        TEXT.replace("/Xajj", "_Xajj"),
        TEXT.replace("CsUY", "Cs UY"),
        TEXT.replace("example", "exa\x00mple"),
        TEXT.replace("example", "e" * 260),
        TEXT.replace("example", "\udcff"),
    ],
)
def test_a_text_that_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(FormatRefused):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    ("origin", "size", "root", "extensions"),
    [
        ("", 1, ROOT, ()),
        ("a\nb", 1, ROOT, ()),
        ("a", -1, ROOT, ()),
        ("a", 2**63, ROOT, ()),
        ("a", 1, ROOT[:-1], ()),
        ("a", 1, ROOT, ("",)),
        ("a", 1, ROOT, ("x\ny",)),
    ],
)
def test_what_could_not_be_read_back_cannot_be_made(
    origin: str, size: int, root: bytes, extensions: tuple[str, ...]
) -> None:
    with pytest.raises(FormatRefused):
        Checkpoint(origin, size, root, extensions)


@given(
    st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_any_checkpoint_is_read_back_as_it_was_written(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root)
    assert Checkpoint.parse(checkpoint.text()) == checkpoint


@given(st.text(st.sampled_from("a0 1\n=A+/é"), max_size=60))
def test_whatever_is_read_is_written_the_same(text: str) -> None:
    try:
        checkpoint = Checkpoint.parse(text)
    except FormatRefused:
        return
    assert checkpoint.text() == text
