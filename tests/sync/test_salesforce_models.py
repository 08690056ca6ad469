"""A client who registers, converts, funds, trades, withdraws, in each model of Salesforce.

One small world flows into three orgs over loopback HTTP. People convert its leads at the worst
moments. What the three orgs hold in the end must be the same: one chain of records a client, the
same fields, the same tasks on the right record. All is judged by what lies in the fake orgs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.base import Context
from connectors.salesforce.destination import SalesforceDestination
from connectors.salesforce.settings import SalesforceSettings
from mapping.policy import Team
from simulator.examples import load
from simulator.loopback import HttpServer
from simulator.salesforce import SalesforceFake
from simulator.salesforce_people import APP, organisation, teams
from simulator.story import DAY_MS, HOUR_MS, Client, Event, World
from simulator.wire import Request, Response
from state import readback, schema, sources
from sync import check
from sync.check import Level
from sync.crm_schema import wanted
from sync.hub import Hub
from tests.rig import BASE, Rig, rig

_EXAMPLE = load(Path(__file__).parent.parent / "data" / "examples.yaml")[0]
START = _EXAMPLE.live_from + DAY_MS  # 2026-03-02T00:00:00Z, a Monday
EVERY_MS, DAYS = 6 * HOUR_MS, 7
CONVERTED = ("soon", "tasked", "planned", "lost", "asked", "mapped", "into")
"""Clients whose leads people convert; what each name means: see :class:`Deeds`."""
CAST = (*CONVERTED, "never", "known", "nameless")


def _life(n: int, key: str) -> Client:
    """Registers, is verified, fails to pay and pays, trades, and asks for money back."""
    day = START + n * 60_000
    who = {"first_name": f"Ana{n}", "last_name": "Berg", "email": f"{key}@example.com",
           "verified": True, "phone": f"+357 {n}", "country": "CY"}  # fmt: skip
    if key == "nameless":
        who |= {"first_name": "", "last_name": ""}
    pay = {"amount": "500.00", "currency": "USD", "method": "card"}
    login = 70_000_000 + n
    account = {"login": login, "group": "real\\std", "currency": "USD", "leverage": 100}
    paid, out = str(100_000 + n), str(300_000 + n)
    return Client("alpha", key, [
        Event(day + 7 * HOUR_MS, "registered", who),
        Event(day + 9 * HOUR_MS, "kyc_started", {"attempt": 1}),
        Event(day + DAY_MS, "kyc_approved", {"attempt": 1}),
        Event(day + 2 * DAY_MS, "deposit_failed",
              {**pay, "payment": str(200_000 + n), "decline": "insufficient_funds"}),
        Event(day + 3 * DAY_MS, "deposit_succeeded", {**pay, "payment": paid}),
        Event(day + 3 * DAY_MS + HOUR_MS, "account_opened", account),
        Event(day + 4 * DAY_MS, "traded", {"login": login, "group": "fx", "lots": "0.10"}),
        Event(day + 5 * DAY_MS, "withdrawal_requested",
              {"payment": out, "amount": "100.00", "currency": "USD", "method": "bank"}),
    ])  # fmt: skip


@dataclass(slots=True)
class Org:
    """A fake org on a port, in which people may interrupt a request."""

    fake: SalesforceFake
    interrupts: list[tuple[Callable[[str], bool], Callable[[], None], bool]] = field(
        default_factory=list
    )
    fired: int = 0

    def __call__(self, request: Request) -> Response:
        """Answer; an interrupt comes before the request, or after it and takes its answer away."""
        for one in self.interrupts if b"composite" in request.target.encode() else ():
            meant, deed, after = one
            if not meant(request.body.decode() if request.body else ""):
                continue
            self.interrupts.remove(one)
            self.fired += 1
            if not after:
                deed()
                break
            self.fake.handle(request)
            deed()
            return Response(0, drop=True)
        return self.fake.handle(request)

    def lead(self, key: str) -> str:
        """The id of a client's lead."""
        found = self.fake.records("Lead", by="broker_client_id__c")
        return str(found[f"alpha:{key}"]["Id"])

    def convert(self, key: str, **how: Any) -> None:
        """People convert a client's lead; nothing of the hub's is carried unless told."""
        self.fake.people.convert(self.lead(key), **how)

    def before(self, key: str, *, name: str = "Id", after: bool = False) -> None:
        """Convert a lead in the moment the hub writes to it, or puts a task on it."""
        lead = self.lead(key)

        def meant(body: str) -> bool:
            records = json.loads(body).get("records", []) if body else []
            return any(record.get(name) == lead for record in records)

        self.interrupts.append((meant, lambda: self.convert(key), after))


