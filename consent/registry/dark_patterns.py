"""Words and shapes that push people: found before a purpose is put in force.

A rule of severity `refuse` keeps a version from being approved; one of `warn` wants a written reason from the
reviewer. The lint reads words, and words can be turned so that it is silent: it is a help for the two who review, and
the answer to them is theirs.
Spec: EDPB Guidelines 03/2022 (deceptive design patterns); Law 27/2022 (UU PDP) articles 20(2), 22(4) and 23.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from consent.attributes import LANGUAGES
from consent.purpose_draft import Draft

REFUSE: Final = "refuse"
WARN: Final = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a rule found: where (such as `description.id`), and the words."""

    code: str
    severity: str
    where: str
    quote: str

    def as_json(self) -> dict[str, str]:
        """The finding, for the record of a review."""
        return {"code": self.code, "severity": self.severity, "where": self.where, "quote": self.quote}


@dataclass(frozen=True, slots=True)
class Rule:
    """Words that a text must not have, in each language. `only_consent`: where the legal basis is consent."""

    code: str
    severity: str
    id: re.Pattern[str]
    en: re.Pattern[str]
    only_consent: bool = False


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b", re.IGNORECASE)


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "urgency",
        REFUSE,
        id=_words(
            r"sekarang juga",
            r"hanya hari ini",
            r"waktu terbatas",
            r"sebelum terlambat",
            r"kesempatan terakhir",
            r"(?:berakhir|habis) dalam \d+ (?:detik|menit|jam|hari)",
            r"sisa waktu",
            r"buruan",
        ),
        en=_words(
            r"act now",
            r"hurry",
            r"only today",
            r"limited time",
            r"last chance",
            r"before it(?:['’]s| is) too late",
            r"(?:ends|expires) in \d+ (?:seconds?|minutes?|hours?|days?)",
            r"time is running out",
        ),
    ),
    Rule(
        "threat",
        REFUSE,
        id=_words(
            r"akan kehilangan (?:akses|layanan|hak|bantuan)",
            r"(?:akun|rekening) Anda akan (?:diblokir|ditutup|dibekukan)",
            r"(?:semua|seluruh) layanan (?:lain|pemerintah)?\s*(?:akan )?(?:dihentikan|ditutup|tidak tersedia)",
            r"layanan lain(?:nya)? (?:akan )?(?:dihentikan|ditutup|hilang)",
            r"akan dikenai sanksi",
        ),
        en=_words(
            r"will lose (?:access|your|all|other)",
            r"your account will be (?:blocked|closed|suspended|frozen)",
            r"(?:all|other) (?:\w+ )?services? (?:will|may) (?:be|become) (?:stopped|closed|unavailable|lost)",
            r"will be (?:penalised|penalized|fined)",
        ),
        only_consent=True,
    ),
    Rule(
        "bundled",
        REFUSE,
        id=_words(
            r"(?:keperluan|tujuan|kepentingan) lain(?:nya)?",
            r"(?:dan|serta|maupun) (?:juga )?(?:untuk )?(?:pemasaran|promosi|iklan|periklanan)",
            r"tujuan apa ?pun",
        ),
        en=_words(
            r"(?:any|and|or) (?:all )?other purposes?",
            r"other purposes",
            r"(?:and|or) (?:for )?(?:marketing|promotions?|advertising)",
            r"any purpose",
        ),
    ),
    Rule(
        "pressure",
        REFUSE,
        id=_words(r"harus (?:setuju|menyetujui)", r"wajib (?:setuju|menyetujui)", r"tidak (?:punya|ada) pilihan"),
        en=_words(
            r"must (?:agree|consent|accept)",
            r"have to (?:agree|consent|accept)",
            r"(?:have|there is) no (?:other )?choice",
        ),
        only_consent=True,
    ),
    Rule(
        "persuasion",
        WARN,
        id=_words(
            r"sangat disarankan",
            r"kebanyakan orang (?:setuju|menyetujui)",
            r"jangan (?:sampai )?(?:lewatkan|ketinggalan|ragu)",
            r"warga (?:yang )?(?:baik|bertanggung jawab)",
            r"sayang sekali",
            r"segera",
        ),
        en=_words(
            r"strongly (?:recommend|recommended|advise|advised)",
            r"most people (?:agree|accept|consent)",
            r"don['’]t miss",
            r"do not miss",
            r"(?:good|responsible) citizens?",
            r"unfortunately",
            r"as soon as possible",
        ),
        only_consent=True,
    ),
    Rule(
        "vague",
        WARN,
        id=_words(r"dll", r"dan (?:lain-lain|sebagainya)", r"antara lain", r"dan seterusnya", r"dapat berupa"),
        en=_words(r"etc", r"and so on", r"among other things", r"not limited to", r"and the like"),
    ),
    Rule(
        "consent_for_duty",
        REFUSE,
        id=_words(
            r"(?:di)?wajib(?:kan)? (?:menurut|oleh) (?:hukum|undang-undang|peraturan)",
            r"kewajiban (?:hukum|menurut undang-undang)",
            r"diharuskan oleh (?:hukum|undang-undang)",
        ),
        en=_words(
            r"(?:required|obliged|mandated) by (?:the )?law",
            r"legal(?:ly)? (?:obligation|obliged|required)",
            r"statutory duty",
        ),
        only_consent=True,
    ),
)


def lint(draft: Draft) -> tuple[Finding, ...]:
    """Everything that the rules find in a version's words, rule by rule."""
    texts = list(_texts(draft))
    return tuple(
        Finding(code=rule.code, severity=rule.severity, where=where, quote=found.group()[:100])
        for rule in RULES
        if not rule.only_consent or draft.legal_basis == "consent"
        for language, where, text in texts
        if (found := {"id": rule.id, "en": rule.en}[language].search(text)) is not None
    )


def _texts(draft: Draft) -> Iterator[tuple[str, str, str]]:
    """Every text that people read before they decide: its language, where it is, and the words."""
    for language in LANGUAGES:
        for name, text in draft.texts[language].items():
            yield language, f"{name}.{language}", text
        for item in draft.items:
            yield language, f"items.{item.claim}.why.{language}", item.why[language]
        for name in ("collection_method", "withdrawal_method", "service"):
            said = getattr(draft.terms, name)
            if said is not None:
                yield language, f"{name}.{language}", said[language]
