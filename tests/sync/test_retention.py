"""Raw vendor rows are kept for the retention, and no longer; what they became stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from simulator.grow import grow
from simulator.story import DAY_MS
from state import retention, schema
from tests.rig import Rig, rig


@pytest.fixture
def small(tmp_path: Path) -> Rig:
    world = grow(seed=3, clients=12, days=60)
    live_from = world.start_ms + 40 * DAY_MS
    world.advance_to(live_from)
    found = rig(world, f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, live_from)
    found.registry.refresh()
    return found


def _count(small: Rig, table: sa.Table) -> int:
    engine = sa.create_engine(small.database, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_raw_rows_go_after_their_time_and_nothing_else(small: Rig) -> None:
    hub = small.hub()
    hub.retention_days = 5
    small.sync(hub)
    kept, versions = _count(small, schema.journal_raw), _count(small, schema.journal)
    assert kept
    small.advance_to(small.world.now_ms + 4 * DAY_MS)
    small.sync(hub)
    assert _count(small, schema.journal_raw) >= kept
    small.advance_to(small.world.now_ms + 2 * DAY_MS)
    small.sync(hub)
    with hub.store.reading() as connection:
        oldest = connection.scalar(sa.select(sa.func.min(schema.journal_raw.c.received_at)))
    assert oldest is None or oldest >= small.world.now_ms - 5 * DAY_MS - DAY_MS // 24
    assert _count(small, schema.journal) >= versions


def test_it_works_in_steps_from_the_oldest(small: Rig) -> None:
    hub = small.hub()
    rows = [{"seq": n, "raw": "{}", "received_at": n * 10} for n in range(1, 11)]
    with hub.store.transaction("test") as connection:
        connection.execute(sa.insert(schema.journal_raw), rows)
        assert retention.purge_raw(connection, before=80, most=5) == 5
        left = connection.scalars(sa.select(schema.journal_raw.c.seq).order_by("seq")).all()
        assert left == [6, 7, 8, 9, 10]
        assert retention.purge_raw(connection, before=80, most=5) == 2
        assert retention.purge_raw(connection, before=80, most=5) == 0
