"""The same world into Salesforce and into HubSpot: the same clients, fields and tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from brokersync import bootstrap
from brokersync.demo import configuration
from brokersync.world import WorldClock
from simulator.server import SimulatorServer
from simulator.simulation import Options
from simulator.story import HOUR_MS
from state import schema
from sync.crm_schema import wanted
from sync.cycle import sync_once
from sync.hub import Hub

CLIENTS, DAYS, INSTALLED, EVERY_MS = 120, 52, 46, 3 * HOUR_MS


class Lived:
    """A world lived to its end, with a hub that writes to one CRM."""

    def __init__(self, folder: Path, crm: str) -> None:
        options = Options(
            f"sqlite:///{folder / 'registry.db'}", str(folder), clients=CLIENTS, days=DAYS,
            day=INSTALLED,
        )  # fmt: skip
        self.server = SimulatorServer(options)
        world = self.server.description()
        path = folder / "brokersync.yaml"
        database = f"sqlite:///{folder / 'hub.db'}"
        path.write_text(yaml.safe_dump(configuration(world, database, crm)), encoding="utf-8")
        clock = WorldClock(world["clock"], Path(world["clock_file"]))
        self.hub = bootstrap.build(bootstrap.configuration(path), clock)
        _install(self.hub)
        simulation = self.server.simulation
        self.errors = dict(sync_once(self.hub).errors)
        for at in range(simulation.live_from, simulation.end_ms + 1, EVERY_MS):
            simulation.advance_to(at)
            self.errors |= dict(sync_once(self.hub).errors)
        self.again = sync_once(self.hub).summary()
        clock.close()

    def stages(self) -> dict[str, tuple[str, str]]:
        """Client -> stage and states."""
        p = schema.profile
        with self.hub.store.reading() as connection:
            return {f"{r.brand}:{r.client_id}": (r.stage, r.states)
                    for r in connection.execute(p.select())}  # fmt: skip

    def close(self) -> None:
        """Give back ports and databases."""
        self.hub.close()
        self.server.close()


def _install(hub: Hub) -> None:
    for name, destination in hub.destinations.items():
        for obj, properties in wanted(hub, name).items():
            if not destination.lacks(obj):
                destination.install(obj, properties)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Lived]]:
    found = {crm: Lived(tmp_path_factory.mktemp(crm), crm) for crm in ("hubspot", "salesforce")}
    yield found
    for one in found.values():
        one.close()


def test_nothing_went_wrong_and_nothing_is_written_twice(lives: Mapping[str, Lived]) -> None:
    for one in lives.values():
        assert one.errors == {}
        assert (one.again["contacts_written"], one.again["tasks_written"]) == (0, 0)


def test_every_client_stands_at_the_same_stage(lives: Mapping[str, Lived]) -> None:
    assert lives["salesforce"].stages() == lives["hubspot"].stages()
    assert len({stage for stage, _ in lives["hubspot"].stages().values()}) >= 10


def _meaning(value: Any, kind: str) -> Any:
    """What HubSpot's text or Salesforce's JSON says, by Salesforce's type of the field."""
    if value in (None, ""):
        return False if kind == "boolean" else None
    match kind:
        case "boolean":
            return value in (True, "true")
        case "double":
            return Decimal(str(value))
        case "date":
            text = str(value)
            if text.lstrip("-").isdigit():
                return datetime.fromtimestamp(int(text) / 1000, UTC).date()
            return date.fromisoformat(text[:10])
        case "datetime":
            text = str(value)
            if text.isdigit():
                return int(text)
            return round(datetime.fromisoformat(text).timestamp() * 1000)
        case "multipicklist":
            return frozenset(str(value).split(";"))
        case "email":
            return str(value).lower()
    return str(value)


STANDARD = {"email": "Email", "firstname": "FirstName", "lastname": "LastName", "phone": "Phone"}


def test_every_contact_has_the_same_fields(lives: Mapping[str, Lived]) -> None:
    ours = lives["hubspot"].server.simulation.hubspot.contacts("broker_client_id")
    org = lives["salesforce"].server.simulation.salesforce
    salesforce = org.records("Contact", by="broker_client_id__c")
    kinds = {f.name.lower(): f.type for f in org.org.table("Contact").fields.values()}
    assert set(salesforce) == set(ours)
    compared = 0
    for key, row in ours.items():
        theirs = {name.lower(): value for name, value in salesforce[key].items()}
        for name, value in row.items():
            api = STANDARD.get(name, f"{name}__c").lower()
            if api in kinds and name.startswith(("broker", *STANDARD)):
                kind = kinds[api]
                assert _meaning(theirs.get(api), kind) == _meaning(value, kind), (key, name)
                compared += 1
    assert compared > 30 * len(ours)


