"""Claims in their right types, and the names under which apps know people."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from consent.attributes import ITEMS
from idp.accounts.errors import ProfileRefused
from idp.accounts.profile import CLAIMS, NIK, VERIFIED, check_profile, claims_of, claims_of_scopes
from idp.accounts.subjects import Subjects

ADDRESS = {"formatted": "Jl. Merdeka 1\nJakarta", "country": "ID"}
PROFILE: dict[str, Any] = {
    "name": "Ani Lestari",
    "birthdate": "1990-05-17",
    "email": "ani@example.test",
    "email_verified": True,
    "phone_number_verified": False,
    "address": ADDRESS,
    NIK: "3171234567890123",
    VERIFIED: True,
}


@dataclass(frozen=True)
class Somebody:
    profile: dict[str, Any] = field(default_factory=lambda: PROFILE)
    locale: str | None = "id"
    updated_at: datetime = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@dataclass(frozen=True)
class App:
    client_id: str
    agency_id: str
    subject_type: str = "pairwise"


def test_every_claim_has_its_right_json_type() -> None:
    claims = claims_of(Somebody(), CLAIMS)
    assert claims == {**PROFILE, "locale": "id", "updated_at": 1767323045}
    assert type(claims["email_verified"]) is bool
    assert type(claims["updated_at"]) is int


def test_only_what_was_named_is_told() -> None:
    assert claims_of(Somebody(), {"name", NIK}) == {"name": "Ani Lestari", NIK: "3171234567890123"}
    assert claims_of(Somebody(), set()) == {}


def test_what_we_do_not_know_is_left_out_and_never_null() -> None:
    assert claims_of(Somebody(profile={"name": None, "email": ""}, locale=None), {"name", "email", "locale"}) == {}
    assert claims_of(Somebody(), {"picture", "no_such_claim", "password_hash", "id"}) == {}


@pytest.mark.parametrize(
    "profile",
    [{"email_verified": "true"}, {"email_verified": 1}, {"address": "Jakarta"}, {"name": 5}, {"address": {"x": "y"}}],
)
def test_a_value_of_a_wrong_type_is_neither_kept_nor_told(profile: dict[str, Any]) -> None:
    with pytest.raises(ProfileRefused):
        check_profile(profile)
    assert claims_of(Somebody(profile=profile), profile.keys()) == {}


@pytest.mark.threat("N78")
@pytest.mark.parametrize("claim", ["roles", "sub", "updated_at", "username", "disabled_at"])
def test_a_profile_cannot_carry_what_is_not_a_persons_data(claim: str) -> None:
    with pytest.raises(ProfileRefused):
        check_profile({claim: "x"})


def test_scopes_ask_for_the_claims_of_the_specification() -> None:
    assert claims_of_scopes(["openid", "email"]) == {"email", "email_verified"}
    assert claims_of_scopes(["identity"]) == {NIK, VERIFIED}
    assert claims_of_scopes(["openid", "offline_access", "unknown"]) == frozenset()
    assert {"name", "birthdate", "updated_at"} <= claims_of_scopes(["profile"])


def test_every_claim_is_a_data_item_that_consent_can_name() -> None:
    assert set(CLAIMS) == set(ITEMS)


@pytest.mark.threat("N77")
def test_two_agencies_see_two_subjects_and_one_agency_sees_one() -> None:
    subjects = Subjects(bytes(range(32)))
    health = App("clinic", "ministry of health")
    also_health = App("vaccines", "ministry of health")
    home = App("census", "ministry of home affairs")
    assert subjects.sub_for("ani", health) == subjects.sub_for("ani", also_health)
    assert subjects.sub_for("ani", health) != subjects.sub_for("ani", home)
    assert subjects.sub_for("ani", health) != subjects.sub_for("budi", health)
    assert subjects.sub_for("ani", health) == subjects.sub("ani", "ministry of health")
    assert len(subjects.sub("ani", "ministry of health")) == 43


def test_a_public_subject_is_the_same_everywhere_and_is_no_pairwise_one() -> None:
    subjects = Subjects(bytes(range(32)))
    public = App("a", "one", "public")
    assert subjects.sub_for("ani", public) == subjects.sub_for("ani", App("b", "two", "public"))
    assert subjects.sub_for("ani", public) != subjects.sub("ani", "one")
    assert "ani" not in subjects.sub_for("ani", public)


def test_a_session_has_another_name_for_each_app() -> None:
    subjects = Subjects(bytes(range(32)))
    assert subjects.sid("session", "a") != subjects.sid("session", "b")
    assert subjects.sid("session", "a") == subjects.sid("session", "a")
    assert subjects.sid("x", "y") != subjects.sub("x", "y")


def test_names_depend_on_the_secret_and_a_short_one_is_refused() -> None:
    assert Subjects(bytes(32)).sub("ani", "one") != Subjects(bytes([1] * 32)).sub("ani", "one")
    with pytest.raises(ValueError, match="32 bytes"):
        Subjects(b"short")
