"""The data items that can be asked for: one visible table, in the words of the law and in both languages.

An item is named by its claim. National claims live under `NATIONAL`, a namespace that collides with nobody's.
`category` follows article 4 of Law 27/2022 (UU PDP): `specific` data is what the law guards more (health, biometric,
genetic, criminal, children's and personal financial data); everything in this table is `general`.

Spec: OpenID Connect Core §5.1 (standard claims), §5.1.2 (additional claims).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

LANGUAGES: Final = ("id", "en")
NATIONAL: Final = "urn:satupintu:claims:"


class Category(StrEnum):
    """How much the law guards an item."""

    GENERAL = "general"
    SPECIFIC = "specific"


@dataclass(frozen=True, slots=True)
class DataItem:
    """One data item: its claim, and what people call it in each language."""

    claim: str
    id: str
    en: str
    category: Category = Category.GENERAL

    def label(self, language: str) -> str:
        """The item's name in a language (`id` or `en`)."""
        return {"id": self.id, "en": self.en}[language]


_TABLE = (
    DataItem("name", "Nama lengkap", "Full name"),
    DataItem("given_name", "Nama depan", "Given name"),
    DataItem("family_name", "Nama keluarga", "Family name"),
    DataItem("middle_name", "Nama tengah", "Middle name"),
    DataItem("nickname", "Nama panggilan", "Nickname"),
    DataItem("preferred_username", "Nama pengguna", "User name"),
    DataItem("profile", "Alamat halaman profil", "Address of the profile page"),
    DataItem("picture", "Foto profil", "Profile picture"),
    DataItem("website", "Situs web", "Website"),
    DataItem("gender", "Jenis kelamin", "Gender"),
    DataItem("birthdate", "Tanggal lahir", "Date of birth"),
    DataItem("zoneinfo", "Zona waktu", "Time zone"),
    DataItem("locale", "Bahasa pilihan", "Preferred language"),
    DataItem("updated_at", "Waktu terakhir data diperbarui", "When the data was last updated"),
    DataItem("email", "Alamat email", "Email address"),
    DataItem("email_verified", "Apakah alamat email sudah diperiksa", "Whether the email address was verified"),
    DataItem("phone_number", "Nomor telepon", "Phone number"),
    DataItem(
        "phone_number_verified",
        "Apakah nomor telepon sudah diperiksa",
        "Whether the phone number was verified",
    ),
    DataItem("address", "Alamat tempat tinggal", "Home address"),
    DataItem(NATIONAL + "nik", "Nomor Induk Kependudukan (NIK)", "National identity number (NIK)"),
    DataItem(
        NATIONAL + "verified",
        "Apakah identitas sudah diperiksa dengan data kependudukan",
        "Whether the identity was verified with the population register",
    ),
)

ITEMS: Final[Mapping[str, DataItem]] = MappingProxyType({item.claim: item for item in _TABLE})
