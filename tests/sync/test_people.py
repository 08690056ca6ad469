"""Three hundred things people do in the CRM, by chance, over thirty syncs.

The test keeps its own account of what people did. What the hub should want comes from the world's
truth; whom a record belongs to from the ids the portal gave out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from simulator.story import HOUR_MS
from simulator.truth import contacts
from tests.conftest import Place
from tests.sync.test_readback import Office, office
from tests.truths import profile

CYCLES, DEEDS_A_CYCLE = 30, 10
OURS = ("country", "device", "kyc_status")
THEIRS = ("firstname", "phone")
SETTLED = 2  # syncs after which an edit has been seen: the index lags behind the first


@dataclass(slots=True)
class Account:
    """What people did, by their own account."""

    office: Office
    rng: Random
    cycle: int = 0
    fought: dict[tuple[str, str], list[tuple[int, str]]] = field(default_factory=dict)
    said: dict[tuple[str, str], str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    frozen: dict[str, dict[str, str]] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)
    tasks: dict[str, dict[str, str] | None] = field(default_factory=dict)
    deeds: Counter[str] = field(default_factory=Counter)
    plain: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Clients with a contact of their own, and twenty strangers."""
        world, crm = self.office.rig.world, self.office.rig.crm
        moving = {"merged", "deleted", "profile_updated"}
        groups = contacts(world, self.office.at)
        alone = {g.primary for g in groups if not g.others}
        self.plain = sorted(
            k for k in alone if not moving & {e.name for e in world.clients[k].events}
        )
        for n in range(20):
            email = f"stranger{n}@example.org"
            self.strangers.add(crm.add(email=email, firstname="S"))

    @property
    def people(self) -> list[str]:
        """Owners to choose from."""
        return [*self.office.rig.crm.people]

    def free(self) -> list[str]:
        """Contacts that nobody deleted or merged."""
        return [k for k in self.plain if k not in self.gone and k not in self.frozen]

    # What people do. Each says whether it was possible.

    def edits_ours(self) -> bool:
        key, name = self.rng.choice(self.free()[:12]), self.rng.choice(OURS)
        before = self.fought.setdefault((key, name), [])
        if before and self.cycle - before[-1][0] <= SETTLED:
            return False
        value = {"kyc_status": "approved"}.get(name, f"Z{self.cycle}")
        if name == "kyc_status" and self._truth(key)["kyc_status"] == "approved":
            value = "started"
        before.append((self.cycle, value))
        self.office.edit(key, **{f"brokerage_{name}": value})
        return True

    def edits_theirs(self) -> bool:
        key, name = self.rng.choice(self.free()), self.rng.choice(THEIRS)
        value = f"said {self.cycle} {self.rng.randrange(1000)}"
        self.said[key, name] = value
        self.office.edit(key, **{name: value})
        return True

    def moves_at_the_broker(self) -> bool:
        key = self.rng.choice(self.free())
        self.office.moves(key, phone=f"+357 {self.rng.randrange(10**6)}")
        return True

    def edits_a_stranger(self) -> bool:
        stranger = self.rng.choice(sorted(self.strangers))
        self.office.rig.crm.edit(stranger, firstname=f"S{self.cycle}")
        return True

    def deletes(self) -> bool:
        if len(self.gone) >= 15:
            return False
        key = self.rng.choice(self.free())
        self.office.rig.crm.archive(self.office.contact(key))
        self.gone.add(key)
        return True

    def merges_two_of_ours(self) -> bool:
        if len(self.frozen) >= 5:
            return False
        first, second = self.rng.sample(self.free(), 2)
        self.office.rig.crm.merge(self.office.contact(first), self.office.contact(second))
        self.gone.add(second)
        self.frozen[first] = self.office.shown()[first]
        return True

    def merges_with_a_stranger(self) -> bool:
        if len(self.strangers) < 12:
            return False
        key, stranger = self.rng.choice(self.free()), self.rng.choice(sorted(self.strangers))
        self.strangers.discard(stranger)
        self.office.rig.crm.merge(self.office.contact(key), stranger)
        return True

    def gives_an_owner(self) -> bool:
        self.office.edit(
            self.rng.choice(self.free()), hubspot_owner_id=self.rng.choice(self.people)
        )
        return True

    def works_on_a_task(self) -> bool:
        crm = self.office.rig.crm
        shown = crm.tasks()
        open_ = sorted(
            k for k, t in shown.items()
            if t["status"] == "open" and k not in self.tasks
        )  # fmt: skip
        if not open_:
            return False
        key = self.rng.choice(open_)
        crm_id = shown[key]["id"]
        deed = self.rng.choice(("done", "deleted", "owner", "body"))
        if deed == "deleted":
            crm.archive_task(crm_id)
            self.tasks[key] = None
            return True
        change = {
            "done": {"status": "done"},
            "owner": {"owner": self.rng.choice(self.people)},
            "body": {"body": f"notes {self.cycle}"},
        }[deed]
        crm.edit_task(crm_id, **change)
        self.tasks[key] = change
        return True

    def something(self) -> None:
        """One deed by chance."""
        deeds: list[Callable[[], bool]] = [
            self.edits_ours, self.edits_ours, self.edits_theirs, self.moves_at_the_broker,
            self.edits_a_stranger, self.deletes, self.merges_two_of_ours,
            self.merges_with_a_stranger, self.gives_an_owner, self.works_on_a_task,
        ]  # fmt: skip
        while not (deed := self.rng.choice(deeds))():
            pass
        self.deeds[deed.__name__] += 1

    # What must hold

    def check(self) -> None:
        """Everything, after a sync."""
        shown = self.office.shown()
        assert not self.gone & shown.keys(), "made again"
        for key, was in self.frozen.items():
            now = shown[key]
            assert {n: now.get(n) for n in was if n.startswith("broker")} == {
                n: v for n, v in was.items() if n.startswith("broker")
            }, "a merged record was written"
        for key in self.free():
            for name in OURS:
                assert shown[key].get(f"brokerage_{name}", "") in self._fitting(key, name), (
                    key, name, self.fought.get((key, name)), self.cycle,
                )  # fmt: skip
        for (key, name), value in self.said.items():
            if key in shown and key not in self.frozen:
                assert shown[key][name] == value, (key, name)
        tasks = self.office.rig.crm.tasks()
        for key, change in self.tasks.items():
            assert (key in tasks) == (change is not None), "resurrected"
            if change is not None and "status" not in change:
                assert {n: tasks[key][n] for n in change} == change
            elif change is not None:
                assert tasks[key]["status"] == "done"

    def _fitting(self, key: str, name: str) -> set[str]:
        """What the property may hold now: the truth, until it was restored twice."""
        true = self._truth(key)[name]
        fights = self.fought.get((key, name), [])
        if not fights:
            return {true}
        last, value = fights[-1]
        if len(fights) > 2:
            return {value}
        return {true, value} if self.cycle - last < SETTLED else {true}

    def _truth(self, key: str) -> dict[str, str]:
        world = self.office.rig.world
        found = profile(world, world.clients[key], self.office.at)
        assert found is not None
        return dict(found.fields)


