"""What the provider's pages are rendered with in tests: every template, in every shape that it has."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.requests import Request

from consent.attributes import Category, DataItem, Source
from consent.notice import Notice, compose
from consent.purpose_draft import PurposeItem
from consent.purposes import PurposeVersionView
from consent.registry.terms import Terms
from idp.interaction.steps import Answered, Remembered
from tests.support.purposes import TERMS

LAYERS: Final = frozenset({"layout.html", "components.html"})
APP: Final = "Antrean Sehat"
AGENCY: Final = "Kementerian Kesehatan"
PERSON: Final = "Siti Rahmawati"
# As if another agency held it, and the law guarded it more.
PHONE: Final = DataItem(
    "phone_number",
    "Nomor telepon",
    "Phone number",
    "https://w3id.org/dpv/pd#TelephoneNumber",
    Category.SPECIFIC,
    Source("other", "dukcapil", {"id": "Dukcapil", "en": "Population Office"}),
)


def a_request(
    path: str = "/login", *, query: str = "", method: str = "GET", headers: dict[str, str] | None = None
) -> Request:
    """A request as Starlette hands it to a handler."""
    return Request(
        {
            "type": "http",
            "method": method,
            "scheme": "https",
            "server": ("idp.test", 443),
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        }
    )


def a_version(**changes: Any) -> PurposeVersionView:
    """A purpose with one item that is needed and two that may be refused."""
    wanted = (("name", True), ("phone_number", False), ("address", False))
    values: dict[str, Any] = {
        "id": "version",
        "purpose_id": "purpose",
        "agency_id": "agency",
        "agency_code": "kemenkes",
        "agency_names": {"id": AGENCY, "en": "Ministry of Health"},
        "privacy_contact": "pdp@kemenkes.example",
        "code": "kunjungan",
        "version": 1,
        "texts": {
            "id": {"name": "Kunjungan", "description": "Mendaftar\nkunjungan.", "refusal": "Datang ke loket."},
            "en": {"name": "A visit", "description": "To register\na visit.", "refusal": "Come to the desk."},
        },
        "items": tuple(
            PurposeItem(claim=claim, required=required, why={"id": f"Untuk {claim}", "en": f"For {claim}"})
            for claim, required in wanted
        ),
        "legal_basis": "consent",
        "legal_citation": "UU 27/2022 pasal 20 ayat (2) huruf a",
        "retention_days": 365,
        "validity_days": 90,
        "digest": bytes(32),
        "created_at": datetime(2026, 8, 17, tzinfo=UTC),
        "terms": Terms.read({**TERMS, "storage_locations": ["ID", "SG"]}),
        "attributes": {"phone_number": PHONE},
    }
    return PurposeVersionView(**{**values, **changes})


def a_notice(
    language: str, *, app: str = APP, verified: bool = True, offline_access: bool = True, **changes: Any
) -> Notice:
    """The notice of that purpose."""
    version = a_version(**changes)
    return compose(
        version,
        client_id="antrean",
        client_name=app,
        client_is_verified=verified,
        language=language,
        asked=version.claims,
        offline_access=offline_access,
    )


def answered(language: str, app: str, how: str) -> dict[str, Any]:
    """What the page about an earlier answer shows."""
    at = datetime(2026, 8, 17, tzinfo=UTC)
    remembered = Remembered(answered=Answered(how), consent_id="0198b3c2", at=at, until=at + timedelta(days=90))
    return {"app_name": app, "purpose_name": a_version().texts[language]["name"], "remembered": remembered}


def samples(
    language: str, *, app: str = APP, agency: str = AGENCY, person: str = PERSON
) -> list[tuple[str, dict[str, Any]]]:
    """Pairs of template and context."""
    step = {"interaction": "0198b3c2", "csrf": "token"}
    needed = tuple(item for item in a_version().items if item.required)
    law = a_notice(language, app=app, legal_basis="public_task", items=needed, retention_days=0)
    return [
        ("login.html", {**step, "username": "", "error": None, "app_name": app, "agency_name": agency}),
        ("login.html", {**step, "username": app, "error": "Wrong.", "app_name": None, "agency_name": None}),
        ("consent.html", {**step, "shown": "ab", "ticked": frozenset(), "notice": a_notice(language, app=app)}),
        ("consent.html", {**step, "shown": "ab", "notice": a_notice(language, app=app, verified=False)}),
        ("consent.html", {**step, "shown": "ab", "notice": law}),
        ("answered_before.html", {**step, **answered(language, app, "refused")}),
        ("answered_before.html", {**step, **answered(language, app, "paused")}),
        ("select_account.html", {**step, "display_name": person, "app_name": app}),
        ("logout.html", {"csrf": "token", "fields": {"state": app}, "display_name": person, "app_name": app}),
        ("logout.html", {"csrf": "token", "fields": {}, "display_name": person, "app_name": None}),
        ("logged_out.html", {"continue_to": None, "app_name": None}),
        ("logged_out.html", {"continue_to": "https://app.test/", "app_name": app}),
        ("home.html", {"display_name": None, "roles": []}),
        ("home.html", {"display_name": person, "roles": ["privacy_officer"]}),
        ("error.html", {"message": app, "status": 400}),
        ("error.html", {"message": "Something went wrong on our side.", "status": 500}),
        ("error.html", {"message": app, "status": 503}),
        ("form_post.html", {"action": "https://app.test/cb", "fields": {"state": app, "code": "c"}}),
    ]
