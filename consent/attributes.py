"""The data items that can be asked for: one visible table, in the words of the law and in both languages.

An item is named by its claim. National claims live under `NATIONAL`, a namespace that collides with nobody's.
`category` follows article 4 of Law 27/2022 (UU PDP): `specific` data is what the law guards more (health, biometric,
genetic, criminal, children's and personal financial data); everything in this table is `general`.

This table is what the provider itself knows of a person, from the account they have here, and the only data that its
own endpoints release. What agencies hold is registered (`consent.registry.attributes`), under `REGISTERED`.

Spec: OpenID Connect Core §5.1 (standard claims), §5.1.2 (additional claims); W3C DPV PD (categories of personal data).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

LANGUAGES: Final = ("id", "en")
NATIONAL: Final = "urn:satupintu:claims:"
REGISTERED: Final = "urn:satupintu:data:"
_PD: Final = "https://w3id.org/dpv/pd#"


class Category(StrEnum):
    """How much the law guards an item."""

    GENERAL = "general"
    SPECIFIC = "specific"


@dataclass(frozen=True, slots=True)
class Source:
    """The agency that holds an item, and gives it to others."""

    agency_id: str
    code: str
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DataItem:
    """One data item: its claim, what people call it in each language, and DPV's category of personal data.

    `source` is the agency that it comes from; None: the person's own account here. `kind` says more of a registered
    item's category (`vocabulary.SPECIFIC_CATEGORIES`, `GENERAL_CATEGORIES`).
    """

    claim: str
    id: str
    en: str
    dpv_iri: str
    category: Category = Category.GENERAL
    source: Source | None = None
    kind: str = "identity"

    def label(self, language: str) -> str:
        """The item's name in a language (`id` or `en`)."""
        return {"id": self.id, "en": self.en}[language]


_TABLE = (
    DataItem("name", "Nama lengkap", "Full name", _PD + "Name"),
    DataItem("given_name", "Nama depan", "Given name", _PD + "Name"),
    DataItem("family_name", "Nama keluarga", "Family name", _PD + "Name"),
    DataItem("middle_name", "Nama tengah", "Middle name", _PD + "Name"),
    DataItem("nickname", "Nama panggilan", "Nickname", _PD + "Name"),
    DataItem("preferred_username", "Nama pengguna", "User name", _PD + "Username"),
    DataItem("profile", "Alamat halaman profil", "Address of the profile page", _PD + "IndividualProfile"),
    DataItem("picture", "Foto profil", "Profile picture", _PD + "Picture"),
    DataItem("website", "Situs web", "Website", _PD + "Contact"),
    DataItem("gender", "Jenis kelamin", "Gender", _PD + "Gender"),
    DataItem("birthdate", "Tanggal lahir", "Date of birth", _PD + "BirthDate"),
    DataItem("zoneinfo", "Zona waktu", "Time zone", _PD + "Location"),
    DataItem("locale", "Bahasa pilihan", "Preferred language", _PD + "Language"),
    DataItem(
        "updated_at", "Waktu terakhir data diperbarui", "When the data was last updated", _PD + "IndividualProfile"
    ),
    DataItem("email", "Alamat email", "Email address", _PD + "EmailAddress"),
    DataItem(
        "email_verified",
        "Apakah alamat email sudah diperiksa",
        "Whether the email address was verified",
        _PD + "EmailAddress",
    ),
    DataItem("phone_number", "Nomor telepon", "Phone number", _PD + "TelephoneNumber"),
    DataItem(
        "phone_number_verified",
        "Apakah nomor telepon sudah diperiksa",
        "Whether the phone number was verified",
        _PD + "TelephoneNumber",
    ),
    DataItem("address", "Alamat tempat tinggal", "Home address", _PD + "PhysicalAddress"),
    DataItem(NATIONAL + "nik", "Nomor Induk Kependudukan (NIK)", "National identity number (NIK)", _PD + "OfficialID"),
    DataItem(
        NATIONAL + "verified",
        "Apakah identitas sudah diperiksa dengan data kependudukan",
        "Whether the identity was verified with the population register",
        _PD + "Identifying",
    ),
)

ITEMS: Final[Mapping[str, DataItem]] = MappingProxyType({item.claim: item for item in _TABLE})
