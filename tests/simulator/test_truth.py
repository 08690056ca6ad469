"""The oracle against the hand-written clients of the specification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulator.examples import Example, load
from simulator.story import World
from simulator.truth import ContactGroup, TaskLedger, contacts, profile

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "tests" / "data" / "examples.yaml"
ORIGINAL = ROOT.parent / "shared" / "spec" / "examples.yaml"
MINUTE = 60_000
EXAMPLES = [example for example in load(COPY) if example.runnable]
# Every key an expectation may hold; one the tests do not check must not pass unseen.
CHECKED = {
    "at", "stage", "since", "states", "tasks", "closed", "refused", "fields",
    "contacts", "primary", "others",
}  # fmt: skip


def test_the_copy_is_the_specification() -> None:
    if not ORIGINAL.exists():
        pytest.skip(f"the specification is not beside this checkout ({ORIGINAL})")
    assert COPY.read_bytes() == ORIGINAL.read_bytes()


def test_the_examples_of_these_sources_are_all_here() -> None:
    assert [e.id for e in EXAMPLES] == [f"E{n:02d}" for n in range(1, 18)]
    assert {key for e in EXAMPLES for x in e.expectations for key in x} == CHECKED


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.id)
def test_example(example: Example) -> None:
    world = example.world()
    ledger = TaskLedger(world, example.live_from, example.modes)
    now = example.start_ms
    for expected in sorted(example.expectations, key=lambda e: e["at"]):
        while now <= expected["at"]:
            ledger.observe(now)
            now += MINUTE
        _check(world, example, ledger, expected)


def _check(world: World, example: Example, ledger: TaskLedger, expected: dict[str, Any]) -> None:
    at = expected["at"]
    if "contacts" in expected:
        group = ContactGroup(expected["primary"], tuple(expected["others"]), "pair@example.com")
        assert contacts(world, at) == [group]
        assert expected["contacts"] == 1
        return
    found = profile(world, example.clients[0], at)
    assert found is not None
    assert found.stage == expected["stage"]
    assert found.fields["lifecycle_stage"] == expected["stage"]
    if "since" in expected:
        assert found.since == expected["since"]
    if "states" in expected:
        assert found.states == expected["states"]
    for name, value in expected.get("fields", {}).items():
        assert found.fields[name] == (value or ""), name
    _check_tasks(example, ledger, expected)


def _check_tasks(example: Example, ledger: TaskLedger, expected: dict[str, Any]) -> None:
    key = example.clients[0].key
    tasks = [t for t in ledger.tasks.values() if t.client == key]
    if "tasks" in expected:
        assert {t.state: t.due for t in tasks if t.status == "open"} == expected["tasks"]
        due = min(expected["tasks"].values(), default="")
        assert ledger.next_action_due(key) == str(due)
    if "closed" in expected:
        assert [t.state for t in tasks if t.status == "closed"] == expected["closed"]
    if "refused" in expected:
        refused = ledger.refused(key)
        assert {s: why for s, why in refused.items() if why != "mode"} == expected["refused"]
