"""How hard a text is to read: how long its sentences are, and how many of its words are long.

Both are what readers stumble over in any language; which word is long differs, for Indonesian builds them from
affixes. Numbers are whole, since they are committed to. The thresholds are proposals; they are here to be seen.
Spec: Law 27/2022 (UU PDP) article 22(4)c (simple and clear language).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_](?:[^\W_]|[-'’](?=[^\W_]))*")
# A stop that ends a sentence: with a space or the end after it, so that "3.500" and "kemenkes.example" do not.
_END: Final = re.compile(r"[.!?…]+(?=\s|\Z)|\n+|;")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Where a text is hard to read (a reviewer must say why it stays), and where nobody can be asked to read it."""

    long_word: int
    mean_sentence: int
    longest_sentence: int
    long_word_percent: int
    refused_mean_sentence: int
    refused_longest_sentence: int


THRESHOLDS: Final[Mapping[str, Thresholds]] = MappingProxyType(
    {
        "id": Thresholds(
            long_word=13,
            mean_sentence=18,
            longest_sentence=28,
            long_word_percent=12,
            refused_mean_sentence=32,
            refused_longest_sentence=60,
        ),
        "en": Thresholds(
            long_word=12,
            mean_sentence=20,
            longest_sentence=32,
            long_word_percent=12,
            refused_mean_sentence=35,
            refused_longest_sentence=65,
        ),
    }
)
# A share of long words says nothing about a handful of words.
FEWEST_WORDS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What was counted in one text. `mean_sentence` is rounded up."""

    words: int
    sentences: int
    mean_sentence: int
    longest_sentence: int
    long_word_percent: int

    def as_json(self) -> dict[str, int]:
        """The counts, for the record of a review."""
        return {
            "words": self.words,
            "sentences": self.sentences,
            "mean_sentence": self.mean_sentence,
            "longest_sentence": self.longest_sentence,
            "long_word_percent": self.long_word_percent,
        }


def measure(text: str, language: str) -> Measure:
    """Counts a text in `id` or `en`."""
    lengths = [len(found) for part in _END.split(text) if (found := _WORD.findall(part))]
    words = sum(lengths)
    is_long = THRESHOLDS[language].long_word
    long_words = sum(len(word) >= is_long for word in _WORD.findall(text))
    return Measure(
        words=words,
        sentences=len(lengths),
        mean_sentence=-(-words // len(lengths)) if lengths else 0,
        longest_sentence=max(lengths, default=0),
        long_word_percent=100 * long_words // words if words else 0,
    )


def is_unreadable(found: Measure, language: str) -> bool:
    """Whether nobody can be asked to read it."""
    most = THRESHOLDS[language]
    return found.mean_sentence > most.refused_mean_sentence or found.longest_sentence > most.refused_longest_sentence


def is_hard(found: Measure, language: str) -> bool:
    """Whether it is hard to read."""
    most = THRESHOLDS[language]
    return (
        found.mean_sentence > most.mean_sentence
        or found.longest_sentence > most.longest_sentence
        or (found.words >= FEWEST_WORDS and found.long_word_percent > most.long_word_percent)
    )
