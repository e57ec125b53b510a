"""The demonstration's registry: three agencies, what they hold, ask for and agreed on. All of it is invented."""

from dataclasses import dataclass, field
from typing import Any, Final

from consent.registry.review import CODES, Review
from idp.accounts.profile import NIK, VERIFIED

# Who writes and who reviews: of every agency two people, of the operator one. Nobody is two of them.
WRITERS: Final = {
    "kemenkes": "Dewi Lestari, Kementerian Kesehatan",
    "dukcapil": "Agus Pratama, Dukcapil",
    "kemensos": "Rina Wulandari, Kementerian Sosial",
}
OFFICERS: Final = {
    "kemenkes": "Hendra Gunawan, pejabat pelindungan data Kementerian Kesehatan",
    "dukcapil": "Maya Kartika, pejabat pelindungan data Dukcapil",
    "kemensos": "Yusuf Hidayat, pejabat pelindungan data Kementerian Sosial",
}
OPERATOR: Final = "Lukman Hakim, Satu Pintu"

FAMILY_CARD: Final = "urn:satupintu:data:dukcapil:family_card_number"

AGENCIES: Final[tuple[dict[str, Any], ...]] = (
    {
        "code": "kemenkes",
        "names": {"id": "Kementerian Kesehatan", "en": "Ministry of Health"},
        "contact": "Jalan Contoh 1, Jakarta; 021-5550001",
        "privacy_contact": "pdp@kemenkes.example",
        "website": "https://kemenkes.example",
        "address": "Jalan Contoh 1, Jakarta 10110",
        "email": "layanan@kemenkes.example",
        "phone": "+62 21 5550001",
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
        "address": "Jalan Contoh 2, Jakarta 12560",
        "email": "layanan@dukcapil.example",
        "phone": "+62 21 5550002",
    },
    {
        "code": "kemensos",
        "names": {"id": "Kementerian Sosial", "en": "Ministry of Social Affairs"},
        "contact": "Jalan Contoh 3, Jakarta; 021-5550003",
        "privacy_contact": "pdp@kemensos.example",
        "website": "https://kemensos.example",
        "address": "Jalan Contoh 3, Jakarta 10430",
        "email": "layanan@kemensos.example",
        "phone": "+62 21 5550003",
    },
)

# What agencies hold, which never passes through Satu Pintu.
ATTRIBUTES: Final[tuple[dict[str, Any], ...]] = (
    {
        "agency": "dukcapil",
        "name": "family_card_number",
        "labels": {"id": "Nomor kartu keluarga", "en": "Family card number"},
        "category": "family",
        "dpv_iri": "https://w3id.org/dpv/pd#OfficialID",
    },
    {
        "agency": "kemenkes",
        "name": "immunisation_record",
        "labels": {"id": "Catatan imunisasi", "en": "Immunisation record"},
        "category": "health",
        "dpv_iri": "https://w3id.org/dpv/pd#HealthRecord",
    },
)


def _item(claim: str, indonesian: str, english: str, *, required: bool = False) -> dict[str, Any]:
    return {"claim": claim, "required": required, "why": {"id": indonesian, "en": english}}


def _terms(operations: tuple[str, ...], **changes: Any) -> dict[str, Any]:
    terms: dict[str, Any] = {
        "dpv_purpose_iri": "https://w3id.org/dpv#RequestedServiceProvision",
        "processing": [f"https://w3id.org/dpv#{operation}" for operation in operations],
        "collection_method": {
            "id": "Dikirim oleh Satu Pintu dari akun Anda.",
            "en": "Sent by Satu Pintu from your account.",
        },
        "storage_locations": ["ID"],
        "processing_locations": ["ID"],
        "geographic_restrictions": ["ID"],
        "recipients": [],
        "withdrawal_method": {
            "id": "Di Satu Pintu, menu Persetujuan saya. Berlaku seketika.",
            "en": "In Satu Pintu, under My consents. It takes effect at once.",
        },
        "privacy_rights": [
            "information",
            "correction",
            "access",
            "erasure",
            "withdrawal",
            "restriction",
            "portability",
        ],
        "jurisdiction": "ID",
        "authority": {
            "names": {
                "id": "Kementerian Komunikasi dan Digital",
                "en": "Ministry of Communication and Digital Affairs",
            },
            "contact": "https://komdigi.example/pdp",
        },
        "codes_of_conduct": [],
    }
    return {**terms, **changes}


