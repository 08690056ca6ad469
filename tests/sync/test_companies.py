"""Partners are companies of the CRM: through the real affiliate connector and the real client.

Expected values come from the fake platform's partner list and from what the test's people do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from brokersync import crm_fields, decide, reports
from brokersync.output import Output
from connectors.destination import CrmObject
from mapping.errors import ConfigError
from simulator.cellxpert import FakePartner
from simulator.grow import grow
from simulator.hubspot.portal import Written
from simulator.story import DAY_MS, HOUR_MS, Event
from state import partners, schema, sources
from sync import check
from sync.check import Level
from sync.cycle import Cycle, pull_once
from sync.hub import Hub
from sync.partners import company_body
from sync.plan import plan
from sync.push import LOOK_AGAIN_MS
from tests.rig import ALL, Rig, rig
from tests.sync import scenes
from tests.sync.scenes import chosen, small_steps

READ, WRITE = "crm.objects.companies.read", "crm.objects.companies.write"
SCHEMA = ("crm.schemas.companies.read", "crm.schemas.companies.write")
FAMILIES = frozenset({"registry", "kyc", "psp", "affiliate"})
HOUSE = FakePartner("A-17", "Ångström Media, Ltd.", "CPA", "Approved", "SE")
LIST = (HOUSE, FakePartner("A-18", "", "RevShare", "review"), FakePartner("204", "Gold", "", ""))
NAMESAKE = FakePartner("A-17", "Une autre maison", "Hybrid", "Approved", "FR")


@dataclass(slots=True)
class Office:
    """A hub with two brands whose partners are in the platform's list."""

    rig: Rig
    hub: Hub

    def partners(self, brand: str, *listed: FakePartner) -> None:
        """The platform's list of a brand from now on."""
        self.rig.vendors[f"cellxpert-{brand}"].partners[:] = listed

    def day(self) -> Cycle:
        """A day goes by, and the hub syncs."""
        self.rig.advance_to(self.rig.world.now_ms + DAY_MS)
        return self.rig.sync(self.hub)

    def again(self) -> None:
        """The hub's process is a new one."""
        self.hub.store.close()
        self.rig.install = False
        self.hub = self.rig.hub()

    def shown(self) -> dict[str, dict[str, str]]:
        """Companies as the portal has them."""
        return self.rig.portal.companies("broker_partner_key")

    def company(self, key: str) -> str:
        """A company's id."""
        return self.shown()[key]["hs_object_id"]

    def edit(self, key: str, **properties: str) -> None:
        """A person edits a company."""
        self.rig.portal.edit("companies", self.company(key), properties)

    def written(self) -> list[Written]:
        """Writes of companies since this was last asked."""
        found = [w for w in self.rig.portal.written if w.object == "companies"]
        self.rig.portal.written.clear()
        return found

    def alerts(self) -> dict[str, tuple[str, str]]:
        """Key -> (object, reason) of what was set aside."""
        with self.hub.store.reading() as connection:
            rows = sources.asides(connection)
        return {r["external_id"]: (r["kind"], r["reason"]) for r in rows}


def made(database: str, folder: Path, families: frozenset[str] = FAMILIES, **portal: Any) -> Office:
    """An office before its first sync."""
    world = grow(3, 24, 60)
    live_from = world.start_ms + 46 * DAY_MS
    one = rig(world, database, folder, live_from, families=families, keep_writes=True,
              search_lag_s=0.0, **portal)  # fmt: skip
    one.advance_to(live_from)
    found = Office(one, one.hub())
    found.partners("alpha", *LIST)
    found.partners("beta", NAMESAKE)
    return found


@contextmanager
def opened(office: Office) -> Iterator[Office]:
    """Closed at the end, whichever hub it has by then."""
    try:
        yield office
    finally:
        office.hub.store.close()


@pytest.fixture
def here(database_url: str, tmp_path: Path) -> Iterator[Office]:
    with opened(made(database_url, tmp_path)) as office:
        yield office


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Office]:
    """On one engine only: what is looked at is not the database's."""
    with opened(made(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path)) as office:
        yield office


