"""The words that a purpose's terms may use: processing operations, kinds of party, rights, and how often.

The IRIs are the W3C Data Privacy Vocabulary's, so that a record means the same elsewhere; the labels are what people
read. Operations and kinds of party are closed tables; a purpose's own IRI may be any of DPV's purposes.
Spec: W3C DPV 2 (Processing, Purpose, Organisation); Law 27/2022 (UU PDP) articles 5 to 13 and 16(1).
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

DPV: Final = "https://w3id.org/dpv#"
PERSONAL_DATA: Final = "https://w3id.org/dpv/pd#"

_DPV_TERM: Final = re.compile(r"https://w3id\.org/dpv#[A-Z][A-Za-z]{1,99}", re.ASCII)
_PD_TERM: Final = re.compile(r"https://w3id\.org/dpv/pd#[A-Z][A-Za-z]{1,99}", re.ASCII)

Labels = Mapping[str, str]


def _labels(indonesian: str, english: str) -> Labels:
    return MappingProxyType({"id": indonesian, "en": english})


def is_dpv_term(iri: object) -> bool:
    """Whether it is written as an IRI of DPV's core vocabulary."""
    return isinstance(iri, str) and _DPV_TERM.fullmatch(iri) is not None


def is_personal_data_term(iri: object) -> bool:
    """Whether it is written as an IRI of DPV's categories of personal data."""
    return isinstance(iri, str) and _PD_TERM.fullmatch(iri) is not None


# What may be done with data. An operation that is not here is none that a person could be told of.
OPERATIONS: Final[Mapping[str, Labels]] = MappingProxyType(
    {
        DPV + "Collect": _labels("mengumpulkan", "collecting"),
        DPV + "Record": _labels("mencatat", "recording"),
        DPV + "Store": _labels("menyimpan", "storing"),
        DPV + "Organise": _labels("menyusun", "organising"),
        DPV + "Retrieve": _labels("mengambil kembali", "retrieving"),
        DPV + "Consult": _labels("melihat", "consulting"),
        DPV + "Use": _labels("memakai", "using"),
        DPV + "Analyse": _labels("menganalisis", "analysing"),
        DPV + "Assess": _labels("menilai", "assessing"),
        DPV + "Match": _labels("mencocokkan", "matching"),
        DPV + "Combine": _labels("menggabungkan", "combining"),
        DPV + "Derive": _labels("menurunkan data baru", "deriving new data"),
        DPV + "Profiling": _labels("membuat profil", "profiling"),
        DPV + "Modify": _labels("mengubah", "changing"),
        DPV + "Display": _labels("menampilkan", "displaying"),
        DPV + "Transmit": _labels("mengirim", "sending"),
        DPV + "Share": _labels("membagikan", "sharing"),
        DPV + "CrossBorderTransfer": _labels("mengirim ke luar negeri", "sending abroad"),
        DPV + "Anonymise": _labels("menganonimkan", "anonymising"),
        DPV + "Pseudonymise": _labels("menyamarkan", "pseudonymising"),
        DPV + "Restrict": _labels("membatasi", "restricting"),
        DPV + "Erase": _labels("menghapus", "erasing"),
        DPV + "Destruct": _labels("memusnahkan", "destroying"),
    }
)

# Kinds of party, with DPV's class for each.
PARTY_TYPES: Final[Mapping[str, tuple[str, Labels]]] = MappingProxyType(
    {
        "government": (DPV + "GovernmentalOrganisation", _labels("instansi pemerintah", "government body")),
        "company": (DPV + "ForProfitOrganisation", _labels("perusahaan", "company")),
        "non_profit": (DPV + "NonProfitOrganisation", _labels("lembaga nirlaba", "non-profit organisation")),
        "academic": (
            DPV + "AcademicScientificOrganisation",
            _labels("lembaga pendidikan atau penelitian", "academic or research organisation"),
        ),
        "international": (
            DPV + "InternationalOrganisation",
            _labels("organisasi internasional", "international organisation"),
        ),
    }
)

# The rights of UU PDP, by the article that gives each.
RIGHTS: Final[Mapping[str, tuple[int, Labels]]] = MappingProxyType(
    {
        "information": (5, _labels("mendapat informasi", "be informed")),
        "correction": (6, _labels("melengkapi dan memperbaiki data", "complete and correct the data")),
        "access": (7, _labels("melihat data dan mendapat salinannya", "see the data and get a copy")),
        "erasure": (8, _labels("mengakhiri pemrosesan dan menghapus data", "end the processing and have it erased")),
        "withdrawal": (9, _labels("menarik persetujuan", "withdraw consent")),
        "objection": (
            10,
            _labels("berkeberatan atas keputusan otomatis", "object to decisions made by machines alone"),
        ),
        "restriction": (11, _labels("menunda atau membatasi pemrosesan", "delay or restrict the processing")),
        "compensation": (12, _labels("menggugat dan menerima ganti rugi", "sue and be compensated")),
        "portability": (13, _labels("memakai dan memindahkan data", "take the data elsewhere")),
    }
)

# Categories of personal data (UU PDP article 4). What is specific is specific whatever a form says.
SPECIFIC_CATEGORIES: Final[Mapping[str, Labels]] = MappingProxyType(
    {
        "health": _labels("kesehatan", "health"),
        "biometric": _labels("biometrik", "biometric"),
        "genetic": _labels("genetika", "genetic"),
        "criminal_record": _labels("catatan kejahatan", "criminal record"),
        "children": _labels("data anak", "children’s data"),
        "personal_finance": _labels("keuangan pribadi", "personal finance"),
    }
)
GENERAL_CATEGORIES: Final[Mapping[str, Labels]] = MappingProxyType(
    {
        "identity": _labels("identitas", "identity"),
        "contact": _labels("kontak", "contact"),
        "family": _labels("keluarga", "family"),
        "residence": _labels("tempat tinggal", "residence"),
        "education": _labels("pendidikan", "education"),
        "employment": _labels("pekerjaan", "employment"),
        "membership": _labels("kepesertaan", "membership"),
        "property": _labels("kepemilikan", "property"),
        "other": _labels("lainnya", "other"),
    }
)

FETCH_TYPES: Final = ("onetime", "periodic")

# ISO 3166-1 alpha-2, or 3166-2 for a part of a country: "ID", "ID-JK".
_PLACE: Final = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?", re.ASCII)


def is_place(code: object) -> bool:
    """Whether it is written as a country's code or that of a part of one."""
    return isinstance(code, str) and _PLACE.fullmatch(code) is not None
