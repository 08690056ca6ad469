"""People work in the CRM beside the hub: each thing they do is met by its policy.

Expected values come from the world's truth (what the hub wants) and from a list the test keeps of
what its people did.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from brokersync import decide
from brokersync.output import Output
from mapping.errors import ConfigError
from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS, Event
from state import schema, sources
from sync.cycle import Cycle
from sync.hub import Hub
from tests.conftest import Place
from tests.crms.salesforce import SalesforceCrm
from tests.rig import Rig, rig

HUB_OWNED = ("brokerage_country", "brokerage_campaign", "brokerage_total_deposit_amount")
PERSON = ("firstname", "phone")
LAG_S = 30.0


@dataclass(slots=True)
class Office:
    """A hub over a portal in which people work."""

    rig: Rig
    hub: Hub
    at: int

    def hour(self) -> Cycle:
        """The story goes on for an hour, and the hub syncs."""
        self.at += HOUR_MS
        self.rig.advance_to(self.at)
        return self.rig.sync(self.hub)

    def shown(self, by: str = "broker_client_id") -> dict[str, dict[str, str]]:
        """Contacts as the portal has them."""
        return self.rig.crm.contacts(by)

    def contact(self, key: str) -> str:
        """A contact's id."""
        return self.shown()[key]["id"]

    def edit(self, key: str, **properties: str) -> None:
        """A person edits a contact."""
        self.rig.crm.edit(self.contact(key), **properties)

    def moves(self, key: str, **data: str) -> None:
        """Within the next hour the client changes details at the broker's."""
        client, moment = self.rig.world.clients[key], self.at + HOUR_MS // 2
        client.events.append(Event(moment, "profile_updated", data))
        self.rig.world.add(client)

    def alerts(self) -> dict[str, str]:
        """What is listed for people to decide."""
        with self.hub.store.reading() as connection:
            rows = sources.asides(connection)
        return {r["external_id"]: r["reason"] for r in rows if r["area"] == "readback"}

    def some(self, n: int = 1) -> list[str]:
        """Keys of contacts with a country and a telephone, by key."""
        keys = [k for k, v in self.shown().items() if v.get("brokerage_country") and v.get("phone")]
        return sorted(keys)[:n]


@contextmanager
def office(place: Place, folder: Path, clients: int = 40, seed: int = 3) -> Iterator[Office]:
    """A hub installed on day 46 of a world, after its first sync."""
    world = grow(seed, clients, 60)
    start = world.start_ms + 46 * DAY_MS
    lag = {"search_lag_s": LAG_S} if place.crm == "hubspot" else {}
    one = rig(world, place.database, folder, live_from=start, crm=place.crm, **lag)
    one.advance_to(start - HOUR_MS)
    hub = one.hub()
    one.advance_to(start)
    one.sync(hub)
    try:
        yield Office(one, hub, start)
    finally:
        hub.store.close()


@pytest.fixture
def here(place: Place, tmp_path: Path) -> Iterator[Office]:
    with office(place, tmp_path) as found:
        yield found


def test_a_hub_owned_value_is_restored_twice_and_then_left_with_an_alert(here: Office) -> None:
    (key,) = here.some()
    true = here.shown()[key]["brokerage_country"]
    for _ in range(2):
        here.edit(key, brokerage_country="ZZ")
        cycle = here.hour()
        assert here.shown()[key]["brokerage_country"] == true
        assert cycle.read_back[here.rig.crm.name].restored == 1
        assert key not in here.alerts()
    here.edit(key, brokerage_country="ZZ")
    here.hour()
    assert here.shown()[key]["brokerage_country"] == "ZZ"
    assert "brokerage_country keeps being edited" in here.alerts()[key]
    here.edit(key, brokerage_country="YY")
    here.hour()
    assert here.shown()[key]["brokerage_country"] == "YY"


def test_a_value_that_is_put_right_by_hand_ends_the_quarrel(here: Office) -> None:
    (key,) = here.some()
    true = here.shown()[key]["brokerage_country"]
    for value in ("ZZ", "ZZ", "ZZ"):
        here.edit(key, brokerage_country=value)
        here.hour()
    here.edit(key, brokerage_country=true)
    here.hour()
    here.edit(key, brokerage_country="ZZ")
    here.hour()
    assert here.shown()[key]["brokerage_country"] == true


