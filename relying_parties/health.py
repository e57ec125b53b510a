"""The Ministry of Health's app: registering for a visit to a health centre. `python -m relying_parties.health`."""

from relying_parties.service import Words, run

WORDS = Words(
    slug="health",
    name="Sehat Bersama",
    ministry="Kementerian Kesehatan",
    greeting="Pendaftaran kunjungan puskesmas",
    labels={
        "name": "Nama",
        "birthdate": "Tanggal lahir",
        "gender": "Jenis kelamin",
        "phone_number": "Nomor telepon",
        "email": "Surel",
        "address": "Alamat",
        "urn:satupintu:claims:nik": "NIK",
    },
)

if __name__ == "__main__":
    run(WORDS)
