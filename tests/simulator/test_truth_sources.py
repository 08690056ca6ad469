"""What is off and blank while a family of sources is not connected (domain §3)."""

from __future__ import annotations

import pytest

from simulator.grow import START_MS, grow
from simulator.story import DAY_MS, Client, Event, World
from simulator.truth import BASE, SOURCES, Profile, profile

END_MS = START_MS + 60 * DAY_MS
# The families that each stage, state and field needs beside registry, KYC and PSP.
OFF = {
    "trading": {
        "LS6", "LS7", "LS10", "LS11", "CS6", "CS7", "CS10", "CS11", "CS12", "CS15",
        "first_trade_date", "last_activity_date", "net_revenue",
    },
    "ledger": {"CS12", "CS15", "bonus_used", "net_revenue"},
    "affiliate": {
        "CS13", "affiliate_id", "sub_id", "partner_payout_category", "net_revenue",
        "suspicious_behavior",
    },
    "helpdesk": {"CS16", "ticket_count", "unresolved_ticket"},
}  # fmt: skip
FAMILIES = {
    "trading": ("account_opened", "traded", "position_opened", "position_closed"),
    "ledger": ("ledger_",),
    "affiliate": ("attributed", "reattributed", "payout_", "fraud_"),
    "helpdesk": ("ticket_",),
}


@pytest.fixture(scope="module")
def world() -> World:
    return grow(7)


def profiles(world: World, sources: frozenset[str]) -> dict[str, Profile | None]:
    return {k: profile(world, c, END_MS, sources) for k, c in world.clients.items()}


def without(world: World, family: str) -> World:
    """The same world, in which that family never told anything."""

    def silent(event: Event) -> bool:
        return event.name.startswith(FAMILIES[family])

    cast = [
        Client(c.brand, c.id, [e for e in c.events if not silent(e)])
        for c in world.clients.values()
    ]
    return World(cast, world.brands, world.start_ms, world.rates, world.partners)


def occurring(found: dict[str, Profile | None]) -> set[str]:
    """Stages, states and fields that say something of somebody."""
    known = [p for p in found.values() if p]
    stages = {p.stage for p in known} | {s for p in known for s in p.states}
    return stages | {name for p in known for name, value in p.fields.items() if value}


@pytest.mark.parametrize("family", sorted(OFF))
def test_without_a_family_what_needs_it_is_off(world: World, family: str) -> None:
    everything = occurring(profiles(world, SOURCES))
    assert OFF[family] <= everything
    left = occurring(profiles(world, SOURCES - {family}))
    assert everything - left == OFF[family]
    assert left <= everything


@pytest.mark.parametrize("family", sorted(OFF))
def test_a_family_that_is_not_connected_tells_nothing(world: World, family: str) -> None:
    sources = SOURCES - {family}
    if family == "trading":  # which accounts count is known to the trading server alone
        sources -= {"ledger"}
    assert profiles(world, sources) == profiles(without(world, family), sources)


def test_the_first_sources_alone_are_as_if_there_were_no_others(world: World) -> None:
    poor = world
    for family in FAMILIES:
        poor = without(poor, family)
    assert profiles(world, BASE) == profiles(poor, BASE)
    blank = set.union(*OFF.values()) | {"bonus_used"}
    for found in profiles(world, BASE).values():
        assert found is None or not any(found.fields.get(name) for name in blank)


@pytest.mark.parametrize("sources", [{"registry", "kyc"}, BASE | {"weather"}])
def test_families_must_be_known_and_the_first_ones_connected(
    world: World, sources: frozenset[str]
) -> None:
    with pytest.raises(ValueError, match="at least"):
        profile(world, next(iter(world.clients.values())), END_MS, frozenset(sources))
