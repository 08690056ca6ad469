"""The grown world: the same from the same seed, wide enough, and observable by polling."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

import pytest

from simulator.grow import START_MS, grow
from simulator.story import DAY_MS, HOUR_MS, Client, Event, World
from simulator.truth import BASE, TaskLedger, contacts, profile
from simulator.truth.market import market_after

END_MS = START_MS + 60 * DAY_MS
DAY_46_MS = START_MS + 46 * DAY_MS
SEEDS = (7, 8, 9)


@pytest.fixture(scope="module", params=SEEDS)
def world(request: pytest.FixtureRequest) -> World:
    return grow(request.param)


def _told(world: World) -> list[tuple[str, list[Event]]]:
    return [(key, client.events) for key, client in world.clients.items()]


def test_the_same_seed_gives_the_same_world() -> None:
    assert _told(grow(7, clients=200)) == _told(grow(7, clients=200))


def test_another_seed_gives_another_world() -> None:
    assert _told(grow(7, clients=200)) != _told(grow(8, clients=200))


@pytest.mark.parametrize(("clients", "days"), [(1, 1), (3, 60), (40, 5)])
def test_small_worlds_grow(clients: int, days: int) -> None:
    world = grow(1, clients=clients, days=days)
    assert len(world.clients) == clients
    last = START_MS + days * DAY_MS
    assert all(e.at <= last for c in world.clients.values() for e in c.events)


def test_every_stage_and_state_occurs(world: World) -> None:
    found = [profile(world, c, END_MS) for c in world.clients.values()]
    stages = Counter(p.stage for p in found if p)
    states = Counter(s for p in found if p for s in p.states)
    assert set(stages) == {f"LS{n}" for n in range(13)}
    assert set(states) == {f"CS{n}" for n in range(1, 17)}
    assert min(stages.values()) >= 6
    assert min(states.values()) >= 6
    assert sum(p is None for p in found) >= 3  # merged


def test_every_stage_and_state_of_the_first_sources_occurs(world: World) -> None:
    found = [profile(world, c, END_MS, BASE) for c in world.clients.values()]
    stages = Counter(p.stage for p in found if p)
    states = Counter(s for p in found if p for s in p.states)
    assert set(stages) == {"LS0", "LS1", "LS2", "LS3", "LS4", "LS5", "LS8", "LS9", "LS12"}
    assert set(states) == {"CS1", "CS2", "CS3", "CS4", "CS5", "CS8", "CS9", "CS14"}
    assert min(stages.values()) >= 10
    assert min(states.values()) >= 10


def test_tasks_begin_regularly_after_day_46(world: World) -> None:
    ledger = TaskLedger(world, DAY_46_MS)
    for at in range(DAY_46_MS, END_MS + 1, HOUR_MS):
        ledger.observe(at)
    opened = Counter(task.state for task in ledger.tasks.values())
    assert set(opened) == {"CS3", "CS5", "CS6", "CS8"}
    assert min(opened.values()) >= 24
    days = {(t.opened_at - DAY_46_MS) // DAY_MS for t in ledger.tasks.values()}
    assert len(days) >= 13
    assert {t.status for t in ledger.tasks.values()} == {"open", "closed"}
    assert {key[-2:] for key in ledger.tasks} >= {":1", ":2"}  # some reasons come back
    assert all(task.begin >= DAY_46_MS for task in ledger.tasks.values())


def test_a_ledger_that_looks_at_everybody_finds_the_same(world: World) -> None:
    """The shortcut (only clients something may have changed for) must not change the result."""
    quick, thorough = TaskLedger(world, DAY_46_MS), TaskLedger(world, DAY_46_MS)
    for at in range(DAY_46_MS, DAY_46_MS + 2 * DAY_MS, HOUR_MS):
        quick.observe(at)
        thorough._last = None
        thorough.observe(at)
    assert quick.tasks == thorough.tasks


def test_time_alone_changes_a_profile_only_when_foretold(world: World) -> None:
    """Between two events nothing moves before the profile's ``until``."""
    changes = 0
    for client in list(world.clients.values())[::17]:
        shared = any(len(world.addresses[a]) > 1 for a in _addresses(client))
        if shared or client.key in world.merges or _named(client, "merged"):
            continue
        ends = sorted({e.visible_at for e in client.events} | {END_MS + 100 * DAY_MS})
        for begin, end in pairwise(ends):
            at: int | None = begin
            while at is not None and at < end:
                found = profile(world, client, at)
                if found is None:
                    break
                changes += 1
                until = min(found.until or end, end)
                last = profile(world, client, until - 1)
                assert last is not None
                assert (last.stage, last.since, last.states, last.fields) == (
                    found.stage, found.since, found.states, found.fields,
                ), (client.key, at)  # fmt: skip
                at = found.until
    assert changes > 1000


