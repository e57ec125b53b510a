"""The stylesheet: what it says about colours, computed from its own tokens."""

import re
from importlib.resources import files

import pytest

CSS = (files("idp") / "static" / "style.css").read_text()

# Words on what they are written on: WCAG 2.2 SC 1.4.3, at least 4.5.
WORDS = [
    *((ink, ground) for ink in ("ink", "ink-quiet") for ground in ("paper", "surface", "sunken")),
    *(("ink", f"{kind}-wash") for kind in ("brand", "good", "warn", "bad")),
    *((link, ground) for link in ("brand", "brand-strong") for ground in ("paper", "surface", "sunken", "brand-wash")),
    ("on-brand", "brand"),
    ("on-brand", "brand-strong"),
    ("on-bad", "bad"),
    ("good", "paper"),
    *((kind, f"{kind}-wash") for kind in ("good", "warn", "bad")),
    *((kind, "surface") for kind in ("good", "warn", "bad")),
]
# The edges of controls, the focus ring and drawings: WCAG 2.2 SC 1.4.11, at least 3.
EDGES = [(edge, ground) for edge in ("edge", "brand", "bad", "focus", "ink-quiet") for ground in ("paper", "surface")]


def tokens(css: str) -> dict[str, str]:
    """The colours that a block declares, by name."""
    return dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6});", css))


def block(start: str) -> str:
    """The declarations from `start` to the end of its block."""
    return CSS[CSS.index(start) :].partition("}")[0]


LIGHT = tokens(block(":root {"))
DARK = {**LIGHT, **tokens(block("@media (prefers-color-scheme: dark)"))}


def luminance(colour: str) -> float:
    """Spec: WCAG 2.2, relative luminance."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Spec: WCAG 2.2, contrast ratio."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_black_on_white_is_21_to_1() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), WORDS)
def test_words_can_be_read_on_what_they_are_written_on(scheme: dict[str, str], ink: str, ground: str) -> None:
    assert contrast(scheme[ink], scheme[ground]) >= 4.5


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("edge", "ground"), EDGES)
def test_controls_can_be_told_from_what_they_stand_on(scheme: dict[str, str], edge: str, ground: str) -> None:
    assert contrast(scheme[edge], scheme[ground]) >= 3


def test_the_dark_scheme_has_every_colour_of_the_light_one() -> None:
    assert set(tokens(block("@media (prefers-color-scheme: dark)"))) == set(LIGHT)


def test_every_colour_is_a_token_and_every_token_exists_and_is_used() -> None:
    declared = set(re.findall(r"--([a-z0-9-]+):", CSS))
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", CSS))
    assert used <= declared
    assert declared <= used | {"gold"}
    for line in CSS.splitlines():
        assert line.lstrip().startswith((":root", "--")) or not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl", line), line


def test_every_font_size_and_space_is_on_the_scale() -> None:
    sizes = set(re.findall(r"font-size:\s*([^;}]+)", CSS))
    assert all(size.startswith("var(--text") or size in {"0.92em", "inherit"} for size in sizes), sizes
    gaps = re.findall(
        r"\b(?:gap|margin(?:-block|-inline|-top|-bottom)?|padding(?:-block|-inline|-top|-bottom)?):\s*([^;}]+)", CSS
    )
    allowed = re.compile(
        r"(var\(--space-\d\)|calc\(-1 \* var\(--space-\d\)( - 1px)?\)|0\.0625rem|1\.25em|-1px|0|auto|\s+)+"
    )
    for gap in gaps:
        assert allowed.fullmatch(gap), gap


def test_the_stylesheet_fetches_nothing() -> None:
    assert "url(" not in CSS
    assert "@import" not in CSS
    assert "@font-face" not in CSS
