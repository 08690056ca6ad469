"""`doctor` as a whole: order, exit codes, what goes on after a failure, and what is never said."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections import namedtuple
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml

from brokersync import cli, doctor
from brokersync.output import Output
from config.settings import DEFAULT_RULES
from sync.check import Level
from tests.clock import WorldClock
from tests.contracts.world import world

CSV = "client_id,email,registered_at,updated_at\nC-1,ana@example.com,2026-03-01,2026-03-02\n"
SECRET = "pat-na1-never-shown"
AWAY = "http://127.0.0.1:9"  # nobody listens there

COLUMNS = (
    "brand entity email_verified first_name last_name phone country language zone device consents"
    " landing_page source_type campaign disposition merged_into deleted"
)


def _settings(**changes: Any) -> dict[str, Any]:
    return {
        "brands": {"north": {"zone": "UTC", "destination": "hubspot"}},
        "connections": {
            "clients": {"type": "registry", "file": "clients.csv",
                        "columns": dict.fromkeys(COLUMNS.split(), "")},
            "kyc": {"type": "sumsub", "base_url": AWAY, "app_token": SECRET, "secret_key": SECRET,
                    "max_attempts": 1},
        },
        "destinations": {"hubspot": {"type": "hubspot", "base_url": AWAY, "access_token": SECRET,
                                     "max_attempts": 1}},
        **changes,
    }  # fmt: skip


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clients.csv").write_text(CSV)
    return tmp_path


def _doctor(folder: Path, **changes: Any) -> tuple[Level, list[dict[str, Any]]]:
    """How bad it is, and what was found."""
    (folder / "brokersync.yaml").write_text(yaml.safe_dump(_settings(**changes)))
    text = io.StringIO()
    with redirect_stdout(text):
        worst = doctor.doctor(Output(as_json=True), folder / "brokersync.yaml", WorldClock(world()))
    assert SECRET not in text.getvalue()
    assert "ana@" not in text.getvalue()
    found = json.loads(text.getvalue())
    assert found["problems"] == sum(c["level"] == "problem" for c in found["checks"])
    return worst, found["checks"]


def _of(checks: list[dict[str, Any]], where: str) -> dict[str, str]:
    return {c["what"]: c["level"] for c in checks if c["where"] == where}


def test_what_is_away_stops_nothing_else(folder: Path) -> None:
    worst, checks = _doctor(folder)
    assert worst is Level.PROBLEM
    assert list(dict.fromkeys(c["where"] for c in checks)) == [
        "configuration", "database", "source clients", "source kyc", "destination hubspot", "rules",
    ]  # fmt: skip
    assert _of(checks, "database") == {"access": "ok", "disk": "ok"}
    assert _of(checks, "source clients") == {"access": "ok", "first page": "ok"}
    assert _of(checks, "source kyc") == {"access": "problem", "first page": "warning"}
    assert _of(checks, "destination hubspot")["access"] == "problem"
    assert _of(checks, "destination hubspot")["owners"] == "warning"
    assert _of(checks, "rules") == {"": "ok"}
    assert "psp" in next(c["text"] for c in checks if c["where"] == "rules")


def test_a_wrong_configuration_is_all_there_is_to_say(folder: Path) -> None:
    worst, checks = _doctor(folder, databse="x")
    assert (worst, len(checks)) == (Level.PROBLEM, 1)
    assert "databse" in checks[0]["text"]
    assert "line 1" in checks[0]["text"] or "line" in checks[0]["text"]


def test_wrong_rules_leave_the_connections_to_be_looked_at(folder: Path) -> None:
    text = DEFAULT_RULES.read_text(encoding="utf-8")
    (folder / "rules.yaml").write_text(text.replace("deposits > 0", "deposits > ", 1))
    worst, checks = _doctor(folder, rules="rules.yaml")
    assert worst is Level.PROBLEM
    assert _of(checks, "rules") == {"": "problem"}
    assert "rules.yaml, line " in checks[-1]["text"]
    assert _of(checks, "source clients")["access"] == "ok"


@pytest.mark.parametrize(
    "database", ["sqlite:////nowhere/hub.db", "postgresql+psycopg://u:hunter2@127.0.0.1:9/x"]
)
def test_a_database_that_cannot_be_used(folder: Path, database: str) -> None:
    worst, checks = _doctor(folder, database=database)
    assert worst is Level.PROBLEM
    assert _of(checks, "database") == {"access": "problem"}
    assert "hunter2" not in str(checks)
    assert _of(checks, "source clients")["access"] == "ok"


def test_a_database_that_may_only_be_read(folder: Path) -> None:
    _doctor(folder)
    file = folder / "brokersync.db"
    _, checks = _doctor(folder, database=f"sqlite:///file:{file}?mode=ro&uri=true")
    assert _of(checks, "database")["access"] == "problem"


@pytest.mark.parametrize(("free", "level"), [(10**8, "problem"), (10**9, "warning")])
def test_a_disk_that_is_nearly_full(
    folder: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, free))
    _, checks = _doctor(folder)
    assert _of(checks, "database")["disk"] == level


def test_settings_a_connector_refuses_are_a_line(folder: Path) -> None:
    brands = {n: {"zone": "UTC", "destination": "hubspot"} for n in ("north", "south")}
    connections = _settings()["connections"]
    connections["kyc"]["brand"] = "north"
    _, checks = _doctor(folder, brands=brands, connections=connections)
    assert _of(checks, "source clients") == {"settings": "problem"}
    assert _of(checks, "source kyc")["access"] == "problem"


def test_people_read_lines_and_the_exit_code(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "brokersync.yaml").write_text(yaml.safe_dump(_settings()))
    code = cli.run(lambda: cli.app(["doctor"], standalone_mode=False))
    out = capsys.readouterr().out
    assert code == cli.USAGE
    assert "ok       source clients: access: " in out
    assert "PROBLEM  source kyc: access: kyc: " in out
    last = out.splitlines()[-1]
    assert re.fullmatch(r"(1 problem|\d\d* problems), (1 warning|\d\d* warnings)\.", last), last
    assert not re.search(r"\b1 (problems|warnings)", last)
    assert SECRET not in out
