"""The hub comes into a portal that people have worked in for years.

Five hundred contacts stand there: some are clients under their verified address, primary or
further, some under an address that is shared, unverified or claimed twice, most are strangers.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from brokersync import crm_fields
from brokersync.output import Output
from config import yaml_file
from config.settings import DEFAULT_RULES
from connectors.destination import CrmObject, CrmProperty, Option
from mapping.fields import Clash, Naming
from mapping.money import exponent
from mapping.ruleset import load
from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS, Event, World
from simulator.truth import contacts
from state import sources
from sync.cycle import sync_once
from sync.hub import Hub
from tests.conftest import Place
from tests.rig import Rig, rig
from tests.truths import profile

OWN_STATUS = CrmProperty(
    "kyc_status", "KYC", "enumeration", options=(Option("seen", "Papers seen"),)
)
CLIENTS, STRANGERS = 420, 460


@dataclass(slots=True)
class Portal:
    """What was there before: contact ids by what should become of them, and their values."""

    rig: Rig
    claimed: dict[str, str] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)
    before: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, **properties: str) -> str:
        """A contact a person made."""
        return self.rig.crm.add(**properties)

    def merged(self, email: str, further: str) -> str:
        """A contact with a further address."""
        primary = self.add(email=email, firstname="Own")
        return self.rig.crm.merge(primary, self.add(email=further))


def _settled(world: World, at: int) -> dict[str, Any]:
    """Clients with a contact of their own and an address, by key, and whether it is verified."""
    found = {}
    for group in contacts(world, at):
        client = world.clients[group.primary]
        true = profile(world, client, at)
        if not group.others and true is not None and true.person["email"].strip():
            found[group.primary] = true
    return found


def _verified(world: World, key: str, at: int) -> bool:
    said = [e.data["verified"] for e in world.clients[key].visible(at) if "verified" in e.data]
    return bool(said and said[-1])


def _furnished(one: Rig, at: int) -> Portal:
    portal, world = Portal(one), one.world
    alone = _settled(world, at)
    verified = [k for k in sorted(alone) if _verified(world, k, at)]
    unverified = [k for k in sorted(alone) if not _verified(world, k, at)]
    email = {k: p.person["email"].strip().lower() for k, p in alone.items()}
    for key in verified[:30]:  # written in another case
        portal.claimed[key] = portal.add(email=email[key].upper(), firstname="Own", phone="+1 555")
    for key in verified[30:45] if one.crm.several_addresses else ():
        portal.claimed[key] = portal.merged(f"old-{key[-5:]}@example.org", email[key])
    for key in verified[45:50]:  # another client's key is in it
        portal.unclear[key] = portal.add(email=email[key])
    pairs = zip(verified[50:60:2], verified[51:60:2], strict=True)
    for first, second in pairs if one.crm.several_addresses else ():
        contact = portal.merged(email[first], email[second])
        portal.unclear |= {first: contact, second: contact}
    for key in unverified[:15]:
        portal.unclear[key] = portal.add(email=email[key])
    for group in [g for g in contacts(world, at) if g.others][:5]:
        shared = profile(world, world.clients[group.primary], at)
        if shared is not None and shared.person["email"].strip():
            portal.unclear[group.primary] = portal.add(email=shared.person["email"].strip())
    for n in range(STRANGERS):
        portal.add(email=f"stranger{n}@example.org", firstname=f"S{n}")
    return portal


@pytest.fixture
def installed(place: Place, tmp_path: Path) -> tuple[Portal, Hub, int]:
    """A furnished portal and a hub that has not synced yet."""
    return _installed(place, tmp_path)


def _installed(place: Place, folder: Path, naming: Naming | None = None) -> tuple[Portal, Hub, int]:
    world = grow(8, CLIENTS, 60)
    at = world.start_ms + 46 * DAY_MS
    one = rig(world, place.database, folder, live_from=at, crm=place.crm)
    one.advance_to(at - HOUR_MS)
    one.install = naming is None
    hub = one.hub()
    if naming is not None:
        hub.prefix = naming.prefix
        hub.rules = _rules(naming, world)
        hub.destinations[place.crm].install(CrmObject.CONTACT, [OWN_STATUS])
    portal = _furnished(one, at)
    taken = [k for k in portal.unclear if _verified(world, k, at)][:5]
    if naming is not None:  # there is no property yet that could hold another client's key
        portal.claimed |= {key: portal.unclear.pop(key) for key in taken}
        taken = []
    for n, key in enumerate(taken):
        one.crm.edit(portal.unclear[key], broker_client_id=f"alpha:other{n}")
    one.advance_to(at)
    portal.before = one.crm.contacts()
    return portal, hub, at


def test_a_furnished_portal_is_taken_over_without_a_double(
    installed: tuple[Portal, Hub, int],
) -> None:
    portal, hub, at = installed
    one, world = portal.rig, portal.rig.world
    assert len(portal.before) >= 500
    cycle = sync_once(hub)
    assert not cycle.errors
    shown = one.crm.contacts()
    by_key = one.crm.contacts("broker_client_id")
    for key, crm_id in portal.claimed.items():
        assert by_key[key]["id"] == crm_id, key
        assert by_key[key]["firstname"] == portal.before[crm_id]["firstname"], "a person's value"
        true = profile(world, world.clients[key], at)
        assert true is not None
        assert by_key[key]["brokerage_lifecycle_stage"] == true.stage
    emails = Counter(
        e for c in shown.values()
        for e in (c.get("email", ""), *c.get("hs_additional_emails", "").split(";")) if e
    )  # fmt: skip
    assert emails.most_common(1)[0][1] == 1, "an address twice"
    reasons = _asides(hub)
    assert portal.unclear.keys() <= reasons.keys()
    assert all(reasons[k].startswith("AMBIGUOUS") for k in portal.unclear)
    for key, crm_id in portal.unclear.items():
        assert shown[crm_id] == portal.before[crm_id], "it was written"
        assert key not in by_key
    written = {w.crm_id for w in one.crm.written if w.object == "contacts"}
    assert not written & (portal.before.keys() - set(portal.claimed.values()))
    groups = {g.primary for g in contacts(world, at)}
    assert by_key.keys() & groups == groups - portal.unclear.keys()
    writes = one.crm.writes
    sync_once(hub)
    assert one.crm.writes == writes, "all quiet afterwards"
    hub.close()


def test_with_an_empty_prefix_the_portals_own_kyc_status_stays_what_people_wrote(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same portal, whose people keep a `kyc_status` of their own; the prefix is empty."""
    portal, hub, at = _installed(place, tmp_path, Naming(""))
    crm_fields.plan(Output(as_json=True), hub)
    asked = json.loads(capsys.readouterr().out)[place.crm]
    assert any("property_clashes: {kyc_status: adopt}" in line for line in _texts(asked)), asked
    assert sync_once(hub).status == "refused"
    assert portal.rig.crm.contacts() == portal.before, "a refused start writes nothing"
    hub.rules = _rules(
        Naming("", {"kyc_status": Clash.RENAME, "country": Clash.ADOPT}), portal.rig.world
    )
    hub.schema_checked.clear()
    for crm_id in portal.before:
        portal.rig.crm.edit(crm_id, kyc_status="seen")
    crm_fields.install(Output(as_json=True), hub)
    assert not sync_once(hub).errors
    shown = portal.rig.crm.contacts()
    assert {shown[i]["kyc_status"] for i in portal.before} == {"seen"}
    by_key = portal.rig.crm.contacts("broker_client_id")
    for key, crm_id in portal.claimed.items():
        true = profile(portal.rig.world, portal.rig.world.clients[key], at)
        assert true is not None
        assert by_key[key]["id"] == crm_id
        assert by_key[key]["kyc_status_hub"] == true.fields["kyc_status"]
        assert by_key[key]["lifecycle_stage"] == true.stage
    new = [c for i, c in shown.items() if i not in portal.before]
    assert new
    assert not any(c.get("kyc_status") for c in new), "the portal's own is nobody's of the hub"
    writes = portal.rig.crm.writes
    sync_once(hub)
    assert portal.rig.crm.writes == writes
    hub.close()