class Deeds:
    """What people do in the lead model, by the number of syncs before."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self.done: list[str] = []

    def at(self, syncs: int) -> None:
        """What is done before the next sync."""
        todo: Mapping[int, Callable[[], None]] = {
            3: self._early, 5: self._armed, 10: self._with_open_tasks
        }  # fmt: skip
        if syncs in todo:
            todo[syncs]()

    def _early(self) -> None:
        """Between two syncs, before funding: nothing carried; the hub's key and stage carried;
        into a contact that somebody made meanwhile."""
        org = self.org
        org.convert("soon")
        org.convert("mapped", carry=["broker_client_id__c", "brokerage_lifecycle_stage__c"])
        # Nobody's own: the owner of a contact would get its tasks.
        there = org.fake.people.create(
            "Contact", LastName="Berg", Email="into@example.com", OwnerId=org.fake.hub_id
        )
        org.convert("into", contact_id=there)
        self.done += ["soon", "mapped", "into"]

    def _armed(self) -> None:
        """Between the hub's look and its write; the same, and the answer is lost; between the
        look-up of a task's client and the task."""
        self.org.before("planned")
        self.org.before("lost", after=True)
        self.org.before("asked", name="WhoId")
        self.done += ["planned", "lost", "asked"]

    def _with_open_tasks(self) -> None:
        """With an open task on it."""
        lead = self.org.lead("tasked")
        assert [t for t in self.org.fake.records("Task").values()
                if t.get("WhoId") == lead and not t["IsClosed"]]  # fmt: skip
        self.org.convert("tasked")
        self.done.append("tasked")


@dataclass(slots=True)
class Lived:
    """A world that was lived through in one model."""

    model: str
    org: Org
    rig: Rig
    hub: Hub
    server: HttpServer
    deeds: Deeds | None = None
    syncs: int = 0

    def live(self) -> None:
        """A week, with a sync every six hours."""
        for at in range(START, START + DAYS * DAY_MS, EVERY_MS):
            self.rig.advance_to(at)
            if self.deeds is not None:
                self.deeds.at(self.syncs)
            self.rig.sync(self.hub)
            self.syncs += 1

    # What the org holds, by the hub's names

    def clients(self) -> dict[str, dict[str, Any]]:
        """Client -> the record that stands for it now."""
        if self.model == "person_account":
            return self.org.fake.records("Account", by="broker_client_id__c")
        found = self.org.fake.records("Contact", by="broker_client_id__c")
        if self.model == "lead_then_contact":
            leads = self.org.fake.records("Lead", by="broker_client_id__c")
            found |= {k: r for k, r in leads.items() if not r.get("IsConverted")}
        return found

    def fields(self) -> dict[str, dict[str, Any]]:
        """Client -> everything the hub writes, named alike in all models."""
        plain = {"Email": "email", "PersonEmail": "email", "FirstName": "firstname",
                 "LastName": "lastname", "Phone": "phone"}  # fmt: skip
        out: dict[str, dict[str, Any]] = {}
        for key, row in self.clients().items():
            mine = {plain[n]: v for n, v in row.items() if n in plain}
            custom = {n: v for n, v in row.items() if n.endswith(("__c", "__pc"))}
            mine |= {n.removesuffix("__c").removesuffix("__pc"): v for n, v in custom.items()}
            out[key] = {n: v for n, v in mine.items() if v not in (None, False, "")}
        return out

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Task key -> the task, with the client it is put on and its owner by name."""
        fake = self.org.fake
        people = {r["Id"]: r["Username"] for r in fake.records("User").values()}
        people |= {r["Id"]: r["DeveloperName"] for r in fake.records("Group").values()}
        who = {r.get("PersonContactId", r["Id"]): key for key, r in self.clients().items()}
        names = ("Subject", "Description", "IsClosed", "broker_task_due__c", "Priority")
        rows = fake.records("Task", by="broker_task_key__c")
        return {
            key: {n: row.get(n) for n in names}
            | {"owner": people[row["OwnerId"]], "client": who.get(row["WhoId"])}
            for key, row in rows.items()
        }

    def held(self) -> list[Any]:
        """What the hub took for people's edits, and which records it stopped writing."""
        with self.hub.store.reading() as connection:
            holds = connection.execute(sa.select(schema.crm_hold)).all()
            status = schema.crm_shadow.c.status
            shadow = connection.execute(sa.select(status).where(
                status.in_([readback.ARCHIVED, readback.MERGED]))).all()  # fmt: skip
            return [*holds, *shadow, *sources.asides(connection)]

    def close(self) -> None:
        """Give back ports."""
        self.hub.close()
        self.server.close()


