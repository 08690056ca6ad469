"""The broker's client table on each database it may live in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from simulator.grow import BRANDS, grow
from simulator.registry import RegistryTable
from simulator.story import DAY_MS, Client, Event, World

NOON = 1_772_452_800_000  # 2026-03-02T12:00:00Z
SECOND = 1000
MINUTE = 60 * SECOND


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    name = "postgres_url" if request.param == "postgresql" else "mariadb_database"
    return str(request.getfixturevalue(name))


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def _rows(engine: sa.Engine) -> dict[str, dict[str, Any]]:
    table = sa.Table("crm_clients", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(table)).mappings().all()
    return {f"{row['brand']}:{row['client_id']}": dict(row) for row in rows}


def _naive(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _world(*events: Event) -> World:
    return World([Client("alpha", "1", list(events))], BRANDS, NOON)


def test_a_row_follows_the_story(url: str, engine: sa.Engine) -> None:
    data = {"first_name": "Zoë 🚀", "last_name": "O'Brien", "email": "z@example.com",
            "verified": True, "phone": "", "country": None, "consents": "email;call"}  # fmt: skip
    world = _world(
        Event(NOON, "registered", data),
        Event(NOON + 30 * MINUTE, "profile_updated", {"phone": "+357 1"}),
        Event(NOON + 40 * MINUTE, "kyc_started", {"attempt": 1}),
        Event(NOON + 60 * MINUTE, "merged", {"into": "2"}),
    )
    table = RegistryTable(world, url)
    table.create()
    assert table.refresh() == 1
    row = _rows(engine)["alpha:1"]
    assert row == {
        "brand": "alpha", "client_id": "1", "entity": "offshore", "first_name": "Zoë 🚀",
        "last_name": "O'Brien", "email": "z@example.com", "email_verified": True, "phone": "",
        "country": None, "language": None, "zone": None, "device": None, "landing_page": None,
        "source_type": None, "campaign": None, "consents": "email;call", "disposition": "open",
        "registered_at": _naive("2026-03-02T12:00"), "updated_at": _naive("2026-03-02T12:00"),
        "merged_into": None, "deleted": False,
    }  # fmt: skip
    world.advance(45 * 60)
    assert table.refresh() == 1
    row = _rows(engine)["alpha:1"]
    assert (row["phone"], row["updated_at"]) == ("+357 1", _naive("2026-03-02T12:30"))
    assert table.refresh() == 0
    world.advance(60 * 60)
    table.refresh()
    row = _rows(engine)["alpha:1"]
    assert (row["merged_into"], row["updated_at"]) == ("2", _naive("2026-03-02T13:00"))
    table.close()


def test_a_late_row_carries_its_old_time(url: str, engine: sa.Engine) -> None:
    late = Event(NOON + MINUTE, "registered", {"email": "late@example.com"}, NOON + 5 * MINUTE)
    gone = Event(NOON + 20 * MINUTE, "disposition", {"value": "closed"})
    world = _world(late, gone, Event(NOON + 40 * MINUTE, "deleted"))
    table = RegistryTable(world, url)
    table.create()
    world.advance_to(NOON + 4 * MINUTE)
    table.refresh()
    assert _rows(engine) == {}
    world.advance_to(NOON + 5 * MINUTE)
    table.refresh()
    assert _rows(engine)["alpha:1"]["updated_at"] == _naive("2026-03-02T12:01")
    world.advance_to(NOON + 40 * MINUTE)
    table.refresh()
    row = _rows(engine)["alpha:1"]
    assert (row["disposition"], row["deleted"]) == ("closed", True)
    table.close()


def test_step_by_step_is_the_same_as_at_once(url: str, engine: sa.Engine) -> None:
    world = grow(3, clients=120, days=10)
    steps = RegistryTable(world, url)
    steps.create()
    for day in range(0, 11, 2):
        world.advance_to(world.start_ms + day * DAY_MS)
        steps.refresh()
    by_steps = _rows(engine)
    assert len(by_steps) == 120
    at_once = RegistryTable(world, url)
    at_once.create()
    assert at_once.refresh() == 120
    assert _rows(engine) == by_steps
    steps.close()
    at_once.close()