def expected(brand: str, partner: FakePartner, plan: str, name: str = "") -> dict[str, str]:
    """A company as the portal should show it."""
    shown = {
        "name": name or partner.name,
        "broker_partner_key": f"{brand}:{partner.id}",
        "brokerage_partner_id": partner.id,
        "brokerage_partner_brand": brand,
        "brokerage_partner_plan": plan,
        "brokerage_partner_status": partner.status,
        "brokerage_partner_country": partner.country,
    }
    return {n: v for n, v in shown.items() if v}


def own(company: dict[str, str]) -> dict[str, str]:
    """A company without what the portal keeps itself."""
    system = {"hs_object_id", "createdate", "hs_lastmodifieddate"}
    return {n: v for n, v in company.items() if n not in system}


# --- what is written ----------------------------------------------------------------------------


def test_each_partner_of_a_brand_is_one_company_and_a_second_sync_writes_nothing(
    here: Office,
) -> None:
    cycle = here.day()
    assert {k: own(c) for k, c in here.shown().items()} == {
        "alpha:A-17": expected("alpha", LIST[0], "cpa"),
        "alpha:A-18": expected("alpha", LIST[1], "revshare", "Partner alpha:A-18"),
        "alpha:204": expected("alpha", LIST[2], "none"),
        "beta:A-17": expected("beta", NAMESAKE, "hybrid"),
    }
    assert len(here.rig.portal.companies()) == 4
    assert cycle.summary()["companies_written"] == 4
    contacts = len(here.rig.portal.contacts())
    assert cycle.summary()["contacts_written"] == contacts > 0
    assert len(here.written()) == 4
    assert here.day().summary()["companies_written"] == 0
    assert here.written() == []


def test_a_changed_plan_is_one_write_with_that_property_only(here: Office) -> None:
    here.day()
    here.written()
    here.partners("alpha", replace(HOUSE, plan="Hybrid"), *LIST[1:])
    here.day()
    (write,) = here.written()
    assert (write.crm_id, write.created) == (here.company("alpha:A-17"), False)
    assert dict(write.properties) == {"brokerage_partner_plan": "hybrid"}


def test_the_day_of_registration_is_the_brands(quick: Office) -> None:
    at = 1_772_405_940_000  # 2026-03-01T22:59Z: the second of March in Nicosia
    known = partners.Known("alpha", "A-1", "X", "cpa", "", "", at)
    assert company_body(quick.hub, known, "UTC")["brokerage_partner_registered"] == "2026-03-01"
    body = company_body(quick.hub, known, "Asia/Nicosia")
    assert body["brokerage_partner_registered"] == "2026-03-02"


def test_a_partner_the_platform_no_longer_has_stays_as_it_was(here: Office) -> None:
    here.day()
    before = here.shown()
    here.partners("alpha", *LIST[1:])
    here.day()
    with here.hub.store.transaction("test") as connection:
        _delete(connection, "A-17")
    here.written()
    here.day()
    assert here.written() == []
    assert here.shown() == before


def _delete(connection: Connection, partner: str) -> None:
    """As a source that tells of deletions leaves a record behind."""
    p, t = schema.partner, schema.touched_partner
    connection.execute(sa.update(p).where(p.c.ref_value == partner).values(deleted=1))
    connection.execute(sa.insert(t).values(brand="alpha", partner=partner))


def test_without_an_affiliate_platform_there_is_no_company_and_no_right_is_asked_for(
    tmp_path: Path,
) -> None:
    base = FAMILIES - {"affiliate"}
    office = made(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, base)
    for scope in (READ, WRITE, *SCHEMA):
        office.rig.portal.remove_scope(scope)
    with opened(office):
        office.again()
        assert office.day().summary()["companies_off"] == {}
        assert not [r for r in office.rig.portal.calls if "companies" in r]
        assert "brokerage_partner_plan" not in office.rig.portal.portal.companies.definitions


