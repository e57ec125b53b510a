"""The formats of one record: what each is called, and who writes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from consent.receipts import iso27560, kantara, oauth_grant
from consent.receipts.record import ConsentDocument


@dataclass(frozen=True, slots=True)
class Format:
    """One format: its name in addresses, its media type, and how a record is written in it."""

    name: str
    media_type: str
    export: Callable[[ConsentDocument], dict[str, Any]]


FORMATS: Final[Mapping[str, Format]] = {
    one.name: one
    for one in (
        Format("iso27560", iso27560.MEDIA_TYPE, iso27560.export),
        Format("kantara", kantara.MEDIA_TYPE, kantara.export),
        Format("oauth", oauth_grant.MEDIA_TYPE, oauth_grant.export),
    )
}
