"""Clients from a file through the whole hub: set aside with its line, mended, never deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.base import Context
from connectors.registry.settings import RegistrySettings
from connectors.registry.source import RegistrySource
from simulator.story import Brand, Client, Event, World
from state import schema, sources
from sync.cycle import sync_once
from sync.hub import Hub
from tests.rig import Rig, rig

DAY_MS = 86_400_000
START_MS = 1_772_323_200_000
HEADER = "client_id,email,registered_at,updated_at\n"
ROWS = [f"C-{n},c{n}@example.com,2026-03-01 08:00:00,2026-03-01 08:00:00\n" for n in range(4)]


@pytest.fixture(name="one")
def _one(tmp_path: Path) -> Rig:
    clients = [Client("alpha", "C-0", [Event(START_MS, "registered", {})])]
    brand = Brand("alpha", "Europe/Nicosia", "USD", "offshore", 1001)
    world = World(clients, {"alpha": brand}, START_MS)
    one = rig(world, f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, START_MS)
    one.advance_to(START_MS + 5 * DAY_MS)
    return one


@pytest.fixture(name="hub")
def _hub(one: Rig, tmp_path: Path) -> Any:
    """A hub that reads its clients from a file of four columns."""
    hub = one.hub()
    unused = set(schema.client.c.keys()) & set(RegistrySettings(file="x").names())
    names = dict.fromkeys(unused - {"client_id", "email", "registered_at"}, "")
    columns = {**names, "brand": "", "deleted": ""}
    table = hub.sources[0]
    context = Context(table.name, table.context.brands, hub.clock, folder=tmp_path)
    settings = RegistrySettings(file="clients.csv", columns=columns, encoding="utf-8")
    table.close()
    hub.sources = [RegistrySource(settings, context), *hub.sources[1:]]
    yield hub
    hub.close()


def _stages(hub: Hub) -> dict[str, str]:
    p = schema.profile
    with hub.store.reading() as connection:
        return dict(connection.execute(sa.select(p.c.client_id, p.c.stage)).all())


def _asides(hub: Hub) -> list[str]:
    with hub.store.reading() as connection:
        return [str(row["reason"]) for row in sources.asides(connection)]


def test_a_broken_row_waits_until_the_file_is_mended(one: Rig, hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "clients.csv"
    path.write_text(HEADER + ROWS[0] + "C-1,half a row\n" + ROWS[2])
    assert one.sync(hub).status == "set_aside"
    assert _stages(hub) == {"C-0": "LS1", "C-2": "LS1"}
    assert _asides(hub) == ["clients.csv, line 3: the row has 2 fields, the header has 4"]
    assert one.sync(hub).pulled.records == 0, "nothing is read that did not change"
    path.write_text(HEADER + ROWS[0] + ROWS[1])  # C-2 is not in it: it is not deleted
    cycle = one.sync(hub)
    assert (cycle.status, cycle.pulled.records, cycle.pulled.journalled) == ("ok", 2, 1)
    assert _stages(hub) == {"C-0": "LS1", "C-1": "LS1", "C-2": "LS1"}
    assert _asides(hub) == []


def test_a_wrong_encoding_loses_nothing(one: Rig, hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "clients.csv"
    path.write_bytes(HEADER.encode() + ROWS[0].replace("c0", "ü").encode("latin-1"))
    cycle = sync_once(hub)
    assert cycle.status == "refused"
    assert "line 2: this is not utf-8" in cycle.pulled.failed[hub.sources[0].name].admin
    path.write_text(HEADER + ROWS[0])
    assert one.sync(hub).status == "ok"
    assert _stages(hub) == {"C-0": "LS1"}
