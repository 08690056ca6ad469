"""A vendor that is away for two days ages nobody, disturbs no other, and is named meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Page
from mapping.errors import RetryableError
from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS, World
from simulator.truth import profile
from sync.cycle import sync_once
from sync.hub import Hub
from tests.rig import ALL, Rig, profiles, rig

CLIENTS, STEP_MS = 300, 3 * HOUR_MS
AGED = {"LS6", "LS7", "LS10"}
AWAY = "mt5-alpha"


@pytest.fixture
def here(database_url: str, tmp_path: Path) -> tuple[Rig, Hub, int]:
    """A hub after its first sync; no affiliate has changed yet."""
    world = grow(17, CLIENTS, 60)
    at = world.start_ms + 46 * DAY_MS
    one = rig(world, database_url, tmp_path, live_from=at, families=ALL)
    one.advance_to(at - HOUR_MS)
    hub = one.hub()
    one.advance_to(at)
    one.sync(hub)
    return one, hub, at


def stored(one: Rig) -> dict[str, tuple[str, int, dict[str, int]]]:
    """Stage, since and states by client."""
    return {
        key: (row["stage"], row["stage_since"], json.loads(row["states"]))
        for key, row in profiles(one.database).items()
    }


def true(world: World, at: int, brand: str) -> dict[str, tuple[str, int, dict[str, int]]]:
    """The same by the world's truth, but for what began with a risk flag, which nobody dates."""
    found = {}
    for key, client in world.clients.items():
        one = profile(world, client, at) if client.brand == brand else None
        if one is not None and not one.undated:
            found[key] = (one.stage, one.since, one.states)
    return found


def agree(one: Rig, at: int, brand: str) -> None:
    """The hub is right about everybody of a brand."""
    hubs, expected = stored(one), true(one.world, at, brand)
    assert {k: (v, hubs.get(k)) for k, v in expected.items() if hubs.get(k) != v} == {}


def silent(source: Any) -> Any:
    """Have the source's server be away; returns what brings it back."""
    usual = source.pull

    def away(cursor: str | None) -> Iterator[Page]:
        del cursor
        raise RetryableError("the server does not answer")
        yield Page()

    source.pull = away
    return usual


def test_two_days_without_the_trading_server(here: tuple[Rig, Hub, int]) -> None:
    one, hub, at = here
    agree(one, at, "alpha")
    before = stored(one)
    source = next(s for s in hub.sources if s.name == AWAY)
    usual = silent(source)
    for now in range(at + STEP_MS, at + 2 * DAY_MS + 1, STEP_MS):
        one.advance_to(now)
        cycle = sync_once(hub)
        assert [name for name, _ in cycle.errors] == [AWAY], "others are unaffected"
        agree(one, now, "beta")
    during = stored(one)
    moved = {k for k, v in during.items() if k.startswith("alpha:") and v[0] in AGED
             and before.get(k, v)[0] not in AGED}  # fmt: skip
    # Whoever is inactive now was so when the server was last heard of; a deposit taken back, or a
    # closed withdrawal, may still uncover a stage of before.
    assert all(during[k][1] <= at for k in moved), "somebody was aged by silence"
    known = {k for k, v in during.items() if k.startswith("alpha:") and "CS11" in v[2]}
    assert all(during[k][2]["CS11"] <= at for k in known)
    cards = {k: c.get("brokerage_card") or ""
             for k, c in one.portal.contacts("broker_client_id").items()}  # fmt: skip
    named = [k for k, text in cards.items() if "trades complete up to" in text]
    assert named
    assert all(k.startswith("alpha:") for k in named)
    source.pull = usual
    now = at + 2 * DAY_MS + STEP_MS
    one.advance_to(now)
    one.sync(hub)
    agree(one, now, "alpha")
    agree(one, now, "beta")
    shown = one.portal.contacts("broker_client_id")
    texts = [c.get("brokerage_card") or "" for c in shown.values()]
    assert not [t for t in texts if "trades complete up to" in t], "it is back"
    hub.close()
