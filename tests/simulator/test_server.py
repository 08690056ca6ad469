"""``python -m simulator`` as a process: what it prints, serves, and how it ends."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS
from simulator.truth import profile

ROOT = Path(__file__).resolve().parents[2]
SIZE = ["--seed", "5", "--clients", "60", "--days", "20", "--day", "10"]


@contextmanager
def _running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, "-m", "simulator", "--stdin-guard", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
        process.kill()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('simulator') / 'registry.db'}"
    with _running(*SIZE, "--registry-url", url) as (_, told):
        yield told


def _control(told: dict[str, Any], method: str, path: str, body: Any = None) -> dict[str, Any]:
    answer = httpx.request(method, told["control"] + path, json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_it_says_where_everything_is(running: dict[str, Any]) -> None:
    assert set(running) == {
        "control", "clock", "clock_file", "start_ms", "story_ms", "now_ms", "end_ms",
        "live_from_ms", "registry", "brands", "hubspot", "salesforce",
    }  # fmt: skip
    assert running["live_from_ms"] == running["start_ms"] + 10 * DAY_MS
    assert set(running["brands"]) == {"alpha", "beta"}
    assert running["brands"]["alpha"]["rates"]["EUR"] == "1.10"
    assert running["hubspot"]["teams"]["payments"]["queue"]


def test_each_fake_answers_on_its_port(running: dict[str, Any]) -> None:
    for brand in running["brands"].values():
        psp = brand["paymentiq"]
        pair = base64.b64encode(f"{psp['client_id']}:{psp['client_secret']}".encode()).decode()
        token = httpx.post(
            f"{psp['base_url']}/paymentiq/oauth/token?grant_type=client_credentials",
            headers={"authorization": f"Basic {pair}"},
        ).json()["access_token"]
        page = httpx.get(
            f"{psp['base_url']}/paymentiq/admin/v1/payments?merchantId={psp['merchant_id']}",
            headers={"authorization": f"Bearer {token}"},
        ).json()
        assert page
        assert {row["merchantId"] for row in page} == {psp["merchant_id"]}
        assert _applicant(brand["sumsub"], "no-such-client", _clock(running)).status_code == 404
    portal = running["hubspot"]
    owners = httpx.get(
        f"{portal['base_url']}/crm/v3/owners?limit=100",
        headers={"authorization": f"Bearer {portal['access_token']}"},
    ).json()["results"]
    known = {owner["id"] for owner in portal["owners"] if not owner["archived"]}
    assert {owner["id"] for owner in owners} == known


def _applicant(access: dict[str, str], client_id: str, now_ms: int) -> httpx.Response:
    path = f"/resources/applicants/-;externalUserId={client_id}/one"
    stamp = str(now_ms // 1000)
    signature = hmac.new(
        access["secret_key"].encode(), f"{stamp}GET{path}".encode(), hashlib.sha256
    )
    headers = {
        "x-app-token": access["app_token"],
        "x-app-access-ts": stamp,
        "x-app-access-sig": signature.hexdigest(),
    }
    return httpx.get(access["base_url"] + path, headers=headers)


def _clock(told: dict[str, Any], line: str = "now") -> int:
    host, _, port = told["clock"].partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
        connection.sendall(f"{line}\n".encode())
        return int(connection.makefile().readline())


def test_advancing_moves_story_table_truth_and_ledger(running: dict[str, Any]) -> None:
    before = _control(running, "GET", "/state")
    after = _control(running, "POST", "/advance", {"seconds": 3 * 3600})
    assert after["story_ms"] == before["story_ms"] + 3 * HOUR_MS
    assert _control(running, "POST", "/advance", {"to_ms": before["story_ms"]}) == after
    _control(running, "POST", "/observe")
    # The process grew the same world as we do here.
    world = grow(5, clients=60, days=20)
    at = after["story_ms"]
    told = _control(running, "GET", "/truth")
    assert told["at"] == at
    expected = {c.key: profile(world, c, at) for c in world.clients.values()}
    stages = {key: row and row["stage"] for key, row in told["clients"].items()}
    assert stages == {key: found and found.stage for key, found in expected.items()}
    with closing(sqlite3.connect(running["registry"]["url"].removeprefix("sqlite:///"))) as base:
        (rows,) = base.execute("select count(*) from crm_clients where merged_into is null")
    assert rows[0] == sum(found is not None for found in expected.values())
    earlier = _control(running, "GET", f"/truth?at={running['start_ms']}")
    assert sum(row is not None for row in earlier["clients"].values()) < rows[0]


def test_sleeping_moves_the_clock_alone(running: dict[str, Any]) -> None:
    before = _control(running, "GET", "/state")
    assert _clock(running, "sleep 90") == before["now_ms"] + 90_000
    assert _control(running, "GET", "/state")["story_ms"] == before["story_ms"]


def test_stats_count_the_calls(running: dict[str, Any]) -> None:
    portal = running["hubspot"]
    before = _control(running, "GET", "/stats")["fakes"]["hubspot"]["calls"]
    httpx.get(f"{portal['base_url']}/crm/v3/owners")
    stats = _control(running, "GET", "/stats")
    assert stats["fakes"]["hubspot"]["calls"] == before + 1
    assert stats["cpu_seconds"] > 0
    assert set(_control(running, "GET", "/crm")) == {"contacts", "tasks", "associations"}
    nothing: dict[str, list[str]] = {"contacts": [], "tasks": [], "companies": []}
    assert _control(running, "GET", "/keys") == {"hubspot": nothing, "salesforce": nothing}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", b"", 404),
        ("POST", "/advance", b"{}", 400),
        ("POST", "/advance", b'{"seconds": -1}', 400),
        ("POST", "/advance", b'{"seconds": 1, "to_ms": 2}', 400),
        ("POST", "/advance", b"[]", 400),
        ("POST", "/advance", b"{", 400),
        ("GET", "/truth?at=yesterday", b"", 400),
    ],
)
def test_senseless_control_requests(
    running: dict[str, Any], method: str, path: str, body: bytes, status: int
) -> None:
    answer = httpx.request(method, running["control"] + path, content=body)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize("way", ["SIGTERM", "SIGINT", "stdin"])
def test_it_ends_when_told(way: str) -> None:
    with _running(*SIZE) as (process, told):
        table = Path(told["registry"]["url"].removeprefix("sqlite:///"))
        assert table.exists()
        if way == "stdin":
            assert process.stdin is not None
            process.stdin.close()
        else:
            process.send_signal(getattr(signal, way))
        assert process.wait(20) == 0
        assert not table.exists()


def test_a_day_outside_the_story_is_refused() -> None:
    command = [sys.executable, "-m", "simulator", "--days", "3", "--day", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not within the 3 days" in done.stderr
