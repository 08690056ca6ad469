"""The life of a digest, in a world written by hand: made, read, ended by people or by the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from brokersync import explain
from mapping.policy import Backlog
from simulator.story import HOUR_MS, Brand, Client, World
from state import digests, schema
from sync.backlog import check
from sync.cycle import anyone, sync_once
from sync.hub import Hub
from sync.outages import notice_outages
from sync.project import Projector
from tests.rig import BASE, Rig, rig
from tests.sync.test_cards import at, paid, registered

CAST = {
    # Deposited before; its latest attempt fails while the PSP is away.
    "rich": [
        registered("02 07:00"),
        paid("03 08:00", "deposit_succeeded", "100100"),
        paid("05 15:00", "deposit_failed", "100101", decline="insufficient_funds"),
    ],
    "poor": [
        registered("02 07:00"),
        paid("05 14:00", "deposit_failed", "100200", decline="insufficient_funds"),
    ],
    "later": [
        registered("02 07:00"),
        paid("05 14:30", "deposit_failed", "100300", decline="insufficient_funds"),
    ],
    # Under review, which only the risk team may know.
    "doubtful": [
        registered("02 07:00"),
        paid("03 08:00", "deposit_succeeded", "100400"),
        paid("04 08:00", "chargeback_opened", "100400", id="900400"),
        paid("05 16:00", "deposit_failed", "100401", decline="fraud_suspected"),
    ],
    # Its task was closed an hour before the PSP went away.
    "again": [
        registered("02 07:00"),
        paid("05 09:00", "deposit_failed", "100500", decline="insufficient_funds"),
        paid("05 10:30", "deposit_succeeded", "100501"),
        paid("05 16:30", "deposit_failed", "100502", decline="insufficient_funds"),
    ],
    "fresh": [
        registered("02 07:00"),
        paid("05 19:00", "deposit_failed", "100600", decline="insufficient_funds"),
    ],
}
AWAY, BACK = at("05 12:00"), at("05 20:00")


@dataclass(slots=True)
class Desk:
    """A hub whose PSP was away from 12:00 to 20:00 and will answer at the next sync."""

    rig: Rig
    hub: Hub

    def sync(self, now: int) -> None:
        """The story goes on to an instant, and the hub syncs."""
        self.rig.advance_to(now)
        self.rig.sync(self.hub)

    def tasks(self) -> dict[str, dict[str, str]]:
        """By key without the brand."""
        shown = self.rig.portal.tasks("broker_task_key")
        return {key.partition(":")[2]: task for key, task in shown.items()}

    def digest(self) -> dict[str, str]:
        """The only one there is."""
        (found,) = (t for k, t in self.tasks().items() if k.startswith("digest:"))
        return found

    def own(self) -> set[str]:
        """Clients whose latest failure has a task of its own that is open."""
        return {
            key.split(":")[0] for key, task in self.tasks().items()
            if ":CS5:" in key and task["hs_task_status"] == "NOT_STARTED"
        }  # fmt: skip

    def happens(self, client: str, *events: object) -> None:
        """More of a client's story."""
        one = self.rig.world.clients[f"alpha:{client}"]
        one.events += events  # type: ignore[arg-type]
        self.rig.world.add(one)


def _desk(database: str, folder: Path, **portal: bool) -> Iterator[Desk]:
    clients = [Client("alpha", key, list(events)) for key, events in CAST.items()]
    brand = Brand("alpha", "Europe/Nicosia", "USD", "offshore", 1980)
    world = World(clients, {"alpha": brand}, at("02 00:00"))
    modes = {"CS5": "tasks", "*": "fields"}
    one = rig(world, database, folder, at("02 00:00"), modes, BASE, **portal)
    one.advance_to(at("05 08:00"))
    made = Desk(one, one.hub())
    for moment in ("05 09:30", "05 11:00", "05 12:00"):
        made.sync(at(moment))
    one.vendors["paymentiq-alpha"].faults.garbage = True
    for hours in range(1, 8):
        one.advance_to(AWAY + hours * HOUR_MS)
        assert [name for name, _ in sync_once(made.hub).errors] == ["paymentiq-alpha"]
    one.vendors["paymentiq-alpha"].faults.garbage = False
    assert {k: t["hs_task_status"] for k, t in made.tasks().items()} == {"again:CS5:1": "COMPLETED"}
    yield made
    made.hub.close()


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    """On both engines."""
    yield from _desk(database_url, tmp_path)


