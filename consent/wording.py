"""What a text may look like before people are asked to agree to it.

Spec: Law 27/2022 (UU PDP) article 22(4): distinguishable, understandable, in simple and clear language.
"""

import unicodedata
from collections.abc import Mapping
from typing import Final

from consent.attributes import LANGUAGES

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def fault_in(text: object, *, most: int, lines: bool = False) -> str | None:
    """What is wrong with one text (a clause such as "is empty"), or None. `lines` allows line breaks."""
    if not isinstance(text, str):
        return "is not a text"
    if not text.strip():
        return "is empty"
    if text != text.strip():
        return "begins or ends with a space"
    if len(text) > most:
        return f"is longer than {most} characters"
    for character in text:
        if lines and character == "\n":
            continue
        # Right-to-left overrides and zero-width characters make a person read another text than the one recorded.
        if unicodedata.category(character) in _INVISIBLE:
            return f"has an invisible character (U+{ord(character):04X})"
    return None


def fault_in_each_language(texts: object, *, most: int, lines: bool = False) -> str | None:
    """What is wrong with a text that must be there in every language, and in no other; or None."""
    if not isinstance(texts, Mapping):
        return "is not a text in each language"
    if set(texts) != set(LANGUAGES):
        return f"must be written in {' and '.join(LANGUAGES)}, and in no other language"
    for language in LANGUAGES:
        fault = fault_in(texts[language], most=most, lines=lines)
        if fault is not None:
            return f"in {language} {fault}"
    return None
