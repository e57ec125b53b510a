"""Settings as a test wants them: an https issuer, so that `__Host-` cookies are real, and a master key of its own."""

import base64
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from consent.vault import Vault
from idp.settings import Settings
from keys.entropy import SystemEntropy
from keys.sealing import MasterKey

ISSUER: Final = "https://idp.test"
MASTER_KEY: Final = base64.b64encode(bytes(range(32))).decode()


def settings_for(database_url: str, folder: Path, **changes: Any) -> Settings:
    """The settings of a provider at `ISSUER` over this database, with changes by name."""
    values: dict[str, Any] = {
        "issuer": ISSUER,
        "database_url": database_url,
        "data_dir": folder,
        "master_key": SecretStr(MASTER_KEY),
        "database_pool_size": 5,
    }
    return Settings(**{**values, **changes})


def a_vault() -> Vault:
    """The vault that goes with `MASTER_KEY`."""
    return Vault(lambda: MasterKey.from_base64(MASTER_KEY), SystemEntropy())
