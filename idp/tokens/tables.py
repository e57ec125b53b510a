"""The token tables for Core statements: on the hot path, the ORM would cost more than everything else together."""

from typing import Final, cast

from sqlalchemy import Table

from idp.tokens.models import AccessToken, Authorization, RefreshToken

AUTHORIZATIONS: Final = cast(Table, Authorization.__table__)
ACCESS_TOKENS: Final = cast(Table, AccessToken.__table__)
REFRESH_TOKENS: Final = cast(Table, RefreshToken.__table__)
