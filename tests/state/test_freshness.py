"""Late families as they are kept, and which clients are touched for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from mapping.freshness import Late
from state import freshness, schema
from state.store import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Clients of two brands, computed at 100, 200 and 300; some with reasons, some with tasks."""
    made = Store(database_url)
    made.migrate()
    with made.transaction("test.fill") as connection:
        for brand in ("alpha", "beta"):
            profiles = [
                {"brand": brand, "client_id": f"{at}", "evaluated_at": at} for at in (100, 200, 300)
            ]
            connection.execute(sa.insert(schema.profile), profiles)
            rows = [
                ("100", "CS5", 1, None, 50), ("100", "CS8", 1, None, 60), ("200", "CS5", 1, 90, 50),
                ("300", "CS5", 1, None, None),
            ]  # fmt: skip
            names = ("client_id", "state", "n", "closed_at", "admitted_at")
            connection.execute(
                sa.insert(schema.episode),
                [
                    {"brand": brand, "key": f"{brand}:{row[0]}:{row[1]}",
                     **dict(zip(names, row, strict=True))}
                    for row in rows
                ],
            )  # fmt: skip
    yield made
    made.close()


def touched(store: Store) -> list[tuple[str, str]]:
    """Who is to be computed again."""
    with store.reading() as connection:
        t = schema.touched
        rows = connection.execute(sa.select(t.c.brand, t.c.client_id).order_by("client_id"))
        return [(b, c) for b, c in rows]


def test_late_touches_whose_task_is_open_once(store: Store) -> None:
    with store.transaction("test") as connection:
        assert freshness.touch_with_tasks(connection, "alpha") == 1
        assert freshness.touch_with_tasks(connection, "alpha") == 0  # waits already
    assert touched(store) == [("alpha", "100")]


def test_current_again_touches_who_was_computed_since(store: Store) -> None:
    with store.transaction("test") as connection:
        assert freshness.touch_computed_since(connection, "beta", 200) == 2
    assert touched(store) == [("beta", "200"), ("beta", "300")]


def test_what_is_kept_is_each_brands_own(store: Store) -> None:
    one, two = {"psp": Late(10, 20), "kyc": Late(11, 21)}, {"psp": Late(30, 40)}
    with store.transaction("test") as connection:
        freshness.store(connection, "alpha", one)
        freshness.store(connection, "beta", two)
        assert freshness.known(connection) == {"alpha": one, "beta": two}
        freshness.store(connection, "alpha", {})
        assert freshness.known(connection) == {"beta": two}