def test_a_persons_value_stays(here: Office) -> None:
    (key,) = here.some()
    here.edit(key, phone="+357 1")
    here.hour()
    here.moves(key, phone="+357 2", first_name="Maro")
    for _ in range(3):
        here.hour()
    assert here.shown()[key]["phone"] == "+357 1"
    assert here.shown()[key]["firstname"] == "Maro", "nobody edited that one"


def test_an_edit_the_index_does_not_show_yet_is_not_written_over(here: Office) -> None:
    """The value changes at the broker's in the same minute in which a person edits it."""
    (key,) = here.some()
    here.moves(key, phone="+357 2")
    here.at += HOUR_MS
    here.rig.advance_to(here.at)
    here.edit(key, phone="+357 1")
    here.rig.sync(here.hub)
    assert here.shown()[key]["phone"] == "+357 1"


def test_an_archived_contact_is_never_made_again(here: Office) -> None:
    (key,) = here.some()
    here.rig.crm.archive(here.contact(key))
    for _ in range(3):
        here.hour()
        assert key not in here.shown()
    assert "was deleted in the CRM" in here.alerts()[key]


def test_it_is_not_even_if_only_the_write_finds_out(here: Office) -> None:
    here.hub.read_back_calls = 0
    (key,) = here.some()
    here.moves(key, country="FR", phone="+33 1")
    here.rig.crm.archive(here.contact(key))
    for _ in range(2):
        here.hour()
        assert key not in here.shown()


def test_two_merged_contacts_stop_both_keys(here: Office) -> None:
    first, second = here.some(2)
    here.rig.crm.merge(here.contact(first), here.contact(second))
    before = here.shown("id")
    for key in (first, second):
        here.moves(key, country="FR", phone="+33 1")
    for _ in range(3):
        here.hour()
    survivor = here.shown()[first]
    was = before[survivor["id"]]
    assert (survivor["brokerage_country"], survivor["phone"]) == (
        was["brokerage_country"], was["phone"],
    )  # fmt: skip
    assert second not in here.shown()
    assert {first, second} <= here.alerts().keys()


def test_a_contact_merged_with_a_strangers_goes_on(here: Office) -> None:
    (key,) = here.some()
    stranger = here.rig.crm.add(email="nobody@example.org")
    survivor = here.rig.crm.merge(stranger, here.contact(key))
    here.moves(key, country="FR")
    for _ in range(2):
        here.hour()
    assert here.shown()[key]["id"] == survivor
    assert here.shown()[key]["brokerage_country"] == "FR"
    assert key not in here.alerts()


@pytest.mark.parametrize("looks", [True, False], ids=["seen", "only the write finds out"])
def test_a_contact_whose_key_was_lost_in_a_merge_goes_on(looks: bool, tmp_path: Path) -> None:
    """In Salesforce the person chooses whose values are kept, blank ones too."""
    with office(Place(f"sqlite:///{tmp_path / 'hub.db'}", "salesforce"), tmp_path) as here:
        here.hub.read_back_calls = here.hub.read_back_calls if looks else 0
        (key,) = here.some()
        before = here.shown()[key]
        stranger = here.rig.crm.add(email="nobody@example.org", phone="+1 555")
        assert isinstance(here.rig.crm, SalesforceCrm)
        here.rig.crm.merge_into(stranger, before["id"])
        assert key not in here.shown()
        here.moves(key, country="FR")
        for _ in range(3):
            here.hour()
        now = here.shown()[key]
        assert now["id"] == stranger
        assert now["brokerage_country"] == "FR"
        assert now["phone"] == "+1 555", "a person's value"
        ours = {n for n, v in before.items() if n.startswith("brokerage") and v != "false"}
        assert ours <= now.keys(), "what the hub had told the other is told this one"
        assert here.alerts() == {}
        written = here.rig.crm.writes
        here.rig.sync(here.hub)
        assert here.rig.crm.writes == written


def test_a_person_decides_what_becomes_of_a_deleted_contact(here: Office) -> None:
    (key,) = here.some()
    here.rig.crm.archive(here.contact(key))
    here.hour()
    decide.decide(Output(as_json=True), here.hub, key, "recreate")
    here.hour()
    assert key in here.shown()
    assert here.alerts() == {}


