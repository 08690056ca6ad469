"""`run` and `sync` as processes: signals, a second engine, a killed one, what `status` says."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import yaml

from brokersync.demo import configuration
from state import schema

PROGRAM = [sys.executable, "-m", "brokersync.cli"]
ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
CLIENTS = 1200
LATENCY_MS = 400


@dataclass
class Broker:
    """A served simulation, and a folder with a configuration that points at it."""

    folder: Path
    described: dict[str, Any]

    def configure(self, database: str = "sqlite:///hub.db") -> str:
        """Write brokersync.yaml; the URL of the hub's own database."""
        settings = configuration(self.described, database)
        (self.folder / "brokersync.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        return database.replace("sqlite:///", f"sqlite:///{self.folder}/")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in the folder; its log goes to a file."""
        with (self.folder / "log.txt").open("w") as log:
            return subprocess.Popen(
                [*PROGRAM, *arguments], cwd=self.folder, env=ENVIRONMENT, text=True,
                stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip

    def log(self) -> str:
        """What the last started command logged."""
        return (self.folder / "log.txt").read_text(encoding="utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*PROGRAM, *arguments], cwd=self.folder, env=ENVIRONMENT, text=True, timeout=200,
            capture_output=True, check=False,
        )  # fmt: skip

    def json(self, *arguments: str) -> dict[str, Any]:
        """A command's one object."""
        found: dict[str, Any] = json.loads(self.run(*arguments, "--json").stdout)
        return found

    def crm(self) -> dict[str, Any]:
        """What lies in the portal."""
        url = f"{self.described['control']}/crm"
        found: dict[str, Any] = httpx.get(url, timeout=60, trust_env=False).json()
        return found

    def contacts(self) -> list[str]:
        """The keys of the hub's contacts in the portal."""
        held = self.crm()["contacts"].values()
        return [c["broker_client_id"] for c in held if c.get("broker_client_id")]

    def truth(self) -> dict[str, Any]:
        """What is true now of each client, by brand and id."""
        url = f"{self.described['control']}/truth"
        found: dict[str, Any] = httpx.get(url, timeout=60, trust_env=False).json()["clients"]
        return found


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The clients of whom something else is true."""
    return {key for key in after if after[key] != before.get(key)}


def undated(contact: dict[str, Any]) -> dict[str, Any]:
    """A contact as the hub fills it, without when its KYC came to stand as it does."""
    own = {k: v for k, v in contact.items() if not k.startswith("hs_") and "modified" not in k}
    own["brokerage_card"] = re.sub(r"in review since [^,\n]+", "", own["brokerage_card"])
    return own


@contextmanager
def broker(folder: Path, *options: str) -> Iterator[Broker]:
    """`brokersync simulate`."""
    process = subprocess.Popen(
        [*PROGRAM, "simulate", *options], cwd=folder, stdout=subprocess.PIPE, text=True,
        env=ENVIRONMENT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = Broker(folder, json.loads(process.stdout.readline()))
        found.configure()
        yield found
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """60 clients, and a portal that is ready."""
    with broker(tmp_path_factory.mktemp("small"), "--clients", "60") as found:
        assert found.run("crm", "install").returncode == 0
        yield found


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something to become true."""
    for _ in range(round(seconds / 0.1)):
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def ended(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, float]:
    """Send a signal; the exit code, and the seconds it took."""
    before = time.monotonic()
    process.send_signal(number)
    code = process.wait(timeout=60)
    return code, time.monotonic() - before


def test_a_stop_in_mid_push_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    # Nothing happens any more when the engine starts: what changes, time alone has changed.
    still = ("--day", "46", "--days", "46")
    options = ("--clients", str(CLIENTS), "--hubspot-latency-ms", str(LATENCY_MS), *still)
    with broker(tmp_path, *options) as one:
        assert one.run("crm", "install").returncode == 0
        began = one.truth()
        process = one.start("run")
        until(lambda: len(one.contacts()) >= 200)
        code, seconds = ended(process)
        assert (code, seconds < 10) == (0, True), one.log()
        interrupted = one.contacts()
        latest = one.json("runs", "--limit", "1")["runs"][0]
        assert latest["status"] == "interrupted"
        assert one.json("status")["engine"]["state"] == "stopped"
        # What arrived is known to have arrived, and nothing is left as on its way.
        with sa.create_engine(f"sqlite:///{tmp_path / 'hub.db'}").connect() as connection:
            known = sa.select(schema.crm_shadow.c.key).where(schema.crm_shadow.c.crm_id != "")
            stored = {k for k in connection.scalars(known) if k in set(interrupted)}
            left = sa.select(schema.outbox.c.key).where(schema.outbox.c.status == "in_flight")
            assert list(connection.scalars(left)) == []
            wanted = sa.select(schema.desired.c.key).where(schema.desired.c.object == "contact")
            desired = sorted(connection.scalars(wanted))
        assert stored == set(interrupted)
        assert 200 <= len(interrupted) < len(desired), "it was in the middle of it"
        # The next start does the rest, and only that.
        started = one.truth()
        resumed = one.json("sync")
        assert resumed["status"] == "ok"
        rest = len(desired) - len(interrupted)
        assert rest <= resumed["contacts_written"] <= rest + len(changed(began, one.truth()))
        assert sorted(one.contacts()) == desired
        # A hub that was never interrupted wants the very same, but for whom time has changed.
        one.configure("sqlite:///other.db")
        before = one.crm()["contacts"]
        other = one.json("sync")
        assert (other["status"], other["tasks_written"]) == ("ok", 0)
        after = one.crm()["contacts"]
        assert before.keys() == after.keys()
        written = {c["broker_client_id"]: c for n, c in after.items() if c != before[n]}
        assert len(written) == other["contacts_written"]
        # A review that the vendor does not date is as old as the hub's first look at it: on the
        # card, and nowhere else.
        told = {c["broker_client_id"]: c for c in before.values()}
        other_than = {k for k, c in written.items() if undated(c) != undated(told[k])}
        assert other_than <= changed(started, one.truth())


def test_a_killed_engine_is_taken_over_at_once_and_seen(small: Broker) -> None:
    small.configure("sqlite:///killed.db")
    process = small.start("run")
    until(lambda: "run 1" in small.log())
    assert small.run("status", "--expect-run").returncode == 0
    process.kill()
    process.wait(timeout=30)
    silent = small.run("status")
    assert silent.returncode == 3
    assert "SILENT" in silent.stdout
    assert small.json("status")["engine"]["state"] == "silent"
    assert small.run("sync").returncode == 0, "no waiting for the lease: the process is gone"
    assert small.run("status").returncode == 0
    assert small.run("status", "--expect-run").returncode == 3


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_second_engine_is_refused_while_readers_work(
    engine: str, small: Broker, request: pytest.FixtureRequest
) -> None:
    url = "sqlite:///second.db"
    if engine == "postgresql":
        url = request.getfixturevalue("postgres_url")
    small.configure(url)
    process = small.start("run")
    try:
        until(lambda: "run 1" in small.log())
        client = small.contacts()[0]
        for command in ("sync", "run", "plan --pull"):
            refused = small.run(*command.split())
            assert refused.returncode == 3, command
            for words in ("another engine", "`run`", str(process.pid), "since", "until"):
                assert words in refused.stderr
        for command in ("status", "rejects", "runs", "plan", f"explain {client}"):
            done = small.run(*command.split(), "--json")
            assert done.returncode in (0, 1 if command == "rejects" else 0), done.stderr
            assert json.loads(done.stdout)
        status = small.json("status")
        assert (status["engine"]["state"], status["engine"]["pid"]) == ("running", process.pid)
        assert all(s["due_at"] and s["last_ok_at"] for s in status["sources"])
        assert process.poll() is None
    finally:
        code, seconds = ended(process)
    assert (code, seconds < 10) == (0, True)
    log = small.log()
    assert "Traceback" not in log
    assert "@" not in log, "no addresses of clients"
    assert "secret" not in log


def test_a_sync_stops_too(tmp_path: Path) -> None:
    options = ("--clients", "600", "--hubspot-latency-ms", "300")
    with broker(tmp_path, *options) as one:
        assert one.run("crm", "install").returncode == 0
        process = one.start("sync")
        until(lambda: len(one.contacts()) >= 1)
        code, seconds = ended(process, signal.SIGINT)
        assert (code, seconds < 10) == (3, True), one.log()
        assert "nothing is lost" in one.log()
        assert one.json("runs")["runs"][0]["status"] == "interrupted"


class _Deaf:
    """A vendor that takes connections and never answers."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"


@pytest.mark.parametrize("command", ["run", "sync"])
def test_a_vendor_that_never_answers_does_not_hold_up_the_end(
    command: str, small: Broker, tmp_path: Path
) -> None:
    deaf = _Deaf()
    described = json.loads(json.dumps(small.described))
    described["brands"]["alpha"]["paymentiq"]["base_url"] = deaf.url
    here = Broker(tmp_path, described)
    here.configure()
    process = here.start(command)
    deaf.socket.settimeout(60)
    with deaf.socket.accept()[0]:
        code, seconds = ended(process)
    deaf.socket.close()
    assert (code, seconds < 10) == (0 if command == "run" else 3, True), here.log()
    assert here.json("status")["engine"]["state"] == "stopped"


def test_a_second_signal_ends_it_at_once(small: Broker, tmp_path: Path) -> None:
    deaf = _Deaf()
    described = json.loads(json.dumps(small.described))
    described["brands"]["alpha"]["paymentiq"]["base_url"] = deaf.url
    here = Broker(tmp_path, described)
    here.configure()
    process = here.start("run")
    deaf.socket.settimeout(60)
    with deaf.socket.accept()[0]:
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert process.poll() is None
        code = _insisted(process)
    deaf.socket.close()
    assert code == -signal.SIGTERM


def _insisted(process: subprocess.Popen[str]) -> int | None:
    """Signal again, and again: a busy machine may deliver the first so late that the second is
    taken for its echo."""
    for _ in range(4):
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=0.8)
    return None