def begin(
    model: str, folder: Path, *, unique: bool = False, cast: Sequence[str] = CAST,
    kind: type[Org] = Org,
) -> Lived:  # fmt: skip
    """An org of this model, with one contact in it before the hub comes."""
    world = World(
        [_life(n, key) for n, key in enumerate(cast)], {"alpha": _EXAMPLE.brand}, START,
        _EXAMPLE.rates,
    )  # fmt: skip
    one = rig(world, f"sqlite:///{folder / 'hub.db'}", folder, START,
              families=BASE | {"trading"})  # fmt: skip
    one.install = False
    persons = model == "person_account"
    org = kind(organisation(world, person_accounts=persons, activity_external_ids=unique))
    if persons:
        org.fake.people.create("Account", LastName="Berg", PersonEmail="known@example.com")
    else:
        org.fake.people.create("Contact", LastName="Berg", Email="known@example.com")
    server = HttpServer(org)
    hub = _hub(one, org.fake, server.url, model)
    deeds = Deeds(org) if model == "lead_then_contact" and kind is Org else None
    return Lived(model, org, one, hub, server, deeds)


def _hub(one: Rig, fake: SalesforceFake, url: str, model: str) -> Hub:
    """The rig's hub, with the org in the place of its portal."""
    hub = one.hub()
    (name,) = hub.destinations
    settings = SalesforceSettings(
        base_url=url, auth="client_credentials", consumer_key=APP.client_id,
        consumer_secret=APP.client_secret, object_model=model, read_timeout_s=20,
    )  # fmt: skip
    zones = {n: b.zone for n, b in one.world.brands.items()}
    crm = SalesforceDestination(settings, Context(name, zones, hub.clock, lambda _: None))
    hub.destinations = {name: crm}
    ours = teams(fake)
    hub.brands = {
        n: replace(policy, teams={
            t: Team(t, had.calendar, ours[t].queue or "", ours[t].members)
            for t, had in policy.teams.items()
        })
        for n, policy in hub.brands.items()
    }  # fmt: skip
    crm.check()
    for obj, properties in wanted(hub, name).items():
        crm.install(obj, properties)
    return hub


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Lived]]:
    made: dict[str, Lived] = {}
    for model in ("contact", "person_account", "lead_then_contact"):
        made[model] = begin(model, tmp_path_factory.mktemp(model))
        made[model].live()
    yield made
    for one in made.values():
        one.close()


OTHERS = ("person_account", "lead_then_contact")
ALL = ("contact", *OTHERS)


def test_people_did_all_they_were_to_do(lives: Mapping[str, Lived]) -> None:
    leads = lives["lead_then_contact"]
    assert leads.deeds is not None
    assert sorted(leads.deeds.done) == sorted(CONVERTED)
    assert leads.org.fired == 3
    assert leads.org.interrupts == []
    rows = leads.org.fake.records("Lead", by="broker_client_id__c")
    assert {k.removeprefix("alpha:") for k, r in rows.items() if r.get("IsConverted")} == {
        *CONVERTED
    }


@pytest.mark.parametrize("model", ALL)
def test_every_client_has_one_chain_of_records(lives: Mapping[str, Lived], model: str) -> None:
    one = lives[model]
    fake = one.org.fake
    assert sorted(one.clients()) == sorted(f"alpha:{key}" for key in CAST)
    everybody = len(CAST)
    leads = fake.records("Lead")
    if model == "lead_then_contact":
        # The one whom people knew never was a lead.
        assert len(leads) == everybody - 1
        contacts = fake.records("Contact")
        assert len(contacts) == len(CONVERTED) + 1
        became = {r["ConvertedContactId"]: r["broker_client_id__c"] for r in leads.values()
                  if r.get("IsConverted")}  # fmt: skip
        held = {i: r.get("broker_client_id__c") for i, r in contacts.items()}
        known = one.clients()["alpha:known"]["Id"]
        assert held == became | {known: "alpha:known"}
    else:
        assert leads == {}
        assert len(fake.records("Contact")) == everybody  # of persons: those behind them
        assert len(fake.records("Account")) == (everybody if model == "person_account" else 0)


@pytest.mark.parametrize("model", OTHERS)
def test_every_client_has_the_same_fields(lives: Mapping[str, Lived], model: str) -> None:
    expected = lives["contact"].fields()
    found = lives[model].fields()
    assert {k: found[k] for k in expected} == expected
    assert all(len(row) >= 20 for row in expected.values())
    assert {row["brokerage_lifecycle_stage"] for row in expected.values()} == {"LS8"}
    assert expected["alpha:nameless"]["lastname"] == "Client alpha:nameless"