def test_two_connections_with_one_id_are_one_company_that_keeps_still(here: Office) -> None:
    """The first connection by name tells, whichever was read last."""
    here.day()
    p = schema.partner
    with here.hub.store.transaction("test") as connection:
        row = dict(connection.execute(
            sa.select(p).where(p.c.brand == "alpha", p.c.ref_value == "A-17")
        ).mappings().one())  # fmt: skip
        other = row | {"source": "zz", "plan": "cpl", "version_at": row["version_at"] + 9 * DAY_MS}
        connection.execute(sa.insert(p).values(**other))
        partners.touch_all(connection)
    here.written()
    here.day()
    assert here.written() == []
    assert here.shown()["alpha:A-17"]["brokerage_partner_plan"] == "cpa"


# --- people in the CRM --------------------------------------------------------------------------


def test_a_persons_name_wins_and_everything_else_is_the_hubs(here: Office) -> None:
    here.day()
    here.edit("alpha:A-17", name="Angstrom", brokerage_partner_country="ZZ")
    here.partners("alpha", replace(HOUSE, name="Ångström Group", plan="CPL"), *LIST[1:])
    here.day()
    assert own(here.shown()["alpha:A-17"]) == expected(
        "alpha", replace(HOUSE, name="Angstrom"), "cpl"
    )
    here.written()
    here.day()
    assert here.written() == []


def test_a_name_edited_a_moment_ago_is_not_written_over(quick: Office) -> None:
    """The read-back has no call left: the record is read before its name is written."""
    quick.day()
    quick.edit("alpha:A-17", name="Angstrom")
    quick.hub.read_back_calls = 0
    quick.partners("alpha", replace(HOUSE, name="Ångström Group"), *LIST[1:])
    quick.day()
    assert quick.shown()["alpha:A-17"]["name"] == "Angstrom"


def test_a_company_with_the_key_in_it_is_taken_over_by_its_own_name(quick: Office) -> None:
    hand = {"name": "By hand", "broker_partner_key": "alpha:A-17"}
    made_by_hand = quick.rig.portal.add("companies", hand)
    quick.day()
    company = quick.shown()["alpha:A-17"]
    assert (company["hs_object_id"], company["name"]) == (made_by_hand, "By hand")
    assert company["brokerage_partner_plan"] == "cpa"
    assert len(quick.rig.portal.companies()) == 4


def test_an_archived_company_is_not_made_again_until_a_person_says_so(here: Office) -> None:
    here.day()
    here.rig.portal.archive("companies", here.company("alpha:A-17"))
    here.partners("alpha", replace(HOUSE, plan="Hybrid"), *LIST[1:])
    here.day()
    here.day()
    assert "alpha:A-17" not in here.shown()
    assert len(here.rig.portal.companies()) == 3
    kind, why = here.alerts()["alpha:A-17"]
    assert (kind, "deleted" in why) == ("company", True)
    out = Output(as_json=True)
    assert decide.pending(out, here.hub)
    with pytest.raises(ConfigError, match="no contact with the key"):
        decide.decide(out, here.hub, "alpha:A-17", "recreate")
    decide.decide(out, here.hub, "alpha:A-17", "recreate", CrmObject.COMPANY)
    here.day()
    assert here.shown()["alpha:A-17"]["brokerage_partner_plan"] == "hybrid"
    assert "alpha:A-17" not in here.alerts()
    assert not decide.pending(out, here.hub)


def test_merged_companies_stop_both_keys(here: Office) -> None:
    here.day()
    ids = here.company("alpha:A-17"), here.company("alpha:A-18")
    here.rig.portal.merge(*ids, kind="companies")
    changed = [replace(p, status="gone") for p in LIST]
    here.partners("alpha", *changed)
    here.day()
    here.written()
    here.partners("alpha", *LIST)
    here.day()
    assert {w.crm_id for w in here.written()} == {here.company("alpha:204")}
    assert {"alpha:A-17", "alpha:A-18"} <= here.alerts().keys()
    assert len(here.rig.portal.companies()) == 3


