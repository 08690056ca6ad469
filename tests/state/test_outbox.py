"""The outbox on both engines: differences only, replaced until claimed, fenced, swept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mapping.errors import RetryableError
from state import engine, outbox
from state.outbox import Acknowledged, Claim, Desired
from state.store import Store

NOW = 1_772_323_200_000
HOUR = 3_600_000


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    found = Store(database_url)
    found.migrate()
    yield found
    found.close()


def want(store: Store, key: str, priority: int = 3, **body: str) -> int:
    with store.transaction("test") as connection:
        return outbox.want(connection, "crm", [Desired("contact", key, body, priority)], NOW)


def claim(store: Store, limit: int = 10, now: int = NOW) -> list[Claim]:
    with store.transaction("test") as connection:
        return outbox.claim(connection, "crm", "contact", limit, now, 1)


def acknowledge(store: Store, claim_: Claim) -> None:
    row = Acknowledged(claim_.key, f"id-{claim_.key}", claim_.text, claim_.hash, as_wanted=True)
    with store.transaction("test") as connection:
        outbox.acknowledge(connection, "crm", "contact", [row], NOW, 1)


def waiting(store: Store) -> dict[tuple[str, str], int]:
    with store.reading() as connection:
        return outbox.backlog(connection, "crm")


def test_the_latest_desired_state_is_what_is_claimed(store: Store) -> None:
    assert want(store, "a", stage="LS1") == 1
    assert want(store, "a", stage="LS1") == 0, "no change, no row"
    want(store, "a", stage="LS2")
    (found,) = claim(store)
    assert (found.key, found.body, found.crm_id) == ("a", {"stage": "LS2"}, "")
    assert claim(store) == [], "one in flight a record"


def test_an_acknowledged_state_leaves_nothing_behind(store: Store) -> None:
    want(store, "a", stage="LS1")
    acknowledge(store, claim(store)[0])
    assert waiting(store) == {}
    want(store, "a", stage="LS2")
    (again,) = claim(store)
    assert (again.crm_id, again.acknowledged) == ("id-a", {"stage": "LS1"})


def test_back_to_what_the_crm_has_is_no_difference(store: Store) -> None:
    want(store, "a", stage="LS1")
    acknowledge(store, claim(store)[0])
    want(store, "a", stage="LS2")
    want(store, "a", stage="LS1")
    assert waiting(store) == {}


def test_news_during_the_flight_are_sent_after_it(store: Store) -> None:
    want(store, "a", stage="LS1")
    (flying,) = claim(store)
    want(store, "a", stage="LS2")
    assert claim(store) == []
    acknowledge(store, flying)
    (after,) = claim(store)
    assert (after.body, after.acknowledged) == ({"stage": "LS2"}, {"stage": "LS1"})


def test_urgent_records_go_first(store: Store) -> None:
    for key, priority in (("slow", 3), ("urgent", 0), ("stage", 2)):
        want(store, key, priority, stage="LS1")
    assert [c.key for c in claim(store, 2)] == ["urgent", "stage"]


def test_a_record_set_aside_waits_and_wakes_when_it_changes(store: Store) -> None:
    want(store, "a", stage="LS1")
    claim(store)
    with store.transaction("test") as connection:
        outbox.put_aside(connection, "crm", "contact", {"a": NOW + HOUR})
    assert claim(store) == []
    assert waiting(store) == {("contact", "aside"): 1}
    assert [c.key for c in claim(store, now=NOW + HOUR)] == ["a"]
    with store.transaction("test") as connection:
        outbox.put_aside(connection, "crm", "contact", {"a": NOW + HOUR})
    want(store, "a", stage="LS2")
    assert [c.key for c in claim(store)] == ["a"], "its input changed"


def test_the_sweep_finds_lost_rows_and_dead_flights(store: Store) -> None:
    want(store, "a", stage="LS1")
    want(store, "b", stage="LS1")
    for found in claim(store):
        if found.key == "a":
            acknowledge(store, found)
    with store.transaction("test") as connection:
        outbox.sweep(connection, "crm", NOW)
    assert [c.key for c in claim(store)] == ["b"], "its engine died in flight"
    with store.transaction("test") as connection:
        connection.exec_driver_sql("DELETE FROM crm_shadow")
        connection.exec_driver_sql("DELETE FROM outbox")
        outbox.sweep(connection, "crm", NOW)
    assert [c.key for c in claim(store)] == ["a", "b"]


def test_an_engine_that_lost_the_role_is_stopped(store: Store) -> None:
    with store.transaction("test") as connection:
        first = engine.take_role(connection, NOW)
    with store.transaction("test") as connection:
        engine.hold(connection, first)
        second = engine.take_role(connection, NOW)
    assert second == first + 1
    with pytest.raises(RetryableError, match="another engine"), store.transaction("test") as c:
        engine.hold(c, first)


def test_a_rehearsal_is_taken_back(store: Store) -> None:
    with store.rehearsal():
        want(store, "a", stage="LS1")
        assert [c.key for c in claim(store)] == ["a"]
    assert waiting(store) == {}
    assert want(store, "a", stage="LS1") == 1
