"""25,000 contacts of which 1,000 are bad, into Salesforce by bulk jobs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import sqlalchemy as sa

from state import schema
from tests.connectors.salesforce_rig import SalesforceRig
from tests.sync.bulk_push import BAD_EVERY, NOW_MS, key

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
    _kept(database, {k: row["Id"] for k, row in there.items()})
    calls = org.fake.calls
    assert calls["POST jobs/ingest"] == calls["PUT jobs/ingest/JOB/batches"] == 5
    assert calls["PATCH composite/sobjects/Contact/broker_client_id__c"] == 0
    assert told["peak_mb"] <= MOST_MB, told
    org.close()


def _kept(database: str, ids: dict[str, str]) -> None:
    """The hub knows each contact's id, and of each bad one why."""
    shadow, aside, outbox = schema.crm_shadow, schema.set_aside, schema.outbox
    with sa.create_engine(database, poolclass=sa.NullPool).connect() as connection:
        known = {r.key: r.crm_id for r in connection.execute(sa.select(shadow))}
        reasons = {r.external_id: r.reason for r in connection.execute(sa.select(aside))}
        left = [(r.key, r.status, r.next_try_at) for r in connection.execute(sa.select(outbox))]
    assert known == ids
    assert reasons.keys() == BAD
    assert Counter(reason.partition(":")[0] for reason in reasons.values()) == {
        "REQUIRED_FIELD_MISSING": 1_000
    }
    assert all("map LastName" in reason for reason in reasons.values())
    assert {key for key, _, _ in left} == BAD
    assert {(status, at > NOW_MS) for _, status, at in left} == {("aside", True)}
