"""The demonstration's country: two ministries, two purposes, two apps, three people. All of it is invented."""

from dataclasses import dataclass
from typing import Any

WORDS = [
    "angsa",
    "apel",
    "awan",
    "bambu",
    "batik",
    "bayam",
    "bintang",
    "bukit",
    "bunga",
    "cabai",
    "danau",
    "duku",
    "embun",
    "garam",
    "gunung",
    "hujan",
    "jagung",
    "jambu",
    "kapal",
    "kebun",
    "kelapa",
    "kertas",
    "kucing",
    "kunyit",
    "laut",
    "lebah",
    "lontar",
    "madu",
    "manggis",
    "melati",
    "merpati",
    "nanas",
    "nila",
    "ombak",
    "padi",
    "pala",
    "pantai",
    "pasir",
    "payung",
    "perahu",
    "pinang",
    "pisang",
    "rambutan",
    "rotan",
    "rusa",
    "sagu",
    "salak",
    "sawah",
    "sungai",
    "talas",
    "tebu",
    "teratai",
    "tikar",
    "ubi",
    "warung",
]

AGENCIES: tuple[dict[str, Any], ...] = (
    {
        "code": "kemenkes",
        "names": {"id": "Kementerian Kesehatan", "en": "Ministry of Health"},
        "contact": "Jalan Contoh 1, Jakarta; 021-5550001",
        "privacy_contact": "pdp@kemenkes.example",
        "website": "https://kemenkes.example",
    },
    {
        "code": "dukcapil",
        "names": {
            "id": "Direktorat Jenderal Kependudukan dan Pencatatan Sipil",
            "en": "Directorate General of Population and Civil Registration",
        },
        "contact": "Jalan Contoh 2, Jakarta; 021-5550002",
        "privacy_contact": "pdp@dukcapil.example",
        "website": "https://dukcapil.example",
    },
)

NIK = "urn:satupintu:claims:nik"
VERIFIED = "urn:satupintu:claims:verified"


def _item(claim: str, indonesian: str, english: str, *, required: bool = False) -> dict[str, Any]:
    return {"claim": claim, "required": required, "why": {"id": indonesian, "en": english}}


PURPOSES: tuple[dict[str, Any], ...] = (
    {
        "agency": "kemenkes",
        "code": "kunjungan-puskesmas",
        "texts": {
            "id": {
                "name": "Mendaftar kunjungan ke puskesmas",
                "description": "Data ini dipakai untuk membuat antrean Anda di puskesmas dan mencocokkannya dengan "
                "rekam medis Anda.",
                "refusal": "Anda tetap dapat mendaftar langsung di loket puskesmas.",
            },
            "en": {
                "name": "Register a visit to a health centre",
                "description": "Your data is used to put you in the queue at the health centre and to match you with "
                "your medical record.",
                "refusal": "You can still register in person at the health centre's desk.",
            },
        },
        "items": [
            _item("name", "Untuk memanggil Anda saat giliran tiba", "To call you when it is your turn", required=True),
            _item("birthdate", "Untuk mencocokkan rekam medis", "To match your medical record", required=True),
            _item(NIK, "Untuk mencocokkan kepesertaan jaminan", "To match your health insurance", required=True),
            _item("phone_number", "Untuk mengingatkan jadwal lewat pesan", "To remind you of your visit by message"),
            _item("gender", "Untuk menyiapkan ruang periksa", "To prepare the examination room"),
            _item("address", "Untuk kunjungan ke rumah bila diperlukan", "For a home visit if you need one"),
        ],
        "legal_basis": "consent",
        "legal_citation": "UU 27/2022 pasal 20 ayat (2) huruf a",
        "retention_days": 365,
        "validity_days": 180,
    },
    {
        "agency": "dukcapil",
        "code": "salinan-kartu-keluarga",
        "texts": {
            "id": {
                "name": "Meminta salinan kartu keluarga",
                "description": "Data ini dipakai untuk menemukan kartu keluarga Anda dan mengirimkan salinannya.",
                "refusal": "Anda tetap dapat meminta salinan di kantor dukcapil terdekat.",
            },
            "en": {
                "name": "Ask for a copy of the family card",
                "description": "Your data is used to find your family card and to send you a copy of it.",
                "refusal": "You can still ask for a copy at the nearest population office.",
            },
        },
        "items": [
            _item("name", "Untuk menulis nama pemohon", "To write the applicant's name", required=True),
            _item(NIK, "Untuk menemukan kartu keluarga", "To find your family card", required=True),
            _item(VERIFIED, "Untuk memastikan pemohon sudah diperiksa", "To be sure that you were verified"),
            _item("address", "Untuk mengirim salinan lewat pos", "To send the copy by post"),
        ],
        "legal_basis": "consent",
        "legal_citation": "UU 27/2022 pasal 20 ayat (2) huruf a",
        "retention_days": 90,
        "validity_days": 90,
    },
)