def _texts(value: Any) -> list[str]:
    """Every text in a JSON value."""
    if isinstance(value, dict):
        return [t for v in value.values() for t in _texts(v)]
    if isinstance(value, list):
        return [t for v in value for t in _texts(v)]
    return [str(value)]


def _rules(naming: Naming, world: World) -> dict[str, Any]:
    data = yaml_file.read(DEFAULT_RULES)
    return {
        n: load(
            data.data, ["registry", "kyc", "psp"], exponent(b.base_currency), naming, data.where
        )
        for n, b in world.brands.items()
    }


def test_an_ambiguous_one_is_taken_once_a_person_enters_the_key(
    installed: tuple[Portal, Hub, int],
) -> None:
    portal, hub, at = installed
    sync_once(hub)
    key = sorted(k for k in portal.unclear if not _verified(portal.rig.world, k, at))[0]
    portal.rig.crm.edit(portal.unclear[key], broker_client_id=key)
    portal.rig.advance_to(at + 2 * HOUR_MS)
    sync_once(hub)
    assert portal.rig.crm.contacts("broker_client_id")[key]["id"] == portal.unclear[key]
    assert key not in _asides(hub)
    hub.close()


def test_a_client_who_comes_later_is_looked_for_too(installed: tuple[Portal, Hub, int]) -> None:
    portal, hub, at = installed
    sync_once(hub)
    world = portal.rig.world
    key = sorted(_settled(world, at).keys() - portal.claimed.keys() - portal.unclear.keys())[0]
    contact = portal.add(email="late@example.org", firstname="Own")
    client, moment = world.clients[key], at + HOUR_MS
    fresh = Event(moment, "registered", {**client.events[0].data, "email": "Late@example.org",
                                         "verified": True})  # fmt: skip
    world.add(type(client)(client.brand, "99999", [fresh]))
    portal.rig.advance_to(moment + HOUR_MS)
    sync_once(hub)
    found = portal.rig.crm.contacts("broker_client_id")[f"{client.brand}:99999"]
    assert found["id"] == contact
    hub.close()


def _asides(hub: Hub) -> dict[str, str]:
    with hub.store.reading() as connection:
        return {r["external_id"]: r["reason"] for r in sources.asides(connection)}
