"""The sentences of a notice, in both languages.

They are evidence: what a person agreed to is kept word for word, and pinned by its SHA-256. So they live here and not
in a translation catalogue, and `EDITION` changes whenever a word does (a test holds their digest).

`{agency}`, `{app}`, `{period}` and so on are filled in. Where the legal basis is not consent, the sentences say
so: a notice that pretended a choice would be a lie, and consent given under one is void.

Spec: Law 27/2022 (UU PDP) articles 20(2), 21(1), 22; EDPB Guidelines 05/2020 ¶16.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

EDITION: Final = "2"

LEGAL_BASES: Final = (
    "consent",
    "contract",
    "legal_obligation",
    "vital_interest",
    "public_task",
    "legitimate_interest",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """Every sentence of a notice in one language. Pairs are (where it is a choice, where it is not).

    `fetch` is (once, as often as needed, at most so often).
    """

    heading: tuple[str, str]
    verified: str
    not_verified: str
    legal_bases: Mapping[str, str]
    identifier: str
    required: tuple[str, str]
    optional: str
    source: str
    guarded: str
    fetch: tuple[str, str, str]
    recipients: str
    no_recipients: str
    abroad: str
    rights: str
    retention: str
    no_retention: str
    validity: tuple[str, str]
    offline_access: str
    refusal: tuple[str, str]
    withdrawal: tuple[str, str]
    contact: str
    allow: tuple[str, str]
    deny: tuple[str, str]
    day: str
    days: str
    year: str
    years: str


INDONESIAN: Final = Sentences(
    heading=("{app} meminta data Anda", "{app} akan menerima data Anda"),
    verified="Satu Pintu telah memeriksa bahwa aplikasi ini milik {agency}.",
    not_verified="Satu Pintu belum memeriksa aplikasi ini. Lanjutkan hanya jika Anda mempercayainya.",
    legal_bases=MappingProxyType(
        {
            "consent": "Anda yang memutuskan. {agency} hanya boleh menerima data ini jika Anda setuju.",
            "contract": (
                "{agency} memerlukan data ini untuk memenuhi perjanjian dengan Anda. "
                "Dasarnya adalah perjanjian itu, bukan persetujuan di halaman ini."
            ),
            "legal_obligation": (
                "{agency} wajib memproses data ini menurut hukum. Ini pemberitahuan, bukan permintaan persetujuan."
            ),
            "vital_interest": (
                "{agency} memproses data ini untuk melindungi keselamatan jiwa. "
                "Ini pemberitahuan, bukan permintaan persetujuan."
            ),
            "public_task": (
                "{agency} memproses data ini untuk menjalankan tugas pelayanan publik menurut hukum. "
                "Ini pemberitahuan, bukan permintaan persetujuan."
            ),
            "legitimate_interest": (
                "{agency} memproses data ini karena kepentingan yang sah, setelah ditimbang dengan hak Anda. "
                "Ini pemberitahuan, bukan permintaan persetujuan."
            ),
        }
    ),
    identifier="Aplikasi selalu menerima satu tanda pengenal, agar mengenali Anda saat kembali.",
    required=("Wajib untuk layanan ini", "Diterima oleh aplikasi"),
    optional="Boleh Anda tolak",
    source="Diambil dari {source}.",
    guarded="Data ini dilindungi lebih kuat oleh undang-undang.",
    fetch=(
        "Data ini diambil satu kali saja.",
        "Data ini diambil setiap kali layanan memerlukannya.",
        "Data ini diambil paling banyak {count} kali dalam {period}.",
    ),
    recipients="{agency} meneruskan data ini kepada: {names}.",
    no_recipients="{agency} tidak meneruskan data ini kepada pihak lain.",
    abroad="Data ini disimpan atau diproses juga di luar wilayah hukum {jurisdiction}: {places}.",
    rights="Hak Anda menurut undang-undang: {rights}.",
    retention="{agency} menyimpan data ini paling lama {period}.",
    no_retention="{agency} tidak menyimpan data ini setelah dipakai.",
    validity=(
        "Persetujuan ini berlaku {period}. Setelah itu Anda akan ditanya lagi.",
        "Aplikasi dapat menerima data ini selama {period}. Setelah itu Anda akan diberi tahu lagi.",
    ),
    offline_access="Aplikasi juga dapat mengambil data ini saat Anda tidak sedang memakainya.",
    refusal=(
        "Jika Anda tidak setuju, tidak ada data yang dikirim.",
        "Jika Anda berhenti di sini, Satu Pintu tidak mengirim data. "
        "{agency} mungkin tetap memprosesnya dengan cara lain yang diizinkan hukum.",
    ),
    withdrawal=(
        "Anda dapat menarik persetujuan ini kapan saja di Satu Pintu, menu “Persetujuan saya”. Berlaku seketika.",
        "Ini pemberitahuan, bukan persetujuan, jadi tidak ada yang dapat ditarik di sini. "
        "Jika keberatan, sampaikan kepada {agency}: {contact}.",
    ),
    contact="Pertanyaan tentang data Anda: {contact}",
    allow=("Setuju", "Lanjutkan"),
    deny=("Tidak setuju", "Berhenti"),
    day="1 hari",
    days="{count} hari",
    year="1 tahun",
    years="{count} tahun",
)

ENGLISH: Final = Sentences(
    heading=("{app} asks for your data", "{app} will receive your data"),
    verified="Satu Pintu has checked that this app belongs to {agency}.",
    not_verified="Satu Pintu has not checked this app. Go on only if you trust it.",
    legal_bases=MappingProxyType(
        {
            "consent": "You decide. {agency} may receive this data only if you agree.",
            "contract": (
                "{agency} needs this data to carry out its contract with you. "
                "It relies on that contract, not on an agreement on this page."
            ),
            "legal_obligation": (
                "{agency} is obliged by law to process this data. This is a notice; you are not asked to agree."
            ),
            "vital_interest": (
                "{agency} processes this data to protect someone’s life. This is a notice; you are not asked to agree."
            ),
            "public_task": (
                "{agency} processes this data to carry out a public service that the law gives it. "
                "This is a notice; you are not asked to agree."
            ),
            "legitimate_interest": (
                "{agency} processes this data for a legitimate interest, weighed against your rights. "
                "This is a notice; you are not asked to agree."
            ),
        }
    ),
    identifier="The app always receives one identifier, so that it knows you when you come back.",
    required=("Needed for this service", "The app receives it"),
    optional="You may refuse",
    source="It comes from {source}.",
    guarded="The law guards this data more strongly.",
    fetch=(
        "This data is fetched once only.",
        "This data is fetched whenever the service needs it.",
        "This data is fetched {count} times in {period} at most.",
    ),
    recipients="{agency} passes this data on to: {names}.",
    no_recipients="{agency} does not pass this data on to anybody.",
    abroad="This data is also stored or processed outside the jurisdiction of {jurisdiction}: {places}.",
    rights="Your rights under the law: {rights}.",
    retention="{agency} keeps this data for {period} at most.",
    no_retention="{agency} does not keep this data after using it.",
    validity=(
        "This agreement lasts {period}. After that you will be asked again.",
        "The app can receive this data for {period}. After that you will be told again.",
    ),
    offline_access="The app can also fetch this data while you are not using it.",
    refusal=(
        "If you do not agree, no data is sent.",
        "If you stop here, Satu Pintu sends no data. {agency} may still process it in other ways that the law allows.",
    ),
    withdrawal=(
        "You can take this back at any time in Satu Pintu, under “My consents”. It takes effect at once.",
        "This is a notice and not an agreement, so there is nothing here to take back. "
        "To object, write to {agency}: {contact}.",
    ),
    contact="Questions about your data: {contact}",
    allow=("Allow", "Continue"),
    deny=("Don’t allow", "Stop here"),
    day="1 day",
    days="{count} days",
    year="1 year",
    years="{count} years",
)

SENTENCES: Final[Mapping[str, Sentences]] = MappingProxyType({"id": INDONESIAN, "en": ENGLISH})