def _addresses(client: Client) -> list[tuple[str, str]]:
    emails = {
        str(e.data["email"] or "").strip().lower() for e in client.events if "email" in e.data
    }
    return [(client.brand, email) for email in emails if email]


def test_two_brands_share_one_crm(world: World) -> None:
    groups = contacts(world, END_MS)
    shared = [g for g in groups if g.others]
    brands = [{key.split(":")[0] for key in (g.primary, *g.others)} for g in shared]
    assert {"alpha", "beta"} in brands
    assert any(len(b) == 1 for b in brands)
    keys = [key for g in groups for key in (g.primary, *g.others)]
    merged = {c.key for c in world.clients.values() if _named(c, "merged")}
    assert sorted(keys) == sorted(set(world.clients) - merged)
    ids = defaultdict(set)
    for client in world.clients.values():
        ids[client.brand].add(client.id)
    assert ids["alpha"] & ids["beta"]


def test_the_traps_are_there(world: World) -> None:
    events = [e for c in world.clients.values() for e in _of_first_sources(c)]
    rows = [e.data for e in events if e.name == "registered"]
    assert {e.data["currency"] for e in events if "currency" in e.data} == {
        "USD", "EUR", "GBP", "JPY", "KWD",
    }  # fmt: skip
    assert any("'" in r["last_name"] for r in rows)
    assert any("🚀" in (r["first_name"] or "") for r in rows)
    assert any(r["source_type"] is None for r in rows)
    assert any(not r["email"] for r in rows)
    spelled = defaultdict(set)
    for email in (r["email"] for r in rows if r["email"]):
        spelled[email.strip().lower()].add(email)
    assert any(len(spellings) > 1 for spellings in spelled.values())
    ends = Counter(e.at for e in events if e.name in ("withdrawal_paid", "profile_updated"))
    assert max(ends.values()) >= 3  # several rows in the same second
    assert {e.name for e in events} >= {
        "kyc_awaiting", "kyc_in_review", "kyc_reset", "deposit_review", "deposit_authorized",
        "deposit_cancelled", "refunded", "chargeback_won", "chargeback_lost", "merged", "deleted",
        "withdrawal_rejected", "withdrawal_cancelled", "disposition",
    }  # fmt: skip


def test_payment_ways(world: World) -> None:
    """Failed then succeeded on the same payment, late outcomes, and several attempts open."""
    ways, late, together, unended = Counter[tuple[str, ...]](), 0, 0, 0
    for client in world.clients.values():
        spans = []
        for steps in _payments(client).values():
            names = tuple(e.name.removeprefix("deposit_") for e in steps)
            ways[names] += 1
            final = names[-1] in ("succeeded", "failed", "cancelled")
            late += final and steps[-1].at - steps[0].at > HOUR_MS // 2
            unended += names[-1] in ("attempted", "pending")
            spans.append((steps[0].at, steps[-1].at if final else END_MS))
        spans.sort()
        together += any(b[0] < a[1] for a, b in pairwise(spans))
    assert any(way[-2:] == ("failed", "succeeded") for way in ways)
    assert min(late, together, unended) >= 10


def _of_first_sources(client: Client) -> list[Event]:
    """What registry, KYC provider and PSP know."""
    names = ("registered", "profile_updated", "disposition", "merged", "deleted", "refunded")
    heads = ("kyc", "deposit", "withdrawal", "chargeback")
    return [e for e in client.events if e.name in names or e.name.split("_")[0] in heads]


def _payments(client: Client) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in client.events:
        if event.name.startswith("deposit_"):
            found[event.data["payment"]].append(event)
    return found


def _named(client: Client, *names: str) -> list[Event]:
    return [e for e in client.events if e.name in names]


def test_everything_happens_at_whole_seconds_and_is_seen_within_four_minutes(world: World) -> None:
    delays = Counter[bool]()
    for client in world.clients.values():
        assert [e.at for e in client.events] == sorted(e.at for e in client.events)
        for event in client.events:
            assert event.at % 1000 == 0
            assert 0 <= event.visible_at - event.at <= 4 * 60_000
            delays[event.visible_at > event.at] += 1
    assert delays[True] > 100


def test_a_row_is_never_seen_before_its_creation(world: World) -> None:
    for client in world.clients.values():
        first: dict[str, Event] = {}
        for event in _of_first_sources(client):
            row = event.data.get("id") or event.data.get("payment") or event.name.split("_")[0]
            begin = first.setdefault(row, event)
            assert begin.visible_at <= event.visible_at