@pytest.mark.parametrize(("seed", "crm"), [(1, "hubspot"), (2, "hubspot"), (1, "salesforce")])
def test_what_people_do_is_met_by_its_policy(seed: int, crm: str, tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path / 'hub.db'}", crm)
    with office(place, tmp_path, 220, seed=seed + 4) as here:
        _live(Account(here, Random(f"people {seed}")))


def test_it_is_on_postgresql_too(postgres_url: str, tmp_path: Path) -> None:
    with office(Place(postgres_url, "hubspot"), tmp_path, 150, seed=9) as here:
        _live(Account(here, Random("people on a server")))


def _live(account: Account) -> None:
    here, crm = account.office, account.office.rig.crm
    here.hub.read_back_calls = 12  # the rotation is small: a hundred records a sync
    account.begin()
    for account.cycle in range(CYCLES):
        for n in range(DEEDS_A_CYCLE):
            if n == DEEDS_A_CYCLE // 2:  # the other half happens too late for the index
                here.at += HOUR_MS
                here.rig.advance_to(here.at)
            account.something()
        here.rig.sync(here.hub)
        account.check()
    assert sum(account.deeds.values()) == CYCLES * DEEDS_A_CYCLE
    assert len(account.deeds) == 9, account.deeds
    fights = [len(f) for f in account.fought.values()]
    assert max(fights) > 2, "nothing was fought over often enough"
    strangers = account.strangers & {w.crm_id for w in crm.written if w.object == "contacts"}
    assert not strangers, "a record was written that is not the hub's"
    _quiet(account)


def _quiet(account: Account) -> None:
    """When people rest, so does the hub: what it wrote is not taken for an edit."""
    here = account.office
    for _ in range(SETTLED):
        here.rig.world.sleep(120)
        here.rig.sync(here.hub)
    before = here.rig.crm.writes
    here.rig.sync(here.hub)
    assert here.rig.crm.writes == before
