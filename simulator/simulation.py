"""One running world: its fakes, its registry table, its oracle, and one lock around them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.cellxpert import CellxpertFake, FakePartner
from simulator.clock_page import ClockPage
from simulator.grow import grow
from simulator.hubspot import FakeOwner, HubSpotFake
from simulator.live import LiveWorld
from simulator.metatrader.fake import MetaTrader
from simulator.paymentiq import PaymentIQFake
from simulator.portal import OWNERS
from simulator.registry import RegistryTable
from simulator.salesforce_people import organisation
from simulator.story import DAY_MS, World
from simulator.sumsub import SumsubFake
from simulator.truth import ContactGroup, Profile, Task, TaskLedger, contacts, profile
from simulator.vendor import Vendor
from simulator.wire import Fake, Request, Response
from simulator.zendesk import ZendeskFake

ACCESS_TOKEN = "pat-na1-simulated"


@dataclass(frozen=True, slots=True)
class Options:
    """What kind of world to run.

    Args:
        live: the story starts now and goes on in real time, instead of being advanced.
        day: the story starts this many days in; reasons older than that open no task.
        registry_url: where the broker's client table goes.
        folder: where the trading servers' exports go, a SQLite file a brand.
        hubspot: keyword arguments for the CRM's fake (limits, lag, unique task keys, ...).
    """

    registry_url: str
    folder: str
    seed: int = 7
    clients: int = 1000
    days: int = 60
    day: float = 46
    live: bool = False
    hubspot: Mapping[str, Any] = field(default_factory=dict)


class Simulation:
    """Grows the world and keeps it; every public method takes the lock."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.lock = threading.RLock()
        self.world = _grown(options)
        self.end_ms = self.world.start_ms + options.days * DAY_MS
        self.live_from = self.world.start_ms + round(options.day * DAY_MS)
        self.clock_file = Path(options.folder, "clock")
        self.clock_page: ClockPage | None = None
        if options.live:
            self.live_from = self.world.now_ms
        else:
            self.clock_page = ClockPage(self.clock_file)
        self.world.advance_to(self.live_from)
        self.registry = RegistryTable(self.world, options.registry_url)
        self.registry.create()
        self.registry.refresh()
        self.servers = {name: self._server(name) for name in self.world.brands}
        self.ledger = TaskLedger(self.world, self.live_from)
        owners = [
            FakeOwner(o.id, o.email, o.first_name, o.last_name, o.kind, o.archived) for o in OWNERS
        ]
        self.hubspot = HubSpotFake(
            self.world, access_token=ACCESS_TOKEN, owners=owners, **options.hubspot
        )
        self.credentials: dict[str, dict[str, dict[str, Any]]] = {
            name: {
                "sumsub": {"app_token": f"sbx:{name}", "secret_key": f"sumsub-secret-{name}"},
                "paymentiq": {
                    "client_id": f"hub-{name}",
                    "client_secret": f"paymentiq-secret-{name}",
                    "merchant_id": brand.merchant_id,
                },
                "cellxpert": {
                    "admin_url": f"tenant-{name}",
                    "user": f"hub-{name}",
                    "password": f"cellxpert-secret-{name}",
                },
                "zendesk": {
                    "email": f"ada@{name}.example",
                    "api_token": f"zendesk-secret-{name}",
                },
            }
            for name, brand in self.world.brands.items()
        }
        self.salesforce = organisation(self.world)
        self.fakes: dict[str, Fake] = {
            "hubspot": self.locked(self.hubspot.handle),
            "salesforce": self.locked(self.salesforce.handle),
        }
        self.vendors: dict[str, Vendor] = {}
        for name, secrets in self.credentials.items():
            self.vendors[f"sumsub-{name}"] = SumsubFake(self.world, name, **secrets["sumsub"])
            self.vendors[f"paymentiq-{name}"] = PaymentIQFake(
                self.world, name, **secrets["paymentiq"]
            )
            self.vendors[f"cellxpert-{name}"] = CellxpertFake(
                self.world, name, **secrets["cellxpert"], partners=self._partners(name)
            )
            self.vendors[f"zendesk-{name}"] = ZendeskFake(
                self.world, [name], **secrets["zendesk"], requests_per_minute=self._a_minute
            )
        for name, fake in self.vendors.items():
            self.fakes[name] = self.locked(fake.handle)
        self._show()
        # Half a million small objects that stay: not worth a look at every collection.
        gc.freeze()

    @property
    def _a_minute(self) -> int:
        """Calls of the helpdesk's exports: ten, as the vendor has it; more where somebody tries
        things out by hand, and would wait for real."""
        return 600 if self.options.live else 10

    def _server(self, brand: str) -> MetaTrader:
        """A brand's trading server, whose export is up to date with the story."""
        path = Path(self.options.folder) / f"mt5-{brand}.db"
        server = MetaTrader(self.world, f"sqlite:///{path}", brand=brand)
        server.create()
        server.refresh()
        return server

    def _partners(self, brand: str) -> list[FakePartner]:
        return [
            FakePartner(p.id, p.name, p.plan, status=p.status)
            for p in self.world.partners.get(brand, ())
        ]

    def close(self) -> None:
        """Give back the databases."""
        self.registry.close()
        if self.clock_page is not None:
            self.clock_page.close()
            self.clock_page = None
        for server in self.servers.values():
            server.close()

    def locked(self, handle: Fake) -> Fake:
        """The same fake behind the lock."""

        def answer(request: Request) -> Response:
            with self.lock:
                try:
                    return handle(request)
                finally:
                    self._show()

        return answer

    def _show(self) -> None:
        if self.clock_page is not None:
            self.clock_page.show(self.world.now_ms)

    def now(self) -> int:
        """The clock."""
        with self.lock:
            return self.world.now_ms

    def sleep(self, seconds: float) -> int:
        """Let the clock go on; the instant after."""
        with self.lock:
            self.world.sleep(seconds)
            self._show()
            return self.world.now_ms

    def advance_to(self, instant_ms: int) -> None:
        """Let the story go on, and write what happened into the registry table."""
        with self.lock:
            self.world.advance_to(instant_ms)
            self._show()
            self.registry.refresh()
            for server in self.servers.values():
                server.refresh()

    def observe(self) -> int:
        """A sync happens now: the ledger takes note; how many tasks it knows."""
        with self.lock:
            self.ledger.observe(self.world.story_ms)
            return len(self.ledger.tasks)

    def state(self) -> dict[str, int]:
        """The instants of the story."""
        with self.lock:
            world = self.world
            return {
                "start_ms": world.start_ms,
                "story_ms": world.story_ms,
                "now_ms": world.now_ms,
                "end_ms": self.end_ms,
                "live_from_ms": self.live_from,
            }

    def truth(self, at_ms: int | None = None) -> dict[str, Any]:
        """What is true of everybody at an instant (now by default), as JSON.

        Tasks, and with them ``next_action_due``, are those of the syncs observed so far.
        """
        with self.lock:
            at = self.world.story_ms if at_ms is None else at_ms
            people = {
                key: profile(self.world, client, at) for key, client in self.world.clients.items()
            }
            return {
                "at": at,
                "clients": {key: self._profile(key, found) for key, found in people.items()},
                "contacts": [_group(group) for group in contacts(self.world, at)],
                "tasks": [_task(task) for task in self.ledger.tasks.values()],
            }

    def _profile(self, key: str, found: Profile | None) -> dict[str, Any] | None:
        if found is None:
            return None
        return {
            "stage": found.stage,
            "since": found.since,
            "states": found.states,
            "fields": {**found.fields, "next_action_due": self.ledger.next_action_due(key)},
            "person": found.person,
            "refused": self.ledger.refused(key),
        }

    def stats(self) -> dict[str, Any]:
        """What was asked of each fake."""
        with self.lock:
            calls = {name: {"calls": fake.calls} for name, fake in self.vendors.items()}
            crms = {"hubspot": self.hubspot.stats(), "salesforce": self.salesforce.stats()}
            return {**crms, **calls}

    def crm(self) -> dict[str, Any]:
        """What lies in the CRM's fake."""
        with self.lock:
            return {
                "contacts": self.hubspot.contacts(),
                "tasks": self.hubspot.tasks(),
                "associations": self.hubspot.associations("broker_task_key", "broker_client_id"),
            }

    def keys(self) -> dict[str, dict[str, list[str]]]:
        """The hub's key of every record in each CRM's fake; blank where a record has none."""
        with self.lock:
            ours, org = self.hubspot, self.salesforce
            client, task, partner = "broker_client_id", "broker_task_key", "broker_partner_key"
            return {
                "hubspot": {
                    "contacts": [row.get(client, "") for row in ours.contacts().values()],
                    "tasks": [row.get(task, "") for row in ours.tasks().values()],
                    "companies": [row.get(partner, "") for row in ours.companies().values()],
                },
                "salesforce": {
                    kind: [row.get(f"{key}__c", "") for row in org.records(sobject).values()]
                    for kind, sobject, key in (
                        ("contacts", "Contact", client), ("tasks", "Task", task),
                        ("companies", "Account", partner),
                    )
                },
            }  # fmt: skip


def _grown(options: Options) -> World:
    if not options.live:
        return grow(options.seed, options.clients, options.days)
    midnight = LiveWorld.today() - round(options.day) * DAY_MS
    return LiveWorld.of(grow(options.seed, options.clients, options.days, midnight))


def _group(group: ContactGroup) -> dict[str, Any]:
    return {"primary": group.primary, "others": list(group.others), "email": group.email}


def _task(task: Task) -> dict[str, Any]:
    return {name: getattr(task, name) for name in Task.__dataclass_fields__}
