"""25,000 contacts of which 1,000 are bad, into Salesforce by bulk jobs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.base import Boundary, no_boundary
from state import schema
from sync.hub import Hub
from tests.connectors.salesforce_rig import SalesforceRig
from tests.sync import bulk_push
from tests.sync.bulk_push import BAD_EVERY, NOW_MS, key
from tests.sync.scenes import Bomb, Crash

CONTACTS = 25_000
MOST_MB = 250
BAD = {key(number) for number in range(0, CONTACTS, BAD_EVERY)}
ALL = {key(number) for number in range(CONTACTS)}


def test_all_are_accounted_for_in_bounded_memory(tmp_path: Path) -> None:
    org = SalesforceRig(bulk_queue_s=0, bulk_rows_per_s=1e9, keep_writes=False)
    database = f"sqlite:///{tmp_path / 'hub.db'}"
    command = [sys.executable, "-m", "tests.sync.bulk_push", org.server.url, database]
    ran = subprocess.run([*command, str(CONTACTS)], stdout=subprocess.PIPE, check=True, timeout=250)
    told = json.loads(ran.stdout)
    assert told["stopped"] is None
    assert (told["written"], told["created"], told["refused"]) == (24_000, 24_000, 1_000)
    there = org.fake.records("Contact", by="broker_client_id__c")
    assert len(BAD) == 1_000
    assert there.keys() == ALL - BAD
    assert len(org.fake.records("Contact")) == 24_000
    for name in sorted(ALL - BAD)[::997]:
        row, number = there[name], int(name.removeprefix("alpha:C"))
        assert row["LastName"].endswith(f" of {number}")
        since = f"2026-03-02T09:00:{number / 1000:06.3f}+0000"
        assert row["brokerage_lifecycle_stage_since__c"] == since
        assert row["brokerage_card__c"].count(f"Line {number}, ") == 40
    _kept(database, {k: row["Id"] for k, row in there.items()}, BAD)
    calls = org.fake.calls
    assert calls["POST jobs/ingest"] == calls["PUT jobs/ingest/JOB/batches"] == 6, "by 4,000"
    assert calls["PATCH composite/sobjects/Contact/broker_client_id__c"] == 5, "the last 1,000"
    assert told["peak_mb"] <= MOST_MB, told
    org.close()


FEW = 275
"""Contacts of which eleven are bad."""


class _Scene:
    """An org and a hub's database with 275 contacts wanted, whose push can be crashed."""

    def __init__(self, folder: Path) -> None:
        self.org = SalesforceRig(bulk_queue_s=0, bulk_rows_per_s=1e9)
        self.database = f"sqlite:///{folder / 'hub.db'}"
        found = self.hub(no_boundary)
        bulk_push.install(found)
        bulk_push.want(found, FEW)
        found.close()

    def hub(self, boundary: Boundary) -> Hub:
        """A process of its own."""
        url = self.org.server.url
        return bulk_push.hub(
            url, self.database, boundary, in_flight=1, bulk_above=200, bulk_rows=250
        )

    def pushed(self, bomb: Bomb) -> None:
        """One push, with a crash if the bomb is set."""
        found = self.hub(bomb)
        try:
            done = bulk_push.push(found)
        except Crash:
            assert bomb.at >= 0
        else:
            assert bomb.at < 0, f"boundary {bomb.at} was not reached"
            assert done.stopped is None
        found.close()

    def check(self) -> None:
        """All are in the org once, the bad ones aside; no job goes on."""
        there = self.org.fake.records("Contact", by="broker_client_id__c")
        bad = {key(number) for number in range(0, FEW, BAD_EVERY)}
        assert there.keys() == {key(number) for number in range(FEW)} - bad
        assert len(self.org.fake.records("Contact")) == len(there)
        _kept(self.database, {k: row["Id"] for k, row in there.items()}, bad)
        with self.org.fake._at_work():
            assert {job.state for job in self.org.fake.jobs.jobs.values()} <= {
                "JobComplete", "Aborted",
            }  # fmt: skip


def test_a_crash_costs_nothing(tmp_path: Path) -> None:
    """At each fourth boundary; the slow test crashes at all."""
    _crash(range(3, 1000, 4), tmp_path)


@pytest.mark.slow
def test_a_crash_anywhere_costs_nothing(tmp_path: Path) -> None:
    _crash(range(1000), tmp_path)


def _crash(places: range, tmp_path: Path) -> None:
    whole = Bomb()
    for at in (-1, *places):
        if at >= len(whole.passed) > 0:
            break
        folder = tmp_path / str(at)
        folder.mkdir()
        scene = _Scene(folder)
        bomb = whole if at < 0 else Bomb(at)
        scene.pushed(bomb)
        if at >= 0:
            assert bomb.passed == whole.passed[: at + 1]
            scene.pushed(Bomb())
        scene.check()
        scene.org.close()
    assert len(whole.passed) > 40
    assert sum(name.startswith("http:") for name in whole.passed) > 20


def _kept(database: str, ids: dict[str, str], bad: set[str]) -> None:
    """The hub knows each contact's id, and of each bad one why."""
    shadow, aside, outbox = schema.crm_shadow, schema.set_aside, schema.outbox
    with sa.create_engine(database, poolclass=sa.NullPool).connect() as connection:
        known = {r.key: r.crm_id for r in connection.execute(sa.select(shadow))}
        reasons = {r.external_id: r.reason for r in connection.execute(sa.select(aside))}
        left = [(r.key, r.status, r.next_try_at) for r in connection.execute(sa.select(outbox))]
    assert known == ids
    assert reasons.keys() == bad
    codes = Counter(reason.partition(":")[0] for reason in reasons.values())
    assert codes == {"STRING_TOO_LONG": len(bad)}
    assert all("for LastName is longer" in reason for reason in reasons.values())
    assert {key for key, _, _ in left} == bad
    assert {(status, at > NOW_MS) for _, status, at in left} == {("aside", True)}
