"""Who used my data: the citizen's page, and the numbers for everybody."""

import re
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert
from starlette.applications import Starlette

from consent.http import uses as pages
from consent.log.entries import append
from consent.uses.disclosure import Disclosure, write
from consent.uses.models import ExpectedUse, Use
from consent.vault import key_of
from keys.entropy import new_row_id
from tests.consent.http.window import Window
from tests.consent.registry import APP, BUDI, SITI, write_agency
from tests.support.databases import only_sqlite

pytestmark = pytest.mark.anyio


async def get(window: Window, path: str, subject_id: str | None = SITI, locale: str = "en") -> httpx2.Response:
    app = Starlette(routes=pages.routes(window.ports))
    headers = {"x-locale": locale} | ({"x-subject": subject_id} if subject_id is not None else {})
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="https://idp.test", headers=headers
    ) as browser:
        return await browser.get(path)


async def use(window: Window, **changes: Any) -> str:
    """Writes a use of Siti's data down: her name and email went to the app, by her consent, as the provider saw."""
    now = window.clock()
    values: dict[str, Any] = {
        "id": new_row_id(window.entropy, now),
        "at": now,
        "subject_id": SITI,
        "consent_id": None,
        "purpose_version_id": window.version.id,
        "agency_id": window.version.agency_id,
        "client_id": APP,
        "action": "userinfo",
        "items": ("email", "name"),
    }
    said = Disclosure(**{**values, **changes})
    async with window.database.transaction() as session:
        key = await key_of(session, said.subject_id, now=now)
        written = write(said, key, entropy=window.entropy)
        await session.execute(insert(Use), [written.use])
        await append(session, [written.entry])
    return said.id


async def agency(window: Window, code: str) -> str:
    async with window.database.transaction() as session:
        return await write_agency(session, now=window.clock(), entropy=window.entropy, code=code)


async def test_a_use_says_who_received_what_when_and_by_which_consent(window: Window) -> None:
    await use(window, consent_id="0198b3c2-4d5e-7f60-8123-456789abcdef")
    await use(window, subject_id=BUDI, items=("gender",))
    page = (await get(window, "/my/uses")).text
    for words in (
        "Ministry of kesehatan",
        "Sehat &lt;b&gt;Bersama&lt;/b&gt;",
        "17 August 2026 at 10:00 WIB",
        "2 data items: Email address, Full name",
        "A visit",
        "By your consent",
        "Satu Pintu, which saw it itself",
        "/my/consents/0198b3c2-4d5e-7f60-8123-456789abcdef",
    ):
        assert words in page, words
    assert "Gender" not in page, "another person's"


@only_sqlite
async def test_in_indonesian_too(window: Window) -> None:
    await use(window)
    page = (await get(window, "/my/uses", locale="id")).text
    assert "Siapa yang memakai data saya" in page
    assert "Kunjungan" in page


async def test_a_use_without_a_consent_names_its_law_and_one_without_a_basis_is_called_so(window: Window) -> None:
    dukcapil = await agency(window, "dukcapil")
    reported = {"provider_agency_id": dukcapil, "evidence": "reported", "action": "lookup"}
    await use(
        window,
        legal_basis="public_task",
        legal_citation="UU 24/2013 pasal 58",
        system="SIAK",
        reason="verifikasi",
        **reported,
    )
    wrong = await use(window, legal_basis="none", **reported)
    page = (await get(window, "/my/uses")).text
    for words in ("Without your consent, by law", "Public task: UU 24/2013 pasal 58", "SIAK", "verifikasi"):
        assert words in page, words
    assert "Ministry of dukcapil</bdi>, which reported it" in page
    assert f'id="use-{wrong}" data-basis="none"' in page
    assert "This should not have happened" in page
    assert "pdp@dukcapil.example" in page


async def test_what_is_to_be_seen_later_is_not_there_before_and_then_says_by_which_law(window: Window) -> None:
    dukcapil = await agency(window, "dukcapil")
    until = window.clock() + timedelta(days=1)
    hidden = await use(
        window,
        provider_agency_id=dukcapil,
        evidence="reported",
        legal_basis="legal_obligation",
        legal_citation="UU 8/1981",
        seen_from=until,
        delay_basis="UU 27/2022 pasal 15",
    )
    page = (await get(window, "/my/uses")).text
    assert 'id="no-uses"' in page
    numbers = (await get(window, "/register/uses", None)).text
    assert "18 August 2026" in numbers
    window.clock.advance(days=1)
    page = (await get(window, "/my/uses")).text
    assert hidden in page
    assert "UU 27/2022 pasal 15" in page


async def test_a_long_list_goes_on_and_ends(window: Window) -> None:
    ids = []
    for _ in range(pages.PAGE + 3):
        window.clock.advance(60)
        ids.append(await use(window))
    first = (await get(window, "/my/uses")).text
    found = [one for one in ids if one in first]
    assert found == ids[3:]
    older = first.split('id="older" href="')[1].split('"')[0]
    second = (await get(window, older.replace("&amp;", "&"))).text
    assert [one for one in ids if one in second] == ids[:3]
    assert 'id="older"' not in second
    assert 'id="newer"' in second
    for broken in ("x", "1-2", "9" * 19 + "-" + "0" * 32):
        assert (await get(window, f"/my/uses?older={broken}")).status_code == 200


async def test_the_list_can_be_of_one_agency(window: Window) -> None:
    other = await agency(window, "desa")
    health, village = await use(window), await use(window, agency_id=other)
    everything = (await get(window, "/my/uses")).text
    assert '<option value="desa">' in everything
    page = (await get(window, "/my/uses?agency=desa")).text
    assert village in page
    assert health not in page
    assert '<option value="desa" selected>' in page
    assert health in (await get(window, "/my/uses?agency=nobody")).text, "an unknown agency filters nothing"


@only_sqlite
async def test_nobody_sees_it_without_logging_in(window: Window) -> None:
    await use(window)
    answer = await get(window, "/my/uses", None)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?to=/my/uses")


async def test_the_numbers_are_for_everybody_and_are_numbers_only(window: Window) -> None:
    dukcapil = await agency(window, "dukcapil")
    reported = {"provider_agency_id": dukcapil, "evidence": "reported", "action": "lookup", "reason": "secret-reason"}
    await use(window)
    await use(window, **reported)
    await use(window, legal_basis="none", **reported)
    expected = [("jti-1", "token", None), ("jti-2", "token", window.clock()), ("check-1", "check", None)]
    async with window.database.transaction() as session:
        await session.execute(
            insert(ExpectedUse),
            [
                {
                    "reference": reference,
                    "provider_agency_id": dukcapil,
                    "kind": kind,
                    "at": window.clock(),
                    "agency_id": window.version.agency_id,
                    "client_id": APP,
                    "consent_id": None,
                    "reported_at": reported_at,
                }
                for reference, kind, reported_at in expected
            ],
        )
    assert 'id="no-agencies"' in (await get(window, "/register/uses", None)).text, "reports are due within a day"
    window.clock.advance(days=1, seconds=1)
    page = (await get(window, "/register/uses", None)).text
    table = page.split('id="agencies"')[1]
    assert re.findall(r"<td[^>]*>(?:<[^>]*>)*([0-9]+)<", table) == ["3", "1", "2", "2", "1", "0"]
    assert "Satu Pintu gave data 1 time" in page
    for secret in (SITI, "secret-reason", "jti-1", APP):
        assert secret not in page
