"""The population office's app: a copy of the family card. `python -m relying_parties.population`."""

from relying_parties.service import Words, run

WORDS = Words(
    slug="population",
    name="Kartu Keluargaku",
    ministry="Direktorat Jenderal Kependudukan dan Pencatatan Sipil",
    greeting="Permohonan salinan kartu keluarga",
    labels={
        "name": "Nama",
        "birthdate": "Tanggal lahir",
        "address": "Alamat",
        "phone_number": "Nomor telepon",
        "urn:satupintu:claims:nik": "NIK",
        "urn:satupintu:claims:verified": "Identitas terverifikasi",
    },
)

if __name__ == "__main__":
    run(WORDS)
