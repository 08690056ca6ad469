"""The commands as their users run them: real processes, real sockets, real time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from brokersync.demo import configuration

PROGRAM = [sys.executable, "-m", "brokersync.cli"]
ROOT = Path(__file__).parent.parent.parent


@dataclass
class Broker:
    """A served simulation and a folder with a configuration that points at it."""

    folder: Path
    described: dict[str, Any]

    def configure(self, **changes: Any) -> None:
        """Write brokersync.yaml, with top-level changes."""
        settings = configuration(self.described, "sqlite:///hub.db") | changes
        (self.folder / "brokersync.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder."""
        return subprocess.run(
            [*PROGRAM, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, check=False,
        )  # fmt: skip

    def json(self, *arguments: str) -> dict[str, Any]:
        """Run a command with --json that must end well; its one object."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """`brokersync simulate` for 60 clients."""
    folder = tmp_path_factory.mktemp("broker")
    process = subprocess.Popen(
        [*PROGRAM, "simulate", "--clients", "60"], cwd=folder, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    described = json.loads(process.stdout.readline())
    yield Broker(folder, described)
    process.terminate()
    process.wait(timeout=30)
    process.stdout.close()


def test_the_way_of_an_admin(broker: Broker) -> None:
    broker.configure()
    assert broker.run("status").returncode == 0
    refused = broker.run("sync")
    assert refused.returncode == 2
    assert "crm install" in refused.stderr
    missing = broker.json("crm", "plan")["hubspot"]
    assert "contact.broker_client_id" in missing["create"]
    broker.json("crm", "install")
    assert broker.json("crm", "plan")["hubspot"]["create"] == []
    planned = broker.json("plan", "--pull")["destinations"]["hubspot"]
    done = broker.json("sync")
    assert done["contacts_written"] == planned["contacts"]["total"] > 0
    again = broker.json("sync")
    assert (again["contacts_written"], again["tasks_written"]) == (0, 0)
    status = broker.json("status")
    assert sum(status["stages"].values()) == sum(broker.json("status")["stages"].values()) > 0
    assert {s["source"] for s in status["sources"]} >= {"registry", "sumsub-alpha"}
    assert broker.json("rejects") == {"set_aside": [], "unlinked": []}
    latest = broker.json("runs", "--limit", "1")["runs"]
    assert [r["status"] for r in latest] == ["ok"]
    checked = broker.json("rules", "check")
    assert checked["alpha"]["stages"][-1] == "LS1"


def test_people_read_text(broker: Broker) -> None:
    broker.configure()
    broker.run("crm", "install")
    broker.run("sync")
    for command in ("status", "rejects", "runs", "plan"):
        done = broker.run(command)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
        assert "Traceback" not in done.stderr


BAD_CONFIGURATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown key": ({"databse": "sqlite:///x.db"}, "databse"),
    "an unknown brand": (
        {"connections": {"kyc": {"type": "sumsub", "brand": "gamma"}}}, "gamma",
    ),
    "an unknown type": ({"connections": {"x": {"type": "sumsubb"}}}, "sumsubb"),
    "a database nobody supports": ({"database": "oracle://x"}, "database"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CONFIGURATIONS)
def test_a_wrong_configuration_is_refused_with_its_line(case: str, broker: Broker) -> None:
    changes, named = BAD_CONFIGURATIONS[case]
    broker.configure(**changes)
    done = broker.run("sync")
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_and_a_missing_secret(broker: Broker) -> None:
    done = broker.run("sync", "--config", "nowhere.yaml")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    hubspot = {"type": "hubspot", "access_token": "${BROKERSYNC_NO_SUCH_TOKEN}"}
    broker.configure(destinations={"hubspot": hubspot})
    done = broker.run("sync")
    assert done.returncode == 2
    assert "BROKERSYNC_NO_SUCH_TOKEN" in done.stderr
    assert "line" in done.stderr


def test_a_wrong_token_is_named_and_never_shown(broker: Broker) -> None:
    crm = configuration(broker.described, "")["destinations"]["hubspot"]
    secret = "pat-na1-not-the-right-one"
    broker.configure(destinations={"hubspot": {**crm, "access_token": secret}})
    done = broker.run("sync")
    assert done.returncode == 2
    assert "token" in done.stderr
    assert secret not in done.stderr + done.stdout


def test_usage_errors_are_exit_code_2(broker: Broker) -> None:
    assert broker.run("sycn").returncode == 2
    assert broker.run("runs", "--limit", "none").returncode == 2
    assert broker.run("demo", "--day", "90").returncode == 2
    unknown = broker.run("demo", "--crm", "neither")
    assert (unknown.returncode, "hubspot, salesforce and both" in unknown.stderr) == (2, True)


def small_demo(folder: Path, *more: str) -> str:
    """What a demo of 40 clients and a day prints; it must end well."""
    done = subprocess.run(
        [*PROGRAM, "demo", "--clients", "40", "--days", "12", "--day", "11", *more],
        cwd=folder, capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_small_demo_prints_one_object(tmp_path: Path) -> None:
    done = small_demo(tmp_path, "--json")
    result = json.loads(done)
    assert "crms" not in result
    assert {"clients", "records", "stages", "tasks", "rejects", "crm", "second_sync", "seconds",
            "peak_rss_mb"} <= set(result)  # fmt: skip
    assert {"calls", "rate_limited", "contacts_written", "tasks_written"} <= set(result["crm"])
    assert result["second_sync"] == {"contacts_written": 0, "tasks_written": 0}
    assert sum(result["stages"].values()) == result["clients"] > 30
    assert result["errors"] == {}
