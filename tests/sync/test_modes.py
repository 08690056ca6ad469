"""Modes: a playbook in observe is computed and explained, but the CRM does not hear of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.examples import load
from tests.rig import profiles, rig

E04 = next(
    e for e in load(Path(__file__).parent.parent / "data" / "examples.yaml") if e.id == "E04"
)


@pytest.mark.parametrize(
    ("mode", "shown", "tasks"), [("observe", None, 0), ("fields", "CS5", 0), ("tasks", "CS5", 1)]
)
def test_each_mode_goes_one_step_further(
    mode: str, shown: str | None, tasks: int, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path / 'hub.db'}"
    one = rig(E04.world(), database, tmp_path, E04.live_from, {"*": mode})
    hub = one.hub()
    one.advance_to(E04.expectations[0]["at"])
    one.sync(hub)
    key = E04.clients[0].key
    assert "CS5" in profiles(database)[key]["states"]
    assert one.portal.contacts("broker_client_id")[key].get("brokerage_client_states") == shown
    assert len(one.portal.tasks()) == tasks
    hub.close()
