"""Links by hand: listed, made, outliving pulls, following merges, taken back, explained."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from brokersync import explain, links
from brokersync.output import Output
from connectors.base import Boundary, no_boundary
from mapping.errors import ConfigError
from simulator.story import DAY_MS, HOUR_MS, Brand, Client, Event, World
from state import identity, schema
from sync.cycle import sync_once
from sync.hub import Hub
from tests.rig import Rig, rig

START_MS = 1_772_323_200_000
GHOST = ("client_id", "GHOST")


def _deposit(at: int, payment: str) -> Event:
    data = {"payment": payment, "amount": "50.00", "currency": "USD", "method": "card"}
    return Event(at, "deposit_succeeded", data)


@pytest.fixture(name="one")
def _one(database_url: str, tmp_path: Path) -> Rig:
    """Two clients; a third, whom the registry learns of late, has paid twice."""
    registered = Event(START_MS, "registered", {})
    paid = [_deposit(START_MS + HOUR_MS, "1"), _deposit(START_MS + 2 * HOUR_MS, "2")]
    clients = [
        Client("alpha", "C-0", [registered, *paid]),
        Client("alpha", "C-1", [registered]),
        Client("alpha", "GHOST", [Event(START_MS + 3 * DAY_MS, "registered", {})]),
    ]
    brand = Brand("alpha", "Europe/Nicosia", "USD", "offshore", 1001)
    world = World(clients, {"alpha": brand}, START_MS)
    one = rig(world, database_url, tmp_path, START_MS)
    for payment in ("1", "2"):
        one.vendors["paymentiq-alpha"].edits[payment] = {"merchantUserId": "GHOST"}
    one.advance_to(START_MS + DAY_MS)
    return one


@pytest.fixture(name="hub")
def _hub(one: Rig) -> Any:
    hub = one.hub()
    one.sync(hub)
    yield hub
    hub.close()


def _owners(hub: Hub) -> set[str]:
    with hub.store.reading() as connection:
        return set(connection.scalars(sa.select(schema.payment.c.client_id)))


def _stage(hub: Hub, client: str) -> str | None:
    found: str | None = explain.client(hub, f"alpha:{client}")["stage"]
    return found


def _printed(action: Any, *arguments: Any) -> dict[str, Any]:
    text = io.StringIO()
    with redirect_stdout(text):
        action(Output(as_json=True), *arguments)
    found: dict[str, Any] = json.loads(text.getvalue())
    return found


def test_what_waits_is_listed_without_personal_data(hub: Hub) -> None:
    (waiting,) = _printed(links.waiting, hub)["waiting"]
    assert {n: waiting[n] for n in ("brand", "family", "source", "record", "kind", "value")} == {
        "brand": "alpha", "family": "psp", "source": "paymentiq-alpha", "record": "payment",
        "kind": "client_id", "value": "GHOST",
    }  # fmt: skip
    assert (waiting["external_id"], waiting["count"]) == ("1", 2)
    assert waiting["since"].startswith("2026-03-02")


def test_a_link_outlives_pulls_wins_and_is_taken_back(one: Rig, hub: Hub) -> None:
    assert (_stage(hub, "C-0"), _owners(hub)) == ("LS1", {""})
    done = _printed(links.link, hub, *GHOST, "alpha:C-0", "the cashier's test account")
    assert done["records"] == 2
    assert _owners(hub) == {"C-0"}
    one.sync(hub)
    assert _stage(hub, "C-0") == "LS9"
    assert _printed(links.waiting, hub)["waiting"] == []
    # A new payment of the same reference, then a client of that id: the decision stands.
    one.world.clients["alpha:C-0"].events.append(_deposit(START_MS + 2 * DAY_MS, "3"))
    one.vendors["paymentiq-alpha"].edits["3"] = {"merchantUserId": "GHOST"}
    one.advance_to(START_MS + 5 * DAY_MS)
    one.sync(hub)
    assert _owners(hub) == {"C-0"}
    assert explain.client(hub, "alpha:GHOST")["why"] == "merged into alpha:C-0"
    # Linked to another client instead; then left to the sources, who know of GHOST by now.
    links.link(Output(as_json=False), hub, *GHOST, "alpha:C-1", "it was the other one")
    one.sync(hub)
    assert (_owners(hub), _stage(hub, "C-0"), _stage(hub, "C-1")) == ({"C-1"}, "LS1", "LS9")
    links.unlink(Output(as_json=False), hub, *GHOST, "alpha", "a client after all")
    one.sync(hub)
    assert (_owners(hub), _stage(hub, "C-1"), _stage(hub, "GHOST")) == ({"GHOST"}, "LS1", "LS9")
    trail = explain.client(hub, "alpha:C-1")["links"]
    told = [(d["client"], d["reason"], d["standing"]) for d in trail]
    assert told == [
        (None, "a client after all", False),
        ("alpha:C-1", "it was the other one", False),
        ("alpha:C-0", "the cashier's test account", False),
    ]
    assert all(d["by"] and d["at"] for d in trail)


def test_taken_back_the_records_wait_again(one: Rig, hub: Hub) -> None:
    links.link(Output(as_json=False), hub, *GHOST, "alpha:C-0", "why")
    one.sync(hub)
    links.unlink(Output(as_json=False), hub, *GHOST, "alpha", "wrong")
    assert _owners(hub) == {""}
    one.sync(hub)
    assert _stage(hub, "C-0") == "LS1"
    assert len(_printed(links.waiting, hub)["waiting"]) == 1


def test_a_link_follows_the_client_through_a_merge_and_back(one: Rig, hub: Hub) -> None:
    links.link(Output(as_json=False), hub, *GHOST, "alpha:C-0", "why")
    with hub.store.transaction("test") as connection:
        client = schema.client
        mine = client.c.external_id == "C-0"
        for into, expected in (("C-1", {"C-1"}), ("", {"C-0"})):
            connection.execute(sa.update(client).where(mine).values(merged_into=into))
            identity.relink(connection, _version_of(connection, "C-0"), 1)
            owners = connection.scalars(sa.select(schema.payment.c.client_id))
            assert set(owners) == expected


def _version_of(connection: Any, client: str) -> identity.Versions:
    j = schema.journal
    query = sa.select(j.c.seq).where(j.c.external_id == client, j.c.kind == "profile")
    seq = int(connection.scalar(query))
    return identity.Versions(seq - 1, seq)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("client_id", "GHOST", "alpha:nobody", "why"), "no client alpha:nobody"),
        (("client_id", "GHOST", "beta:C-0", "why"), "no such brand 'beta'"),
        (("client_id", "GHOST", "C-0", "why"), "KIND VALUE BRAND:CLIENT"),
        (("client_id", "GHOST", "alpha:C-0", "  "), "--reason"),
        (("passport", "GHOST", "alpha:C-0", "why"), "'passport'"),
        (("client_id", "GH0ST", "alpha:C-0", "why"), "no record of brand alpha"),
    ],
)
def test_what_cannot_be_linked_is_refused(hub: Hub, arguments: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        links.link(Output(as_json=False), hub, *arguments)
    assert _owners(hub) == {""}


def test_a_circle_and_a_link_that_is_not_there_are_refused(one: Rig, hub: Hub) -> None:
    out = Output(as_json=False)
    with pytest.raises(ConfigError, match="no link by hand"):
        links.unlink(out, hub, *GHOST, "alpha", "why")
    one.advance_to(START_MS + 5 * DAY_MS)
    one.sync(hub)  # GHOST is a client by now
    with pytest.raises(ConfigError, match="nothing to link"):
        links.link(out, hub, *GHOST, "alpha:GHOST", "why")


def test_it_works_beside_a_running_engine(one: Rig, hub: Hub) -> None:
    """Made between any two steps of a sync, by another process, the link is complete after it."""
    other = one.hub()
    steps: list[str] = []

    def meddle(name: str) -> None:
        steps.append(name)
        if name == "before:project.step" and len(steps) < 100:
            links.link(Output(as_json=False), other, *GHOST, "alpha:C-0", "why")
            steps.extend([""] * 100)

    engine = one.hub(_only_before(meddle))
    one.advance_to(START_MS + 2 * DAY_MS)
    assert sync_once(engine).status == "ok"
    assert (_owners(hub), _stage(hub, "C-0")) == ({"C-0"}, "LS9")
    engine.close()
    other.close()


def _only_before(meddle: Boundary) -> Boundary:
    return lambda name: meddle(name) if name.startswith("before:") else no_boundary(name)
