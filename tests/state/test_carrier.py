"""SQLite's log is carried over beside whoever writes, and by the writers again afterwards."""

from __future__ import annotations

import sqlite3
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
    assert store.file.stat().st_size > before + 590 * PAGE, "not all was carried over"
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


def test_it_is_carried_over_after_several_commits(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = threading.Event()
    usual = Carrier._carry_over

    def watched(self: Carrier, connection: sqlite3.Connection) -> None:
        carried.set()
        usual(self, connection)

    monkeypatch.setattr(Carrier, "_carry_over", watched)
    with store.streaming():
        write(store, 7)
        assert not carried.wait(0.3), "too early"
        write(store, 1)
        assert carried.wait(10), "only at the end"


def test_what_is_left_is_carried_over_at_the_end(store: Store) -> None:
    assert store.file is not None
    write(store, 1)
    with store.streaming():
        before = store.file.stat().st_size
        write(store, 3)
        assert store.file.stat().st_size == before
    assert store.file.stat().st_size > before + 55 * PAGE


def test_only_a_step_that_can_be_repeated_does_not_wait_for_the_disk(store: Store) -> None:
    def waits(repeatable: bool) -> int:
        with store.transaction("test", repeatable=repeatable) as connection:
            return int(connection.exec_driver_sql("PRAGMA synchronous").scalar() or 0)

    normal, full = 1, 2
    assert [waits(r) for r in (False, True, True, False)] == [full, normal, normal, full]
    with store.beside("test") as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == full


def test_a_server_neither(postgres_url: str) -> None:
    usual = sa.make_url(postgres_url).update_query_dict({"options": "-c synchronous_commit=on"})
    store = Store(usual.render_as_string(hide_password=False))
    store.migrate()
    found = []
    for repeatable in (False, True, False):
        with store.transaction("test", repeatable=repeatable) as connection:
            found.append(connection.exec_driver_sql("SHOW synchronous_commit").scalar())
    store.close()
    assert found == ["on", "off", "on"]


def test_streams_within_streams_have_one_carrier(store: Store) -> None:
    with store.streaming(), store.streaming():
        assert threads() == ["carrier"]
        write(store, 1)
    assert threads() == []
