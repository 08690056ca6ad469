"""Which steps of a sync need not be on the disk when they end: pulled pages, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulator.grow import grow
from simulator.story import DAY_MS
from state.store import Store
from tests.rig import ALL, rig


def test_only_what_would_be_read_again_may_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = grow(seed=3, clients=12, days=60)
    at = world.start_ms + 40 * DAY_MS
    one = rig(world, f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, live_from=at, families=ALL)
    one.advance_to(at)
    steps: dict[str, bool] = {}
    usual = Store.transaction

    def noted(self: Store, name: str, *, repeatable: bool = False) -> Any:
        steps[name] = repeatable
        return usual(self, name, repeatable=repeatable)

    monkeypatch.setattr(Store, "transaction", noted)
    hub = one.hub()
    one.sync(hub)
    hub.store.close()
    pages = {name for name in steps if name.startswith("pull.") and name.endswith(".page")}
    assert {name for name, repeatable in steps.items() if repeatable} == pages
    assert len(pages) == len(hub.sources)
    assert {"project.step", "push.hubspot.exchange"} <= steps.keys()
