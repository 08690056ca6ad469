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
    assert [e.id for e in EXAMPLES] == [f"E{n:02d}" for n in range(1, 22)]
    assert {key for e in EXAMPLES for x in e.expectations for key in x} == CHECKED


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.id)
def test_example(example: Example) -> None:
    world = example.world()
    sources = frozenset(example.sources)
    ledger = TaskLedger(world, example.live_from, example.modes, sources=sources)
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
    found = profile(world, example.clients[0], at, ledger.sources)
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


def test_what_the_page_leaves_out_is_filled_in() -> None:
    """A trading account before the first trade; the page's days are the server's."""
    traded = {e.id: e.clients[0].events for e in EXAMPLES if "trading" in e.sources}
    assert list(traded) == ["E18", "E19", "E20", "E21"]
    logins = {
        name: {e.data["login"] for e in events if "login" in e.data}
        for name, events in traded.items()
    }
    assert logins == {"E18": set(), "E19": {70_000_019}, "E20": {70_000_020}, "E21": {70_001}}
    for name in ("E19", "E20", "E21"):
        opened = next(e for e in traded[name] if e.name == "account_opened")
        assert opened.data["currency"] == "USD"
        assert not any("login" in e.data for e in traded[name] if e.at < opened.at)
        assert not any("day" in e.data for e in traded[name])


def test_a_day_that_is_not_the_servers_is_refused(tmp_path: Path) -> None:
    text = COPY.read_text(encoding="utf-8")
    wrong = tmp_path / "examples.yaml"
    wrong.write_text(text.replace("{day: 2026-03-03,", "{day: 2026-03-04,"), encoding="utf-8")
    with pytest.raises(ValueError, match="2026-03-04"):
        load(wrong)