@pytest.fixture(params=[True, False], ids=["unique key", "no unique key"])
def quick(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """On SQLite, in a portal with and without unique keys on tasks."""
    database = f"sqlite:///{tmp_path / 'hub.db'}"
    yield from _desk(database, tmp_path, task_unique_keys=request.param)


def test_its_text_to_the_letter(desk: Desk) -> None:
    desk.sync(BACK)
    task = desk.digest()
    assert task["hs_task_subject"] == (
        "4 reasons from the outage of payments, 2026-03-05 14:00 to 2026-03-05 22:00 EET [alpha]"
    )
    assert task["hs_task_body"] == (
        "They began while payments could not be read, and have no tasks of their own. "
        "The most valuable clients come first.\n\n"
        "1. CS5 Failed deposit attempt, client alpha:rich, deposits 250.00 USD, "
        "since 2026-03-05 17:00 EET\n"
        "2. CS5 Failed deposit attempt, client alpha:doubtful, deposits 0.00 USD, "
        "since 2026-03-05 18:00 EET\n"
        "3. CS5 Failed deposit attempt, client alpha:later, deposits 0.00 USD, "
        "since 2026-03-05 16:30 EET\n"
        "4. CS5 Failed deposit attempt, client alpha:poor, deposits 0.00 USD, "
        "since 2026-03-05 16:00 EET"
    )
    text = (task["hs_task_subject"] + task["hs_task_body"]).lower()
    for word in ("chargeback", "dispute", "fraud", "review", "ls12"):
        assert word not in text, word
    assert desk.own() == {"fresh"}
    links = desk.rig.portal.associations("broker_task_key", "broker_client_id")
    assert links[task["broker_task_key"]] == ["alpha:rich"]
    with desk.hub.store.reading() as connection:
        assert digests.count(connection) == [("payments", 1, 1)]


def test_what_was_waiting_for_its_cool_down_opens_a_task_of_its_own(quick: Desk) -> None:
    """Nothing may be lost: a digest is made once, and this reason was none yet."""
    quick.sync(BACK)
    assert "alpha:again" not in quick.digest()["hs_task_body"]
    quick.sync(at("06 11:30"))
    assert quick.own() == {"fresh", "again"}


def _succeeds(desk: Desk, *clients: str) -> None:
    for n, client in enumerate(clients):
        desk.happens(client, paid("06 09:00", "deposit_succeeded", f"{100700 + n}"))


def test_the_hub_closes_it_once_all_its_reasons_are_over(desk: Desk) -> None:
    desk.sync(BACK)
    _succeeds(desk, "rich", "later", "poor")
    desk.sync(at("06 09:10"))
    assert desk.digest()["hs_task_status"] == "NOT_STARTED"
    desk.happens("doubtful", paid("06 10:00", "deposit_succeeded", "100703"))
    desk.sync(at("06 10:10"))
    task = desk.digest()
    assert task["hs_task_status"] == "COMPLETED"
    assert task["hs_task_body"].endswith(
        "\n\nClosed by brokersync on 2026-03-06 12:10 EET: all its reasons are over."
    )
    writes = dict(desk.rig.portal.writes)
    desk.sync(at("06 10:20"))
    assert dict(desk.rig.portal.writes) == writes
    with desk.hub.store.reading() as connection:
        assert digests.count(connection) == [("payments", 1, 0)]


def _complete(desk: Desk, crm_id: str) -> None:
    desk.rig.portal.edit("tasks", crm_id, {"hs_task_status": "COMPLETED"})


def _delete(desk: Desk, crm_id: str) -> None:
    desk.rig.portal.archive("tasks", crm_id)


def _edit(desk: Desk, crm_id: str) -> None:
    edits = {"hs_task_subject": "Ours", "hubspot_owner_id": "70111"}
    desk.rig.portal.edit("tasks", crm_id, edits)


@pytest.mark.parametrize(("deed", "left"), [(_complete, 0), (_delete, 0), (_edit, 1)])
def test_what_people_do_with_it_stays(
    quick: Desk, deed: Callable[[Desk, str], None], left: int
) -> None:
    quick.sync(BACK)
    deed(quick, quick.digest()["hs_object_id"])
    before = {k: t for k, t in quick.tasks().items() if k.startswith("digest:")}
    quick.sync(at("06 21:00"))  # a rotation through all records sees what was deleted
    quick.sync(at("06 21:05"))
    assert {k: t for k, t in quick.tasks().items() if k.startswith("digest:")} == before
    assert quick.own() == {"fresh", "again"}, "its reasons open no tasks because of that"
    with quick.hub.store.reading() as connection:
        assert digests.count(connection) == [("payments", 1, left)]
    for client in ("rich", "later", "poor", "doubtful"):
        quick.happens(client, paid("07 09:00", "deposit_succeeded", f"1008{client[:2]}"))
    quick.sync(at("07 09:10"))
    after = {k: t for k, t in quick.tasks().items() if k.startswith("digest:")}
    if left:
        assert quick.digest()["hs_task_status"] == "COMPLETED"
        assert quick.digest()["hs_task_subject"] == "Ours"
    else:
        assert after == before


def test_a_further_failure_is_a_reason_of_its_own(quick: Desk) -> None:
    quick.sync(BACK)
    quick.happens("poor", paid("06 09:00", "deposit_failed", "100900", decline="expired_card"))
    quick.sync(at("06 09:05"))
    assert quick.own() == {"fresh", "poor"}


def test_the_most_valuable_get_tasks_of_their_own_on_request(quick: Desk) -> None:
    quick.sync(BACK)
    quick.hub.backlog = Backlog("CS5", 2)
    check(quick.hub, quick.hub.backlog)
    quick.sync(at("05 20:10"))
    quick.hub.backlog = None
    assert quick.own() == {"fresh", "rich", "doubtful"}
    writes = dict(quick.rig.portal.writes)
    quick.sync(at("05 20:20"))
    assert dict(quick.rig.portal.writes) == writes
    shown = explain.client(quick.hub, "alpha:later")["refused"]
    key = f"alpha:digest:payments:{BACK}"
    assert [(r["refused"], r["digest"]) for r in shown if r["state"] == "CS5"] == [("outage", key)]


def test_one_that_is_admitted_as_the_vendor_returns_is_not_told_too(quick: Desk) -> None:
    quick.hub.backlog = Backlog("CS5", 1)
    quick.sync(BACK)
    assert quick.own() == {"fresh", "rich"}
    assert "alpha:rich" not in quick.digest()["hs_task_body"]


def test_a_hub_that_died_before_the_digest_makes_it_up(
    quick: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Projector, "tell", lambda self, now: None)
    quick.sync(BACK)
    assert quick.own() == {"fresh"}
    monkeypatch.undo()
    quick.sync(at("05 20:30"))
    task = quick.digest()
    assert task["broker_task_key"] == f"alpha:digest:payments:{BACK}"
    assert task["hs_task_subject"].startswith("4 reasons")
    assert quick.own() == {"fresh"}


def test_a_source_that_is_old_but_was_read_is_not_away(quick: Desk) -> None:
    """A client table that is exported once a day: no outage each noon."""
    now = quick.hub.clock.now_ms()
    horizons = {"alpha": {"registry": now - 10 * HOUR_MS}}
    assert notice_outages(quick.hub, anyone, now, horizons, []) == {}
    s = schema.source_state
    with quick.hub.store.transaction("test") as connection:
        mine = sa.update(s).where(s.c.source == "registry")
        connection.execute(mine.values(last_ok_at=now - 3 * HOUR_MS))
    (found,) = notice_outages(quick.hub, anyone, now, horizons, [])["alpha"]
    assert (found.families, found.from_at, found.ended_at) == (
        {"registry"}, now - 10 * HOUR_MS, None
    )  # fmt: skip