def test_every_task_is_the_same(lives: Mapping[str, Lived]) -> None:
    portal = lives["hubspot"].server.simulation.hubspot
    ours = portal.tasks("broker_task_key")
    linked = portal.associations("broker_task_key", "broker_client_id")
    org = lives["salesforce"].server.simulation.salesforce
    salesforce = org.records("Task", by="broker_task_key__c")
    assert set(salesforce) == set(ours)
    assert len(ours) >= 5
    people = {row["Id"]: row.get("Email", "") for row in org.records("User").values()}
    queues = {row["Id"]: row["DeveloperName"] for row in org.records("Group").values()}
    contacts = {row["Id"]: row["broker_client_id__c"] for row in org.records("Contact").values()}
    named = {o["id"]: o for o in lives["hubspot"].server.description()["hubspot"]["owners"]}
    for key, row in ours.items():
        theirs = salesforce[key]
        assert theirs["Subject"] == row["hs_task_subject"]
        assert theirs["Description"] == row["hs_task_body"]
        assert theirs["IsClosed"] == (row["hs_task_status"] == "COMPLETED")
        assert _meaning(theirs["broker_task_due__c"], "datetime") == _meaning(
            row["hs_timestamp"], "datetime"
        )
        owner = named[row["hubspot_owner_id"]]
        who = people.get(theirs["OwnerId"]) or queues[theirs["OwnerId"]]
        assert who in (owner["email"], f"{owner['first_name']}_Queue")
        assert [contacts[theirs["WhoId"]]] == linked[key]


def test_every_partner_is_the_same(lives: Mapping[str, Lived]) -> None:
    ours = lives["hubspot"].server.simulation.hubspot.companies("broker_partner_key")
    org = lives["salesforce"].server.simulation.salesforce
    accounts = org.records("Account", by="broker_partner_key__c")
    kinds = {f.name.lower(): f.type for f in org.org.table("Account").fields.values()}
    assert set(accounts) == set(ours)
    assert len(ours) >= 5
    compared = 0
    for key, row in ours.items():
        theirs = {name.lower(): value for name, value in accounts[key].items()}
        assert theirs["name"] == row["name"]
        for name, value in row.items():
            if name.startswith("brokerage_partner"):
                api = f"{name}__c"
                assert _meaning(theirs.get(api), kinds[api]) == _meaning(value, kinds[api])
                compared += 1
    assert compared >= 4 * len(ours)


def test_two_brands_feed_one_crm_each(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    server = SimulatorServer(Options(url, str(tmp_path), clients=80, days=49, day=INSTALLED))
    world = server.description()
    database = f"sqlite:///{tmp_path / 'hub.db'}"
    settings = configuration(world, database, "both")
    path = tmp_path / "brokersync.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    clock = WorldClock(world["clock"], Path(world["clock_file"]))
    hub = bootstrap.build(bootstrap.configuration(path), clock)
    _install(hub)
    simulation = server.simulation
    for at in range(simulation.live_from, simulation.end_ms + 1, EVERY_MS):
        simulation.advance_to(at)
        assert sync_once(hub).errors == []
    hubspot, org = simulation.hubspot, simulation.salesforce
    written = {
        "hubspot": [
            *hubspot.contacts("broker_client_id"),
            *hubspot.tasks("broker_task_key"),
            *hubspot.companies("broker_partner_key"),
        ],
        "salesforce": [
            *org.records("Contact", by="broker_client_id__c"),
            *org.records("Task", by="broker_task_key__c"),
            *org.records("Account", by="broker_partner_key__c"),
        ],
    }
    assert {crm: {key.split(":")[0] for key in keys} for crm, keys in written.items()} == {
        "hubspot": {"alpha"}, "salesforce": {"beta"},
    }  # fmt: skip
    assert simulation.keys() == {
        "hubspot": {
            "contacts": [*hubspot.contacts("broker_client_id")],
            "tasks": [*hubspot.tasks("broker_task_key")],
            "companies": [*hubspot.companies("broker_partner_key")],
        },
        "salesforce": {
            "contacts": [*org.records("Contact", by="broker_client_id__c")],
            "tasks": [*org.records("Task", by="broker_task_key__c")],
            "companies": [*org.records("Account", by="broker_partner_key__c")],
        },
    }
    other = {"hubspot": "beta:", "salesforce": "alpha:"}
    told = {"hubspot": [hubspot.contacts(), hubspot.tasks(), hubspot.companies()],
            "salesforce": [org.records(s) for s in ("Contact", "Task", "Account")]}  # fmt: skip
    for crm, rows in told.items():
        assert other[crm] not in repr(rows), "no value names one of the other brand's either"
    hub.close()
    clock.close()
    server.close()
