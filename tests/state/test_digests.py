"""Digests as they are kept: which contacts a task can be put on, and what closes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from mapping.outage import Outage
from state import digests, schema
from state.digests import Stored
from state.outages import Spell, begin, end, told, untold
from state.store import Store

KEYS = ("there", "coming", "left_out", "deleted", "refused")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An empty database of each engine."""
    made = Store(database_url)
    made.migrate()
    yield made
    made.close()


def test_a_contact_the_crm_has_or_will_have(store: Store) -> None:
    wanted = [
        {"destination": "hubspot", "object": "contact", "key": key, "body": "{}",
         "creates": int(key != "left_out")}
        for key in KEYS
    ]  # fmt: skip
    shown = [("there", "1", ""), ("deleted", "2", "archived"), ("refused", "", "")]
    with store.transaction("test") as connection:
        connection.execute(sa.insert(schema.desired), wanted)
        connection.execute(
            sa.insert(schema.crm_shadow),
            [{"destination": "hubspot", "object": "contact", "key": key, "crm_id": crm_id,
              "status": status} for key, crm_id, status in shown],
        )  # fmt: skip
        found = digests.reachable(connection, "hubspot", [*KEYS, "unknown"])
    assert found == {"there", "coming"}


def _stored(key: str) -> Stored:
    psp = frozenset({"psp", "ledger"})
    return Stored(key, "alpha", "payments", psp, 100, 200, "hubspot", "alpha:1")


def test_it_is_over_with_its_last_reason_and_closes_once(store: Store) -> None:
    with store.transaction("test") as connection:
        for key in ("one", "two"):
            digests.keep(connection, _stored(key))
        rows = [("1", "one", 5), ("2", "one", None), ("3", "two", 5), ("4", "", None)]
        connection.execute(
            sa.insert(schema.episode),
            [{"brand": "alpha", "client_id": client, "state": "CS5", "n": 1, "key": client,
              "digest": digest, "closed_at": closed} for client, digest, closed in rows],
        )  # fmt: skip
        assert digests.over(connection) == [("two", "alpha", "hubspot")]
        digests.close(connection, {"two": "over", "4": "no digest"}, 300)
        digests.close(connection, {"two": "again"}, 400)
        assert digests.over(connection) == []
        assert digests.count(connection) == [("payments", 2, 1)]
        outage = Outage(frozenset({"psp", "ledger"}), 100, 200, 200)
        assert digests.outages(connection, ["one", "none"]) == {"one": outage}
        d = schema.digest
        kept = connection.execute(sa.select(d.c.closed_at, d.c.close_reason).order_by(d.c.key))
        assert kept.all() == [(None, ""), (300, "over")]


def test_an_outage_is_untold_until_it_is_told(store: Store) -> None:
    first = Spell("alpha", "psp", 150, 100, None)
    other = Spell("beta", "psp", 150, 120, None)
    with store.transaction("test") as connection:
        begin(connection, [first, other])
        begin(connection, [first])
        connection.execute(
            sa.insert(schema.episode),
            [{"brand": brand, "client_id": "1", "state": "CS5", "n": 1, "key": f"{brand}:1",
              "refused": "outage"} for brand in ("alpha", "beta")],
        )  # fmt: skip
        end(connection, [first], 200)
        over = Spell("alpha", "psp", 150, 100, 200)
        assert untold(connection) == [over, other]
        t = schema.touched
        touched = connection.execute(sa.select(t.c.brand, t.c.client_id)).all()
        assert touched == [("alpha", "1")], "its reasons are judged by what is known now"
        told(connection, [over], 300)
        assert untold(connection) == [other]