def test_a_person_ends_a_quarrel(here: Office) -> None:
    (key,) = here.some()
    true = here.shown()[key]["brokerage_country"]
    for _ in range(3):
        here.edit(key, brokerage_country="ZZ")
        here.hour()
    assert decide.pending(Output(as_json=True), here.hub)
    decide.decide(Output(as_json=True), here.hub, key, "resume")
    here.hour()
    assert here.shown()[key]["brokerage_country"] == true
    assert not decide.pending(Output(as_json=True), here.hub)


def test_a_decision_names_a_contact_and_a_choice(here: Office) -> None:
    with pytest.raises(ConfigError, match="no contact with the key"):
        decide.decide(Output(as_json=True), here.hub, "alpha:nobody", "resume")
    with pytest.raises(ConfigError, match="say resume or recreate"):
        decide.decide(Output(as_json=True), here.hub, here.some()[0], "forget")


def _with_tasks(here: Office, n: int = 1) -> list[str]:
    """Keys of open tasks, after as many hours as it takes."""
    for _ in range(72):
        found = [k for k, t in _tasks(here).items() if t["status"] == "open"]
        if len(found) >= n:
            return sorted(found)
        here.hour()
    raise AssertionError("the story has too few tasks")


def _tasks(here: Office) -> dict[str, dict[str, str]]:
    return here.rig.crm.tasks()


def _episode(here: Office, key: str) -> dict[str, object]:
    with here.hub.store.reading() as connection:
        query = sa.select(schema.episode).where(schema.episode.c.key == key)
        return dict(connection.execute(query).mappings().one())


def test_a_task_that_a_person_deleted_stays_deleted(place: Place, tmp_path: Path) -> None:
    with office(place, tmp_path, 150) as here:
        key = _with_tasks(here)[0]
        here.rig.crm.archive_task(_tasks(here)[key]["id"])
        for _ in range(30):
            here.hour()
            assert key not in _tasks(here)
        episode = _episode(here, key)
        assert episode["close_reason"] == "its task was deleted by a person in the CRM"
        client = f"{episode['brand']}:{episode['client_id']}"
        same = [k for k in _tasks(here) if k.startswith(f"{client}:{episode['state']}:")]
        assert all(_episode(here, k)["begin_at"] > episode["closed_at"] for k in same)


def test_a_task_that_a_person_completed_stays_so(place: Place, tmp_path: Path) -> None:
    with office(place, tmp_path, 150) as here:
        key = _with_tasks(here)[0]
        mine = _tasks(here)[key]
        done = {"status": "done", "body": "called, wants to wait"}
        here.rig.crm.edit_task(mine["id"], **done)
        for _ in range(30):
            here.hour()
        assert {n: _tasks(here)[key][n] for n in done} == done
        assert (
            _episode(here, key)["close_reason"] == "its task was completed by a person in the CRM"
        )


def test_what_a_person_changes_in_a_task_is_theirs(place: Place, tmp_path: Path) -> None:
    with office(place, tmp_path, 150) as here:
        key = _with_tasks(here)[0]
        mine = _tasks(here)[key]
        other = next(o for o in here.rig.crm.people if o != mine["owner"])
        theirs = {"owner": other, "body": "my notes"}
        started = {**theirs, "status": "open"}
        here.rig.crm.edit_task(mine["id"], **started)
        for _ in range(30):
            here.hour()
        assert {n: _tasks(here)[key][n] for n in theirs} == theirs
        assert _episode(here, key)["by_person"] == 0


def test_the_contacts_owner_gets_the_task_if_in_the_team(crm: str, tmp_path: Path) -> None:
    """Every contact has an owner now; later tasks of that owner's team are theirs."""
    with office(Place(f"sqlite:///{tmp_path / 'hub.db'}", crm), tmp_path, 200) as here:
        owner = here.rig.crm.teams["onboarding"].members[0]
        for contact in here.shown("id"):
            here.rig.crm.edit(contact, hubspot_owner_id=owner)
        before = set(_tasks(here))
        for _ in range(60):
            here.hour()
        later = {k: _episode(here, k) for k in _tasks(here) if k not in before}
        owned = {k for k, v in here.shown().items() if v.get("hubspot_owner_id") == owner}
        theirs = [
            k for k, e in later.items() if e["team"] == "onboarding" and e["contact"] in owned
        ]
        assert theirs
        assert {_tasks(here)[k]["owner"] for k in theirs} == {owner}
