"""A record as an OAuth grant: what an app's authorization software reads.

It says what may flow now, so it carries nothing of a consent that is not in force but that it is not. The form is the
one that Grant Management answers a look at a grant with; the purpose is a rich authorization detail of our type.
Spec: OAuth 2.0 Rich Authorization Requests (RFC 9396) §2, §7; Grant Management for OAuth 2.0 (draft) §7.2.
"""

from collections.abc import Mapping
from typing import Any, Final

from consent.receipts.errors import RecordRefused
from consent.receipts.record import ConsentDocument
from consent.statuses import PERMITTING

MEDIA_TYPE: Final = "application/json"
DETAIL_TYPE: Final = "satupintu_purpose"
_OPENID: Final = "openid"
_OFFLINE: Final = "offline_access"


def export(record: ConsentDocument) -> dict[str, Any]:
    """The grant. `grant_id` is the consent's own id: one consent is one grant."""
    process = record.processing
    newest = record.events[-1]
    flows = newest.status in PERMITTING
    granted = list(record.granted) if flows else []
    scopes = [_OPENID, *([_OFFLINE] if process.offline_access else [])] if flows else []
    detail = {
        "type": DETAIL_TYPE,
        "purpose": process.purpose_code,
        "purpose_version": process.purpose_version,
        "purpose_hash": process.purpose_hash,
        "datatypes": granted,
        "fetch_type": process.fetch_type,
        **({"agreement": process.agreement.code} if process.agreement else {}),
        **({"use_limit": process.use_limit} if process.use_limit is not None else {}),
        **({"use_window": process.use_window} if process.use_window is not None else {}),
    }
    return {
        "grant_id": record.record_id,
        "sub": record.pii_principal_id,
        "status": newest.status,
        "updated_at": newest.event_time,
        "valid_for": newest.validity_duration,
        "scopes": [{"scope": scope} for scope in scopes],
        "claims": granted,
        "authorization_details": [detail],
    }


def read(grant: Any) -> dict[str, Any]:
    """What a grant carries of a record, in the record's own words. Error: `RecordRefused`."""
    try:
        return _read(grant)
    except (KeyError, TypeError, AttributeError, ValueError) as wrong:
        raise RecordRefused(f"this is no grant of one purpose: {wrong!r}") from None


def _read(grant: Mapping[str, Any]) -> dict[str, Any]:
    (detail,) = grant["authorization_details"]
    if detail["type"] != DETAIL_TYPE or detail["datatypes"] != grant["claims"]:
        raise RecordRefused("the grant's detail is of another type, or says something else than its claims")
    return {
        "record_id": grant["grant_id"],
        "pii_principal_id": grant["sub"],
        "status": grant["status"],
        "event_time": grant["updated_at"],
        "validity_duration": grant["valid_for"],
        "granted": list(grant["claims"]),
        "processing": {
            "purpose_code": detail["purpose"],
            "purpose_version": detail["purpose_version"],
            "purpose_hash": detail["purpose_hash"],
            "fetch_type": detail["fetch_type"],
            "use_limit": detail.get("use_limit"),
            "use_window": detail.get("use_window"),
            "offline_access": {"scope": _OFFLINE} in grant["scopes"],
            "agreement": detail.get("agreement"),
        },
    }
