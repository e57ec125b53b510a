"""Which passwords are refused when one is chosen.

Length is what counts for a password that is the only factor; rules about digits and capitals are not made, because they
make people choose worse ones.
Spec: NIST SP 800-63B-4 §3.1.1.2.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from idp.accounts.errors import WeakPassword
from idp.accounts.passwords import password_bytes

MINIMUM_LENGTH: Final = 15

# What remains after the guessable parts are taken out must still be worth guessing at.
MINIMUM_REMAINDER: Final = 8
MINIMUM_DIFFERENT: Final = 5

_WORDS = """
password passw0rd p@ssw0rd p@ssword katasandi sandi rahasia kunci masuk login admin administrator welcome
letmein selamat datang qwerty qwertyuiop asdfghjkl zxcvbnm qwertz azerty abc abcd abcdef abcdefghij
iloveyou sayang cinta aku kamu bismillah alhamdulillah indonesia merdeka garuda pancasila jakarta bandung
surabaya persib persija bali dragon monkey football sunshine princess superman batman naruto
satupintu satu pintu onedoor government pemerintah kementerian changeme default secret test demo user
"""
COMMON: Final = frozenset(_WORDS.split())

_RUNS: Final = ("0123456789" * 3, "9876543210" * 3, "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba")


def refuse_weak(password: str, context: Iterable[str] = ()) -> None:
    """Refuses a password that is short, common, or made of what everybody knows of its owner (`context`).

    Error: `WeakPassword`.
    """
    if password_bytes(password) is None:
        raise WeakPassword("A password is at most 1,024 bytes of text.")
    text = unicodedata.normalize("NFKC", password)
    if len(text) < MINIMUM_LENGTH:
        raise WeakPassword("A password needs at least 15 characters. Four or five random words make a good one.")
    remainder = _without_the_guessable(text.casefold(), context)
    if len(remainder) < MINIMUM_REMAINDER or len(set(remainder)) < MINIMUM_DIFFERENT:
        raise WeakPassword("This password is too easily guessed. Four or five random words make a good one.")


def _without_the_guessable(text: str, context: Iterable[str]) -> str:
    words = {word for word in COMMON if len(word) >= 3}
    for known in context:
        words.update(word for word in re.split(r"\W+", known.casefold()) if len(word) >= 3)
    # The longest first: "satupintu" would otherwise leave "pintu" behind once "satu" is gone.
    for word in sorted(words, key=lambda word: (-len(word), word)):
        text = text.replace(word, "")
    text = _without_runs(text)
    return re.sub(r"[\W_]+", "", text)


def _without_runs(text: str) -> str:
    """The text without stretches of four or more of `1234…`, `abcd…` or one character repeated."""
    kept: list[str] = []
    at = 0
    while at < len(text):
        length = _run_at(text, at)
        if length >= 4:
            at += length
        else:
            kept.append(text[at])
            at += 1
    return "".join(kept)


def _run_at(text: str, at: int) -> int:
    repeated = len(text[at:]) - len(text[at:].lstrip(text[at]))
    longest = repeated
    for run in _RUNS:
        length = 1
        while at + length < len(text) and text[at : at + length + 1] in run:
            length += 1
        longest = max(longest, length)
    return longest