def test_a_contact_of_the_same_key_is_not_meant(here: Office) -> None:
    """Clients and partners are counted apart by their systems: keys may be alike."""
    here.hub.read_back_calls = 0
    shown = here.rig.portal.contacts
    here.day()
    key = next(k for k in sorted(shown("broker_client_id")) if k.startswith("alpha"))
    client = here.rig.world.clients[key]
    alike = FakePartner(client.id, "Alike", "CPA", "Approved")
    here.partners("alpha", alike)
    here.day()
    assert here.shown()[key]["name"] == "Alike"
    here.rig.portal.archive("companies", here.company(key))
    here.partners("alpha", replace(alike, plan="Hybrid"))
    here.day()
    assert here.alerts()[key][0] == "company"
    client.events.append(Event(here.rig.world.now_ms + HOUR_MS, "profile_updated", {"phone": "1"}))
    here.rig.world.add(client)
    here.day()
    assert shown("broker_client_id")[key]["phone"] == "1"
    assert here.alerts()[key][0] == "company"


# --- a portal that takes none -------------------------------------------------------------------


@pytest.mark.parametrize("lost", [(READ,), (WRITE,), SCHEMA[1:], SCHEMA, (READ, WRITE, *SCHEMA)])
def test_a_token_without_the_rights_still_gets_contacts_and_tasks(
    lost: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = made(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path)
    portal = office.rig.portal
    for name in [n for n in portal.portal.companies.definitions if n.startswith("broker")]:
        portal.portal.companies.undefine(name)  # as before an installation
    for scope in lost:
        portal.remove_scope(scope)
    with opened(office):
        office.again()
        crm_fields.install(Output(as_json=False), office.hub)
        cycle = office.day()
        assert (cycle.status, len(portal.contacts()) > 0) == ("ok", True)
        assert portal.companies() == {}
        assert cycle.summary()["companies_off"].keys() == {"hubspot"}
        assert "Companies are off" in capsys.readouterr().out
        named = [s for s in lost if s in cycle.summary()["companies_off"]["hubspot"]]
        assert named or lost == SCHEMA[1:] or lost == SCHEMA
        reports.status(Output(as_json=False), office.hub)
        assert "Companies are off" in capsys.readouterr().out
        found = [f for f in check.destination(office.hub, "hubspot", _crm(office))
                 if f.what == "companies"]  # fmt: skip
        assert [f.level for f in found] == [Level.WARNING]
        assert all(s in found[0].todo for s in lost)
        for scope in lost:
            portal.add_scope(scope)
        crm_fields.install(Output(as_json=False), office.hub)
        office.rig.advance_to(office.rig.world.now_ms + LOOK_AGAIN_MS)
        assert office.rig.sync(office.hub).summary()["companies_written"] == 4
        capsys.readouterr()
        reports.status(Output(as_json=False), office.hub)
        assert "Companies are off" not in capsys.readouterr().out
        crm_fields.plan(Output(as_json=False), office.hub)
        assert "Nothing to do." in capsys.readouterr().out


def _crm(office: Office) -> Any:
    return office.hub.destinations["hubspot"]


def test_crm_plan_says_that_companies_are_off(
    quick: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    quick.rig.portal.remove_scope(WRITE)
    assert not crm_fields.plan(Output(as_json=False), quick.hub)
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        f"Companies are off, partners are not told to the CRM: the access token lacks {WRITE}"
        in (shown)
    )


@pytest.mark.parametrize("scope", [READ, WRITE])
def test_a_right_that_is_taken_while_the_hub_runs_stops_companies_only(
    scope: str, quick: Office
) -> None:
    quick.day()
    quick.rig.portal.remove_scope(scope)
    quick.partners("alpha", replace(HOUSE, name="Other", plan="Hybrid"), *LIST[1:])
    cycle = quick.day()
    assert (cycle.status, cycle.summary()["companies_off"].keys()) == ("ok", {"hubspot"})
    calls = sum(quick.rig.portal.calls.values())
    quick.rig.sync(quick.hub)
    asked = sum(quick.rig.portal.calls.values()) - calls
    assert asked < 10, "it is not asked for again in each cycle"
    quick.rig.portal.add_scope(scope)
    assert quick.day().summary()["companies_written"] == 1
    assert quick.shown()["alpha:A-17"]["brokerage_partner_plan"] == "hybrid"


def test_a_property_of_the_portals_own_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = made(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path)
    with opened(office):
        portal = office.rig.portal.portal
        portal.companies.definitions["brokerage_partner_status"].wire["description"] = "Ours"
        office.again()
        assert crm_fields.plan(Output(as_json=False), office.hub)
        assert "brokerage_partner_status" in capsys.readouterr().out
        cycle = office.day()
        assert (cycle.status, office.rig.portal.companies()) == ("ok", {})
        assert len(office.rig.portal.contacts()) > 0
        assert "did not create" in cycle.summary()["companies_off"]["hubspot"]


# --- crashes ------------------------------------------------------------------------------------


def crash(database: str, folder: Path, every: int, *, sampled: bool) -> None:
    """Crash at boundaries of working companies out and of writing them."""
    with small_steps():
        scene = scenes.partners(database, folder)
        before = {dict(c)["broker_partner_key"] for c in scene.before["companies"]}
        after = {dict(c)["broker_partner_key"]: dict(c) for c in scene.crm["companies"]}
        assert after.keys() - before == {"alpha:A-99"}
        assert after["alpha:A-17"]["name"] == "Another name"
        start = scene.boundaries.index("before:project.partners")
        places = chosen(scene.boundaries) if sampled else range(len(scene.boundaries))
        for at in [n for n in places if n >= start][::every]:
            scene.check_crash_at(at)


def test_a_crash_doubles_no_company(tmp_path: Path) -> None:
    crash(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, 1, sampled=True)


def test_a_crash_doubles_no_company_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    crash(postgres_url, tmp_path, 5, sampled=True)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_crash_anywhere_doubles_no_company(tmp_path: Path) -> None:
    crash(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, 1, sampled=False)


# --- plan, upgrade ------------------------------------------------------------------------------


def test_the_plan_counts_companies_and_their_calls(quick: Office) -> None:
    pull_once(quick.hub)
    planned = plan(quick.hub)["hubspot"].as_json()
    assert planned["companies"] == {"create": 4, "update": 0, "total": 4}
    assert "name" not in planned["fields"]
    quick.day()
    quick.partners("alpha", replace(HOUSE, plan="Hybrid"), *LIST[1:])
    quick.rig.advance_to(quick.rig.world.now_ms + HOUR_MS)
    pull_once(quick.hub)
    planned = plan(quick.hub)["hubspot"].as_json()
    assert planned["companies"] == {"create": 0, "update": 1, "total": 1}
    quick.rig.portal.remove_scope(WRITE)
    quick.again()
    quick.day()
    assert plan(quick.hub)["hubspot"].as_json()["companies"]["total"] == 0


def test_many_partners_go_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.partners.STEP", 7)
    office = made(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path)
    with opened(office):
        many = [FakePartner(f"P{n:03}", f"House {n}", "CPA", "Approved") for n in range(250)]
        office.partners("alpha", *many)
        assert office.day().summary()["companies_written"] == 251
        names = {k: c["name"] for k, c in office.shown().items() if k.startswith("alpha")}
        assert names == {f"alpha:{p.id}": p.name for p in many}


def test_the_world_of_all_sources_has_its_partners(tmp_path: Path) -> None:
    world = grow(11, 30, 50)
    start = world.start_ms + 46 * DAY_MS
    one = rig(world, f"sqlite:///{tmp_path / 'hub.db'}", tmp_path, start, families=ALL)
    one.advance_to(start)
    hub = one.hub()
    one.sync(hub)
    hub.store.close()
    names = {f"{b}:{p.id}": p.name for b, found in world.partners.items() for p in found}
    assert len(names) >= 10
    assert {k: c["name"] for k, c in one.portal.companies("broker_partner_key").items()} == names
