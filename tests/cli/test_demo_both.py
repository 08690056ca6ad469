"""The demo with a CRM a brand: what it counts, what it says, and that it would notice a leak."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from brokersync import no_leak
from brokersync.output import Output
from sync.hub import Hub
from tests.cli.test_commands import small_demo


def test_each_brand_flows_into_its_own_crm(tmp_path: Path) -> None:
    result = json.loads(small_demo(tmp_path, "--json", "--crm", "both"))
    crms = result["crms"]
    assert {crm: one["brands"] for crm, one in crms.items()} == {
        "hubspot": ["alpha"], "salesforce": ["beta"],
    }  # fmt: skip
    assert all(one["contacts"] > 5 and one["companies"] > 0 for one in crms.values())
    assert sum(one["contacts"] for one in crms.values()) <= result["clients"]
    assert sum(one["calls"] for one in crms.values()) == result["crm"]["calls"]
    assert [one["foreign"] for one in crms.values()] == [[], []]
    assert result["leak"] is False
    assert result["errors"] == {}
    assert result["second_sync"] == {"contacts_written": 0, "tasks_written": 0}


def test_a_person_reads_both_crms_and_the_verdict(tmp_path: Path) -> None:
    text = small_demo(tmp_path, "--crm", "both")
    rows = [line.split() for line in text.splitlines()]
    assert [row[:2] for row in rows if row[:1] in (["hubspot"], ["salesforce"])] == [
        ["hubspot", "alpha"], ["salesforce", "beta"],
    ]  # fmt: skip
    assert "Tasks by team and playbook" in text
    assert "No leak, by what lies in the simulated CRMs: hubspot holds alpha alone, " in text


KEYS = {
    "hubspot": {"contacts": ["alpha:C1"], "tasks": ["alpha:C1:CS5:1"], "companies": ["alpha:A1"]},
    "salesforce": {"contacts": ["beta:C1"], "tasks": ["beta:C1:CS5:1"], "companies": []},
}


@pytest.mark.parametrize(
    ("crm", "kind", "key"),
    [
        ("salesforce", "contacts", "alpha:C2"),
        ("salesforce", "tasks", "alpha:C2:CS5:1"),
        ("hubspot", "companies", "beta:A2"),
        ("hubspot", "contacts", ""),
    ],
)
def test_a_record_of_the_other_brand_is_a_leak(
    crm: str, kind: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = SimpleNamespace(counts=SimpleNamespace(calls=1, rate_limited=0))
    hub: Any = SimpleNamespace(
        destinations={"hubspot": counts, "salesforce": counts},
        brands={"alpha": SimpleNamespace(destination="hubspot"),
                "beta": SimpleNamespace(destination="salesforce")},
    )  # fmt: skip
    assert not no_leak.leaks(no_leak.held(cast(Hub, hub), KEYS))
    mixed = {**KEYS, crm: {**KEYS[crm], kind: [*KEYS[crm][kind], key]}}
    found = no_leak.held(cast(Hub, hub), mixed)
    assert no_leak.leaks(found)
    assert found[crm]["foreign"] == [key]
    no_leak.verdict(Output(as_json=False), found)
    told = capsys.readouterr().out
    named = key or "one without a key"
    assert told == f"LEAK: {crm} holds what is not of its brands (1): {named}.\n"
