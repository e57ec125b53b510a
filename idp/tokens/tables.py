"""The token tables for Core statements: on the hot path, the ORM would cost more than everything else together."""

from typing import Any, Final, TypeAlias, cast

from sqlalchemy import Select, Table

from idp.tokens.models import AccessToken, Authorization, RefreshToken

AUTHORIZATIONS: Final = cast(Table, Authorization.__table__)
ACCESS_TOKENS: Final = cast(Table, AccessToken.__table__)
REFRESH_TOKENS: Final = cast(Table, RefreshToken.__table__)

# A statement of many columns: its rows are read by position into a dataclass that has the types.
AnySelect: TypeAlias = Select[*tuple[Any, ...]]