@pytest.mark.parametrize("model", OTHERS)
def test_every_task_is_there_once_and_on_its_client(lives: Mapping[str, Lived], model: str) -> None:
    expected = lives["contact"].tasks()
    kinds = {(key.split(":")[1], key.split(":")[2]) for key in expected}
    assert kinds == {(client, state) for client in CAST for state in ("CS5", "CS6", "CS8")}
    assert {t["client"] for t in expected.values()} == {f"alpha:{key}" for key in CAST}
    closed = {state: {t["IsClosed"] for k, t in expected.items() if f":{state}:" in k}
              for state in ("CS5", "CS6", "CS8")}  # fmt: skip
    assert closed == {"CS5": {True}, "CS6": {True}, "CS8": {False}}
    assert lives[model].tasks() == expected
    assert len(lives[model].org.fake.records("Task")) == len(expected)


@pytest.mark.parametrize("model", ALL)
def test_no_conversion_is_taken_for_an_edit_or_a_merge(
    lives: Mapping[str, Lived], model: str
) -> None:
    assert lives[model].held() == []


@pytest.mark.parametrize("model", ALL)
def test_one_more_sync_writes_nothing(lives: Mapping[str, Lived], model: str) -> None:
    one = lives[model]
    before = one.org.fake.writes.copy()
    cycle = one.rig.sync(one.hub)
    assert one.org.fake.writes == before
    assert (cycle.summary()["contacts_written"], cycle.summary()["tasks_written"]) == (0, 0)


@pytest.mark.parametrize("model", ALL)
def test_the_doctor_finds_all_well_but_rights_that_were_for_installing(
    lives: Mapping[str, Lived], model: str
) -> None:
    one = lives[model]
    ((name, crm),) = one.hub.destinations.items()
    found = {f.what: f for f in check.destination(one.hub, name, crm)}
    assert {w for w, f in found.items() if f.level is not Level.OK} == {"scopes"}
    assert found["scopes"].level is Level.WARNING
    assert found["scopes"].text.startswith("more than is needed: Customize Application (only")
    assert found["contact key"].text == "broker_client_id has unique values"


def test_where_tasks_have_unique_keys_the_same_comes_out(
    lives: Mapping[str, Lived], tmp_path: Path
) -> None:
    one = begin("lead_then_contact", tmp_path, unique=True)
    try:
        one.live()
        assert one.org.fired == 3
        assert one.tasks() == lives["contact"].tasks()
        assert one.fields() == lives["lead_then_contact"].fields()
        assert one.held() == []
    finally:
        one.close()


@dataclass(slots=True)
class Restless(Org):
    """People convert one more lead at every so many requests, whatever the hub is about."""

    every: int = 3
    seen: int = 0
    waiting: list[str] = field(default_factory=list)
    moments: Counter[str] = field(default_factory=Counter)

    def __call__(self, request: Request) -> Response:
        """Every second conversion comes after the request, and takes a write's answer away."""
        self.seen += 1
        due = self.seen % self.every == 0 and bool(self.waiting) and self._is_lead(self.waiting[-1])
        if due and self.seen % 2:
            self._meet(request, "before")
            due = False
        answer = self.fake.handle(request)
        if due:
            self._meet(request, "after")
            # A task is created once: that its answer is lost is another test's.
            return replace(answer, drop=request.method == "PATCH")
        return answer

    def _is_lead(self, key: str) -> bool:
        return f"alpha:{key}" in self.fake.records("Lead", by="broker_client_id__c")

    def _meet(self, request: Request, when: str) -> None:
        self.convert(self.waiting.pop())
        self.moments[f"{when} {request.method}"] += 1


@pytest.mark.parametrize("unique", [False, True], ids=["no unique key", "unique key"])
def test_a_conversion_at_every_third_request_doubles_nothing(tmp_path: Path, unique: bool) -> None:
    cast = [f"C{n}" for n in range(64)]
    made = {}
    for model, kind in (("contact", Org), ("lead_then_contact", Restless)):
        folder = tmp_path / model
        folder.mkdir()
        made[model] = begin(model, folder, unique=unique, cast=cast, kind=kind)
    leads = made["lead_then_contact"]
    restless = leads.org
    assert isinstance(restless, Restless)
    restless.waiting = cast[::-1]
    for one in made.values():
        one.live()
    try:
        assert len(restless.waiting) <= 4
        assert len(restless.moments) >= 5, restless.moments
        assert leads.tasks() == made["contact"].tasks()
        assert len(leads.org.fake.records("Task")) == 3 * len(cast)
        assert leads.fields() == made["contact"].fields()
        assert leads.held() == []
        assert len(leads.org.fake.records("Lead")) == len(cast)
        converted = len(cast) - len(restless.waiting)
        assert len(leads.org.fake.records("Contact")) == converted + 1  # and a stranger
        before = leads.org.fake.writes.copy()
        leads.rig.sync(leads.hub)
        assert leads.org.fake.writes == before
    finally:
        for one in made.values():
            one.close()