PURPOSES: Final[tuple[dict[str, Any], ...]] = (
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
                "description": "Your data is used to put you in the queue at the health centre. "
                "It also matches you with your medical record.",
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
        "terms": _terms(
            ("Collect", "Store", "Match", "Use"),
            service={"id": "Antrean puskesmas", "en": "The queue at health centres"},
            impact_assessment={"url": "https://kemenkes.example/dpia/kunjungan", "date": "2026-02-16"},
        ),
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
        "terms": _terms(
            ("Collect", "Use", "Transmit"),
            service={"id": "Salinan dokumen kependudukan", "en": "Copies of civil documents"},
            recipients=[
                {
                    "names": {"id": "PT Pos Contoh", "en": "Example Post"},
                    "party_type": "company",
                    "role": "processor",
                    "why": {"id": "Untuk mengantar salinan ke alamat Anda", "en": "To bring the copy to your address"},
                }
            ],
        ),
    },
    {
        "agency": "kemensos",
        "code": "penyaluran-bantuan",
        "texts": {
            "id": {
                "name": "Menyalurkan bantuan sosial",
                "description": "Data ini dipakai untuk memastikan bahwa bantuan sampai pada keluarga yang berhak, "
                "satu kali untuk setiap keluarga.",
                "refusal": "Anda dapat menyerahkan salinan kartu keluarga di kantor desa.",
            },
            "en": {
                "name": "Hand out social assistance",
                "description": "Your data is used to make sure that assistance reaches the right families. "
                "Each family gets it once.",
                "refusal": "You can hand in a copy of your family card at the village office.",
            },
        },
        "items": [
            _item("name", "Untuk menulis nama penerima", "To write the recipient's name", required=True),
            _item(NIK, "Untuk mencari Anda di daftar penerima", "To find you in the list", required=True),
            _item(FAMILY_CARD, "Untuk menghitung satu kali per keluarga", "To count each family once", required=True),
        ],
        "legal_basis": "public_task",
        "legal_citation": "UU 27/2022 pasal 20 ayat (2) huruf e; UU 13/2011 pasal 8",
        "retention_days": 365,
        "validity_days": 365,
        "use_limit": 4,
        "use_window_days": 365,
        "terms": _terms(
            ("Collect", "Match", "Use", "Store"),
            dpv_purpose_iri="https://w3id.org/dpv#PublicBenefit",
            service={"id": "Bantuan sosial", "en": "Social assistance"},
            collection_method={
                "id": "Nama dan NIK dikirim oleh Satu Pintu. Nomor kartu keluarga diambil langsung dari Dukcapil.",
                "en": "Name and NIK are sent by Satu Pintu. The family card number comes straight from Dukcapil.",
            },
            withdrawal_method={
                "id": "Dasarnya bukan persetujuan. Keberatan dapat disampaikan ke pdp@kemensos.example.",
                "en": "It does not rest on consent. To object, write to pdp@kemensos.example.",
            },
            privacy_rights=["information", "correction", "access", "restriction", "compensation"],
            impact_assessment={"url": "https://kemensos.example/dpia/bantuan", "date": "2026-03-02"},
        ),
    },
)

# A version that waits for its second reviewer, so that there is something to look at in the console.
PROPOSALS: Final[tuple[dict[str, Any], ...]] = ({**PURPOSES[2], "retention_days": 180, "compatible_with": [1]},)

AGREEMENTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "code": "dukcapil-kemensos-bantuan",
        "provider": "dukcapil",
        "recipient": "kemensos",
        "purpose_code": "penyaluran-bantuan",
        "instrument": {
            "kind": "cooperation_agreement",
            "number": "PKS-12/2026",
            "title": "Pemanfaatan data kependudukan untuk penyaluran bantuan sosial",
            "date": "2026-01-12",
            "url": "https://kemensos.example/pks/12-2026",
        },
        "items": [FAMILY_CARD],
        "use_limit": 4,
        "use_window_days": 365,
        "data_life_days": 365,
    },
)


@dataclass(frozen=True)
class Answers:
    """What both reviewers of a demonstration's purpose answer."""

    public_task_applies: bool
    reason: str
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def review(self) -> Review:
        """The review that they sign."""
        return Review(
            confirmed=CODES,
            public_task_applies=self.public_task_applies,
            public_task_reason=self.reason,
            reasons=self.reasons,
        )


ANSWERS: Final = {
    "kunjungan-puskesmas": Answers(
        public_task_applies=False,
        reason="The queue is a convenience: whoever says no is served at the desk all the same.",
    ),
    "salinan-kartu-keluarga": Answers(
        public_task_applies=False,
        reason="Nobody has to order a copy online, and the office needs no data before somebody does.",
    ),
    "penyaluran-bantuan": Answers(
        public_task_applies=True,
        reason="By law the ministry sees that assistance reaches those entitled to it; a refusal could not stop it.",
    ),
}