@dataclass(frozen=True)
class DemoApp:
    """One of the two apps: which agency's, for which purpose, with which scopes."""

    name: str
    module: str
    client_id: str
    agency: str
    purpose: str
    names: dict[str, str]
    scopes: tuple[str, ...]


APPS = (
    DemoApp(
        name="health",
        module="relying_parties.health",
        client_id="sehat-bersama",
        agency="kemenkes",
        purpose="kunjungan-puskesmas",
        names={"id": "Sehat Bersama", "en": "Healthy Together"},
        scopes=("openid", "profile", "phone", "address", "identity", "offline_access"),
    ),
    DemoApp(
        name="population",
        module="relying_parties.population",
        client_id="kartu-keluargaku",
        agency="dukcapil",
        purpose="salinan-kartu-keluarga",
        names={"id": "Kartu Keluargaku", "en": "My Family Card"},
        scopes=("openid", "profile", "address", "identity", "offline_access"),
    ),
)


@dataclass(frozen=True)
class DemoPerson:
    """Somebody who can log in."""

    username: str
    role: str
    profile: dict[str, Any]


def _person(username: str, role: str, given: str, family: str, **more: Any) -> DemoPerson:
    claims = {"name": f"{given} {family}", "given_name": given, "family_name": family, "zoneinfo": "Asia/Jakarta"}
    return DemoPerson(username=username, role=role, profile=claims | more)


PEOPLE = (
    _person(
        "siti",
        "citizen",
        "Siti",
        "Rahayu",
        gender="female",
        birthdate="1990-05-15",
        email="siti@warga.example",
        email_verified=True,
        phone_number="+62 812-5550-0001",
        phone_number_verified=True,
        address={
            "formatted": "Jalan Melati 7, Sleman, Daerah Istimewa Yogyakarta 55281",
            "street_address": "Jalan Melati 7",
            "locality": "Sleman",
            "region": "Daerah Istimewa Yogyakarta",
            "postal_code": "55281",
            "country": "ID",
        },
        **{NIK: "9904035505900001", VERIFIED: True},
    ),
    _person(
        "budi",
        "citizen",
        "Budi",
        "Santoso",
        gender="male",
        birthdate="1985-11-02",
        email="budi@warga.example",
        email_verified=True,
        phone_number="+62 812-5550-0002",
        phone_number_verified=False,
        address={
            "formatted": "Jalan Kenanga 12, Makassar, Sulawesi Selatan 90111",
            "street_address": "Jalan Kenanga 12",
            "locality": "Makassar",
            "region": "Sulawesi Selatan",
            "postal_code": "90111",
            "country": "ID",
        },
        **{NIK: "9973010211850002", VERIFIED: True},
    ),
    _person("ratna", "privacy_officer", "Ratna", "Dewi", email="ratna@pdp.example", email_verified=True),
)
