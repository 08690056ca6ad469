"""SQLite's log is carried over beside whoever writes, and by the writers again afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from state import carrier, schema
from state.carrier import Carrier
from state.store import Store

PAGE = 4096


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(f"sqlite:///{tmp_path / 'hub.db'}")
    found.migrate()
    yield found
    found.close()


NUMBERS = count()


def write(store: Store, times: int) -> int:
    """Some pages a transaction; the pages after which a commit carries the log over itself."""
    for _, n in zip(range(times), NUMBERS, strict=False):
        with store.transaction("test") as connection:
            rows = [{"source": "s", "kind": "payment", "external_id": f"{n}.{i}",
                     "payload": "x" * PAGE, "version_at": 1} for i in range(20)]  # fmt: skip
            connection.execute(sa.insert(schema.journal), rows)
            itself = connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar()
    return int(itself or 0)


def log(store: Store) -> int:
    """How long the log ever was, in bytes."""
    assert store.file is not None
    return store.file.with_name(store.file.name + "-wal").stat().st_size


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "carrier"]


def test_while_transactions_stream_another_thread_carries(store: Store) -> None:
    assert store.file is not None
    assert write(store, 1) == 1000
    before = store.file.stat().st_size
    with store.streaming():
        assert threads() == ["carrier"]
        assert write(store, 30) == 0
    assert store.file.stat().st_size > before + 300 * PAGE, "nothing was carried over"
    assert threads() == []
    assert write(store, 1) == 1000
    with store.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.journal)) == 640


def test_the_log_does_not_grow_for_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier, "_LONGEST", 200)
    with store.streaming():
        write(store, 150)
    assert log(store) < 150 * 20 * PAGE / 2, "it was never begun anew"


def test_a_file_that_cannot_be_written_ends_it_and_writers_carry(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Carrier(tmp_path / "gone" / "hub.db")
    lost._thread.join(10)
    assert not lost.alive
    lost.tell()
    lost.end()
    with store.streaming():
        assert store._carrier is not None
        store._carrier.alive = False
        assert write(store, 2) == 1000


def test_streams_within_streams_have_one_carrier(store: Store) -> None:
    with store.streaming(), store.streaming():
        assert threads() == ["carrier"]
        write(store, 1)
    assert threads() == []
