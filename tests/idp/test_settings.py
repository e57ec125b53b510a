"""Settings that are unsafe, or that nobody reads, refuse to start."""

import os
from typing import Any

import pytest

from idp.settings import Settings

PRODUCTION: dict[str, Any] = {
    "mode": "production",
    "issuer": "https://masuk.example",
    "master_key": "x",
    "database_url": "postgresql+asyncpg://db/satupintu",
}


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SATUPINTU_")]:
        monkeypatch.delenv(name)


def test_a_misspelt_setting_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATUPINTU_ISUER", "https://masuk.example")
    with pytest.raises(ValueError, match="there is no setting SATUPINTU_ISUER"):
        Settings.from_environment()


def test_known_settings_are_read_in_either_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATUPINTU_ISSUER", "https://masuk.example")
    monkeypatch.setenv("satupintu_code_lifetime", "30")
    settings = Settings.from_environment()
    assert (settings.issuer, settings.code_lifetime) == ("https://masuk.example", 30)


def test_production_starts_with_https_a_master_key_and_postgresql() -> None:
    assert Settings(**PRODUCTION).mode == "production"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"issuer": "ftp://masuk.example"}, "must be an http"),
        ({"issuer": "https://"}, "must be an http"),
        ({"issuer": "https://masuk.example/"}, "trailing slash"),
        ({"issuer": "https://masuk.example?a=b"}, "no query"),
        ({"issuer": "https://masuk.example#a"}, "no query, fragment"),
        ({"issuer": "https://ani@masuk.example"}, "no query, fragment, user"),
        ({"issuer": "http://masuk.example"}, "on this machine only"),
        ({"trusted_proxies": ("the proxy",)}, "the proxy"),
        ({"refresh_idle_lifetime": 120, "refresh_absolute_lifetime": 60}, "must not exceed"),
        ({"code_lifetime": 61}, "code_lifetime"),
        ({**PRODUCTION, "issuer": "http://localhost:8000"}, "needs an https issuer"),
        ({**PRODUCTION, "master_key": None}, "needs SATUPINTU_MASTER_KEY_FILE"),
        ({**PRODUCTION, "database_url": ""}, "needs PostgreSQL"),
    ],
)
def test_settings_are_refused_when(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings(**settings)
