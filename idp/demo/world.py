"""The demonstration's apps and people. All of it is invented. Their country's registry is in `idp.demo.registry`."""

from dataclasses import dataclass
from typing import Any

from idp.accounts.profile import NIK, VERIFIED

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
    # What the app asks for itself, without a person: to say what it did about a withdrawal.
    own_scopes: tuple[str, ...] = ("consent:events",)


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
    roles: tuple[str, ...]
    profile: dict[str, Any]


def _person(username: str, given: str, family: str, roles: tuple[str, ...] = (), /, **more: Any) -> DemoPerson:
    claims = {"name": f"{given} {family}", "given_name": given, "family_name": family, "zoneinfo": "Asia/Jakarta"}
    return DemoPerson(username=username, roles=roles, profile=claims | more)


PEOPLE = (
    _person(
        "siti",
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
    _person(
        "ratna",
        "Ratna",
        "Dewi",
        ("privacy_officer",),
        email="ratna@pdp.example",
        email_verified=True,
    ),
    # The second pair of eyes; and who helps people at the counter.
    _person(
        "wayan",
        "Wayan",
        "Sudarma",
        ("privacy_officer", "assisting_officer"),
        email="wayan@pdp.example",
        email_verified=True,
    ),
)