def test_numbers_are_unique_in_a_brand_and_grow_with_time(world: World) -> None:
    for brand in world.brands:
        created: dict[str, tuple[int, str]] = {}
        for client in world.clients.values():
            for event in _of_first_sources(client) if client.brand == brand else ():
                if "payment" in event.data:
                    row = event.data.get("id") or event.data["payment"]
                    assert row.isdigit()
                    kind = event.name if "id" in event.data else "payment"
                    seen = created.setdefault(row, (event.at, f"{client.key} {kind}"))
                    assert seen[1] == f"{client.key} {kind}"
        by_number = sorted(created, key=int)
        assert [created[n][0] for n in by_number] == sorted(at for at, _ in created.values())
        assert {len(n) for n in by_number} == {5, 6}


def test_a_final_payment_changes_only_by_a_new_status(world: World) -> None:
    allowed = {("deposit_failed", "deposit_succeeded")}
    final = {
        "deposit_failed", "deposit_succeeded", "deposit_cancelled",
        "withdrawal_paid", "withdrawal_rejected", "withdrawal_cancelled",
    }  # fmt: skip
    for client in world.clients.values():
        steps: dict[str, list[str]] = defaultdict(list)
        for event in client.events:
            if event.name.startswith(("deposit_", "withdrawal_")):
                steps[event.data["payment"]].append(event.name)
        for names in steps.values():
            for a, b in pairwise(names):
                assert a not in final or (a, b) in allowed


def test_registry_rows_change_apart_and_never_after_a_closure(world: World) -> None:
    names = ("registered", "profile_updated", "disposition", "merged", "deleted")
    for client in world.clients.values():
        changes = _named(client, *names)
        assert changes[0].name == "registered"
        for a, b in pairwise(changes):
            assert b.at - a.at >= 15 * 60_000
            assert a.name in ("registered", "profile_updated")


def test_kyc_steps_can_be_seen_by_the_hubs_reading_rhythm(world: World) -> None:
    """What an hourly, then daily read must see in time; restated, not taken from the generator."""
    late_steps = 0
    for client in world.clients.values():
        anchor, was_late, attempt = client.events[0].at, False, 1
        decided = False
        for step in _named(client, *_KYC):
            late = step.at - anchor >= 40 * HOUR_MS or decided
            if late:
                late_steps += 1
                assert step.at <= END_MS - 36 * HOUR_MS
            if late or was_late:
                assert not (step.name == "kyc_rejected" and not step.data["final"])
            if was_late:
                assert step.at - anchor > 30 * HOUR_MS
            new_attempt = step.data["attempt"] != attempt
            attempt = step.data["attempt"]
            shows = new_attempt or step.name in ("kyc_started", "kyc_approved", "kyc_rejected")
            assert shows or not late, "a late step must show a time"
            decided = step.name == "kyc_approved"
            if shows:
                anchor, was_late = step.at, late
    assert late_steps >= 20


_KYC = (
    "kyc_started", "kyc_submitted", "kyc_in_review", "kyc_awaiting", "kyc_rejected",
    "kyc_approved", "kyc_reset",
)  # fmt: skip


def test_a_late_final_rejection_comes_at_a_quiet_time(world: World) -> None:
    for client, approved, rejected in _reversals(world):
        others = [e for c in world.clients.values() if c.key == client.key for e in c.events]
        for event in others:
            if event.name.startswith(("deposit_", "withdrawal_")):
                assert not _unread(rejected, event.at)
            if event.name in ("deposit_succeeded", "ledger_wire"):
                assert not _unread(rejected, market_after(event.at, HOUR_MS))
        assert rejected.data["attempt"] == approved.data["attempt"]


def _unread(rejected: Event, at: int) -> bool:
    return rejected.at - 2 * HOUR_MS <= at <= rejected.at + 30 * HOUR_MS


def _reversals(world: World) -> Iterator[tuple[Client, Event, Event]]:
    for client in world.clients.values():
        steps = _named(client, *_KYC)
        for a, b in pairwise(steps):
            if a.name == "kyc_approved" and b.name == "kyc_rejected":
                yield client, a, b


def test_green_and_later_red_happens(world: World) -> None:
    assert list(_reversals(world))


def test_merged_clients_had_no_kyc_and_came_later(world: World) -> None:
    with_payments = 0
    for client in world.clients.values():
        for event in _named(client, "merged"):
            into = world.clients[f"{client.brand}:{event.data['into']}"]
            assert into.events[0].at < client.events[0].at
            assert not _named(client, *_KYC)
            assert not _named(into, "merged", "deleted", "disposition")
            with_payments += bool(_payments(client))
    assert with_payments
