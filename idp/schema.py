"""Every table that the product has: the metadata that migrations are compared with.

A module that defines tables is imported here; a test fails when one is forgotten.
"""

from typing import Final

from sqlalchemy import MetaData

import consent.erasure.models
import consent.govstack.models
import consent.log.models
import consent.models
import consent.receipts.models
import consent.registry.models
import consent.uses.models
import consent.vault
import consent.withdrawal.models
import idp.accounts.models
import idp.audit
import idp.clients.models
import idp.database
import idp.interaction.models
import idp.login.known_browsers
import idp.replay
import idp.sessions.models
import idp.status_list.models
import idp.throttle
import idp.tokens.models
import keys.models

METADATA: Final[tuple[MetaData, ...]] = (
    keys.models.Base.metadata,
    consent.models.Base.metadata,
    idp.database.Base.metadata,
)
