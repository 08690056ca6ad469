"""Whose contact the hub may create: everybody's, by a rule, or nobody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config import yaml_file
from config.settings import DEFAULT_RULES
from mapping.money import exponent
from mapping.ruleset import RuleSet, RuleSetError, load
from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS
from simulator.truth import contacts
from sync.cycle import sync_once
from sync.plan import plan
from tests.conftest import Place
from tests.rig import Rig, rig
from tests.truths import profile

FAMILIES = ("registry", "kyc", "psp")


def _rules(create: object, digits: int = 2, families: tuple[str, ...] = FAMILIES) -> RuleSet:
    data: dict[str, Any] = {**yaml_file.read(DEFAULT_RULES).data, "create": create}
    return load(data, families, digits)


def _rig(place: Place, folder: Path, create: str) -> tuple[Rig, Any, int]:
    world = grow(6, 160, 60)
    at = world.start_ms + 46 * DAY_MS
    one = rig(world, place.database, folder, live_from=at, crm=place.crm)
    one.advance_to(at - HOUR_MS)
    hub = one.hub()
    hub.rules = {n: _rules(create, exponent(b.base_currency)) for n, b in world.brands.items()}
    one.advance_to(at)
    return one, hub, at


def test_by_a_rule(place: Place, tmp_path: Path) -> None:
    one, hub, at = _rig(place, tmp_path, "funded")
    one.sync(hub)
    for now in (at, at + DAY_MS):
        one.advance_to(now)
        one.sync(hub)
        primaries = {g.primary for g in contacts(one.world, now)}
        true = {k: profile(one.world, one.world.clients[k], now) for k in primaries}
        funded = {k for k, p in true.items() if p and p.fields["first_deposit_date"]}
        assert 10 < len(funded) < len(primaries)
        assert one.crm.contacts("broker_client_id").keys() == funded
    hub.close()


def test_never_only_updates_what_is_there(place: Place, tmp_path: Path) -> None:
    one, hub, at = _rig(place, tmp_path, "never")
    clients = {k: profile(one.world, c, at) for k, c in one.world.clients.items()}
    shared = {k for g in contacts(one.world, at) if g.others for k in (g.primary, *g.others)}
    known = [
        k for k, c in one.world.clients.items()
        if k not in shared and (true := clients[k]) is not None and true.person["email"]
        and [e.data["verified"] for e in c.visible(at) if "verified" in e.data][-1:] == [True]
    ][:12]  # fmt: skip
    ids = {}
    for key in known:
        email = clients[key].person["email"]  # type: ignore[union-attr]
        ids[key] = one.crm.add(email=email)
    by_key = one.crm.add(firstname="Keyed")
    keyed = next(k for k in one.world.clients if k not in known and k not in shared and clients[k])
    one.crm.edit(by_key, broker_client_id=keyed)
    assert plan(hub)[place.crm].contacts_created == 0
    one.sync(hub)
    shown = one.crm.contacts("broker_client_id")
    assert {k: shown[k]["id"] for k in shown} == {**ids, keyed: by_key}
    assert all(c["brokerage_lifecycle_stage"] for c in shown.values())
    writes = one.crm.writes
    sync_once(hub)
    assert one.crm.writes == writes
    hub.close()


@pytest.mark.parametrize(
    ("create", "message"),
    [
        ("sometimes", "create"),
        ("horoscope > 0", "neither a fact nor a definition"),
        (5, "create"),
        ("funded_at", "create"),
    ],
)
def test_a_policy_that_cannot_be_read_is_refused(create: object, message: str) -> None:
    with pytest.raises(RuleSetError, match=message):
        _rules(create)


def test_a_policy_over_a_source_that_is_not_connected_is_refused() -> None:
    with pytest.raises(RuleSetError, match="reads facts of psp, which is not connected"):
        _rules("funded", families=("registry", "kyc"))
