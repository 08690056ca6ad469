"""The hand-written clients of the specification, through the real pipeline."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from simulator.examples import Example, load
from state import schema
from sync.hub import Hub
from tests.rig import Rig, rig

EXAMPLES = [e for e in load(Path(__file__).parent.parent / "data" / "examples.yaml") if e.runnable]
DAY_MS = 86_400_000
BEFORE_AND_AFTER_MS = 60_000


@pytest.mark.parametrize("example", EXAMPLES, ids=[e.id for e in EXAMPLES])
def test_example(example: Example, database_url: str, tmp_path: Path) -> None:
    world = example.world()
    modes = dict(example.modes)
    families = frozenset(example.sources)
    one = rig(world, database_url, tmp_path, example.live_from, modes, families)
    one.install = True
    hub = one.hub()
    for at, expectation in _instants(example):
        one.advance_to(at)
        one.sync(hub)
        if expectation is not None:
            _check(example, expectation, one, hub)
    hub.store.close()


def _instants(example: Example) -> list[tuple[int, dict[str, Any] | None]]:
    """Every expected instant, with syncs in between: daily, and soon after each event."""
    expected = {e["at"]: e for e in example.expectations}
    last = max(expected)
    grid = set(range(example.start_ms, last, DAY_MS))
    for client in example.clients:
        grid |= {e.visible_at + BEFORE_AND_AFTER_MS for e in client.events}
    return [(at, expected.get(at)) for at in sorted({*expected, *(g for g in grid if g < last)})]


def _check(example: Example, expectation: dict[str, Any], one: Rig, hub: Hub) -> None:
    key = example.clients[0].key
    client_id = example.clients[0].id
    with hub.store.reading() as connection:
        profile = (
            connection.execute(
                sa.select(schema.profile).where(schema.profile.c.client_id == client_id)
            )
            .mappings()
            .one()
        )
        episodes = (
            connection.execute(
                sa.select(schema.episode).where(schema.episode.c.client_id == client_id)
            )
            .mappings()
            .all()
        )
    if "stage" in expectation:
        assert profile["stage"] == expectation["stage"]
    if "since" in expectation:
        assert profile["stage_since"] == expectation["since"]
    if "states" in expectation:
        assert json.loads(profile["states"]) == expectation["states"]
    tasks = one.portal.tasks("broker_task_key")
    if "tasks" in expectation:
        still = {k: t for k, t in tasks.items() if t["hs_task_status"] == "NOT_STARTED"}
        assert {k.split(":")[2]: _ms(t["hs_timestamp"]) for k, t in still.items()} == (
            expectation["tasks"]
        )
    if "closed" in expectation:
        done = [k.split(":")[2] for k, t in tasks.items() if t["hs_task_status"] == "COMPLETED"]
        assert sorted(done) == sorted(expectation["closed"])
    if "refused" in expectation:
        refused = {e["state"]: e["refused"] for e in episodes if e["closed_at"] is None}
        assert {s: refused.get(s) for s in expectation["refused"]} == expectation["refused"]
    _check_contacts(expectation, one, key)


def _check_contacts(expectation: dict[str, Any], one: Rig, key: str) -> None:
    contacts = one.portal.contacts("broker_client_id")
    for name, value in expectation.get("fields", {}).items():
        shown = contacts[key].get(f"brokerage_{name}") or ""
        assert shown == ("" if value is None else str(value)), name
    if "contacts" in expectation:
        assert len(contacts) == expectation["contacts"]
        assert contacts[expectation["primary"]]["broker_other_ids"] == ", ".join(
            expectation["others"]
        )


def _ms(text: str) -> int:
    if text.isdigit():
        return int(text)
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)
