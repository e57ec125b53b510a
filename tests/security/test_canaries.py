"""N91: what is secret is in no log and in no table, and nobody writes a line of the log but we."""

import json
import re
from pathlib import Path

import pytest
from sqlalchemy import select

from idp.audit import AuditEvent
from idp.database import Database
from idp.schema import METADATA
from tests.security.stage import Stage
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.service import Service
from tests.support.settings import MASTER_KEY
from tests.support.token_world import App

pytestmark = pytest.mark.anyio


async def everything_in(database: Database) -> str:
    """Every value of every table, as text; bytes as hexadecimal digits and as the characters that they spell."""
    said = []
    async with database.reading() as session:
        for table in {**{name: one for base in METADATA for name, one in base.tables.items()}}.values():
            for row in (await session.execute(select(table))).all():
                for value in row:
                    if isinstance(value, bytes):
                        said += [value.hex(), value.decode("latin-1")]
                    else:
                        said.append(value if isinstance(value, str) else json.dumps(value, default=str))
    return "\n".join(said)


def cookies_of(user: BrowserUser) -> list[str]:
    return [cookie.value or "" for cookie in user.client.cookies.jar if cookie.name != "__Host-lang"]


@only_sqlite
@pytest.mark.processes
@pytest.mark.threat("N91", "N20")
async def test_no_secret_of_a_whole_journey_is_in_the_servers_log_or_in_its_database(service: Service) -> None:
    """A real server, its whole log, every table, and the bytes of the database's files."""
    canaries = {"wrong password": "CANARY-kata-sandi-salah", "password as username": "CANARY-di-kolom-nama"}
    user, app = service.browser(), service.app("health")
    await service.ask(user, app, "health")
    await user.log_in("siti", canaries["wrong password"])
    await user.log_in(canaries["password as username"], "x")
    await user.log_in('siti\r\n{"event": "forged"}', "x")
    await user.log_in("siti", service.password("siti"))
    canaries["password"] = service.password("siti")
    await user.allow()
    code = user.callback_parameters["code"]
    assert app.attempt is not None
    canaries |= {"code": code, "verifier": app.attempt.code_verifier}
    first = (await service.redeem(app, "health", code, at=0)).json()
    second = (await service.refresh("health", first["refresh_token"], at=0)).json()
    for number, tokens in enumerate((first, second)):
        canaries |= {f"{name} {number}": tokens[name] for name in ("access_token", "refresh_token", "id_token")}
    assert await service.lives("health", second["access_token"]) == {(200, True)}
    canaries["client secret"] = next(
        one.client_secret or "" for one in service.world.state.apps if one.name == "health"
    )
    canaries["basic"] = service.basic("health")["Authorization"].partition(" ")[2]
    for secret in ("CANARY-wrong-secret", canaries["client secret"]):
        form = {"client_id": "sehat-bersama", "client_secret": secret, "token": first["access_token"]}
        await service.post("/introspect", at=0, data=form)
        await service.post(f"/introspect?token={first['access_token']}&client_secret={secret}", at=0, data=form)
    canaries["wrong client secret"] = "CANARY-wrong-secret"
    await service.redeem(app, "health", code, at=0)
    await service.refresh("health", "CANARY-refresh-token", at=0)
    canaries["invented token"] = "CANARY-refresh-token"
    await user.open(f"/authorize?code={code}&client_id=CANARY%0d%0a&redirect_uri=x")
    await user.open("/my/consents")
    canaries |= {f"cookie {number}": value for number, value in enumerate(cookies_of(user))}
    await user.open("/end_session", id_token_hint=second["id_token"])
    canaries["master key"] = MASTER_KEY
    kept = await everything_in(service.database)
    log = service.processes[0].log
    assert "login.succeeded" in log
    assert "login.refused" in log
    assert "login.succeeded" in kept
    files = b"".join(path.read_bytes() for path in database_files(service))
    for name, canary in canaries.items():
        assert len(canary) > 8, name
        assert canary not in log, name
        assert canary not in kept, name
        assert canary.encode() not in files, name
    person = ("Siti Rahayu", "siti@warga.example", "9904035505900001", "1990-05-15", "Jalan Melati", "5550-0001")
    assert not any(datum in log for datum in person), "who a person is, is not in the log"
    for line in log.splitlines():
        assert line.startswith(("{", "satupintu: ")), line
        if line.startswith("{"):
            assert json.loads(line)["event"] != "forged"


def database_files(service: Service) -> list[Path]:
    path = Path(service.settings.url.partition(":///")[2])
    found = list(path.parent.glob(f"{path.name}*"))
    assert found
    return found


@pytest.mark.threat("N91")
async def test_a_hostile_name_writes_no_second_line_into_the_log_or_the_audit(
    stage: Stage, web_app: App, user: BrowserUser, capsys: pytest.CaptureFixture[str]
) -> None:
    await stage.begin(user, web_app)
    for hostile in ("siti\r\n2026 [info] login.succeeded account_id=forged", "a\nb", "a\u2028b", "\x1b[2Ja"):
        await user.log_in(hostile, "wrong-password")
    strange = {"Authorization": "Basic Zm9yZ2VkXG46eA=="}
    await stage.http.post("/token", data={"grant_type": "a\r\nforged"}, headers=strange | web_app.basic)
    async with stage.provider.database.reading() as session:
        rows = (await session.execute(select(AuditEvent.detail, AuditEvent.client_id))).all()
    assert rows
    assert "forged" not in json.dumps([row.detail for row in rows])
    out, err = capsys.readouterr()
    assert not re.search(r"^\S*forged", out + err, re.MULTILINE)
