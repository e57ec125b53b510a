"""A login of our own leads to one of our own pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.interaction.return_to import check_return_to


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/my/",
        "/my/consents",
        "/my/consents/0b8a7f3e-0000-4000-8000-000000000000",
        "/console",
        "/console/events?kind=granted&since=2026-01-01&purpose=a.b%20c",
        "/console/events.csv",
    ],
)
def test_our_own_pages_are_reached(address: str) -> None:
    assert check_return_to(address) == address


@pytest.mark.threat("N90")
@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "my/consents",
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "https://evil.test/my/",
        "/my//evil.test",
        "/my/..//evil.test",
        "/my/../authorize?client_id=x",
        "/my/./x",
        "/myself",
        "/consoles",
        "/authorize?client_id=x",
        "/my/x#fragment",
        "/my/x\r\nLocation: https://evil.test",
        "/my/x\n",
        "/my/%2e%2e/x",
        "/my/x;y",
        "/my/\u2028",
        "/my/x?to=<script>",
        "javascript:alert(1)",
        "/my/" + "x" * 500,
    ],
)
def test_anything_else_leads_home(address: str | None) -> None:
    assert check_return_to(address) == "/"


@pytest.mark.threat("N90")
@given(
    st.text(max_size=60) | st.text(st.sampled_from("/\\.:@?#%myconsole"), max_size=30).map(lambda text: "/my" + text)
)
def test_whatever_is_reached_is_a_path_of_ours(address: str) -> None:
    reached = check_return_to(address)
    assert reached == "/" or reached.startswith(("/my/", "/my?", "/console")) or reached == "/my"
    assert "//" not in reached
    assert "\\" not in reached
    assert "/." not in reached
