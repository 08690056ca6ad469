"""Stepping the clock minute by minute: nothing changes without ``due`` having said so.

Facts are frozen; only time moves. The truth is every rule evaluated at every minute. The hub's
behaviour is replayed beside it: a client is looked at again only when its due moment has come.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mapping.rules import Expr, Scope, condition, instant
from state.rules_due import earliest_due, first_match
from state.rules_sql import RuleCompiler
from state.schema import NEVER
from tests.rules import world
from tests.rules.generator import DEFINITIONS, Generator, accepted

MINUTES = 14_400  # ten days
CLIENTS = 90
SCOPE = Scope(world.FACTS, DEFINITIONS)

# domain §§3-4 as far as the facts reach.
STAGES = {
    "LS0": "excluded",
    "LS12": "chargebacks_open > 0",
    "LS8": "first_withdrawal_at is not null and (first_withdrawal_settled_at is null"
    " or days_since(first_withdrawal_settled_at) < 7)",
    "LS9": "deposits >= 2",
    "LS5": "funded",
    "LS4": "last_attempt_outcome = 'failed'",
    "LS3": "kyc_status = 'approved'",
    "LS2": "kyc_status <> 'not_started'",
    "LS1": "true",
}
STATES = {
    "CS1": "not excluded and not funded and kyc_status = 'not_started'"
    " and (days_since(registered_at) >= 1 or minutes_since(intent_at) >= 10)",
    "CS2": "not excluded and kyc_status in ('started', 'expired', 'reset')"
    " and hours_since(kyc_step_at) >= 24",
    "CS3": "not excluded and kyc_status = 'rejected_retry'",
    "CS4": "not excluded and kyc_status = 'approved' and deposit_attempts = 0"
    " and hours_since(kyc_approved_at) >= 4",
    "CS5": "not excluded and last_attempt_outcome = 'failed'"
    " and days_since(last_attempt_ended_at) < 14",
    "CS8": "not excluded and first_withdrawal_at is not null"
    " and first_withdrawal_settled_at is null",
    "CS9": "not excluded and days_since(last_withdrawal_paid_at) >= 7"
    " and (last_deposit_at is null or last_deposit_at < last_withdrawal_paid_at)",
    "CS14": "not excluded and chargebacks_open > 0",
}

TICK = sa.Table("tick", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("at", sa.BigInteger))
MINUTE = sa.Table("minute", sa.MetaData(), sa.Column("at", sa.BigInteger, primary_key=True))
Build = Callable[[RuleCompiler], tuple[list[Any], Any]]


@dataclass(frozen=True)
class Stepped:
    """What ten days brought."""

    changes: int
    wake_ups: int
    late: int


def shipped(compiler: RuleCompiler) -> tuple[list[Any], Any]:
    """Columns and due moment of the shipped-like stages and states."""
    stages = [(name, condition(text, SCOPE)) for name, text in STAGES.items()]
    return outputs(compiler, stages, [condition(text, SCOPE) for text in STATES.values()])


def outputs(
    compiler: RuleCompiler, stages: Sequence[tuple[str, Expr]], others: Sequence[Expr]
) -> tuple[list[Any], Any]:
    """What must not change unannounced, and the moment until which it cannot."""
    stage, stage_due = first_match(compiler, stages)
    columns = [stage, *[compiler.value(expr) for expr in others]]
    due = earliest_due([stage_due, *[compiler.due(expr) for expr in others]])
    return columns, due


def moving(now: Any, lags: Mapping[str, int]) -> RuleCompiler:
    """A compiler whose now is a column; each family lags behind it by a fixed time."""
    return world.compiler(now, {f: now - lags.get(f, 0) for f in world.FAMILIES})


def step(engine: sa.Engine, build: Build, rows: int, lags: Mapping[str, int]) -> Stepped:
    """Ten days over the rows in the table, once in full and once as the hub would look."""
    changed = _changes(engine, build, rows, lags)
    woken = _wake_ups(engine, build, rows, lags)
    return Stepped(len(changed), len(woken), len(changed - woken))


def _changes(
    engine: sa.Engine, build: Build, rows: int, lags: Mapping[str, int]
) -> set[tuple[int, int]]:
    """(client, minute) at which anything differs from the minute before."""
    columns, _ = build(moving(MINUTE.c.at, lags))
    labelled = [column.label(f"c{i}") for i, column in enumerate(columns)]
    statement = (
        sa.select(*labelled)
        .select_from(sa.join(MINUTE, world.TABLE, world.TABLE.c.id == sa.bindparam("client")))
        .order_by(MINUTE.c.at)
    )
    changed: set[tuple[int, int]] = set()
    with engine.connect() as connection:
        MINUTE.drop(connection, checkfirst=True)
        MINUTE.create(connection)
        every = [{"at": world.NOW + minute * world.MINUTE} for minute in range(MINUTES + 1)]
        connection.execute(sa.insert(MINUTE), every)
        for client in range(rows):
            seen = [tuple(row) for row in connection.execute(statement, {"client": client})]
            pairs = zip(range(1, MINUTES + 1), seen, seen[1:], strict=False)
            changed.update((client, minute) for minute, old, new in pairs if old != new)
        connection.rollback()
    return changed


def _wake_ups(
    engine: sa.Engine, build: Build, rows: int, lags: Mapping[str, int]
) -> set[tuple[int, int]]:
    """(client, minute) at which the hub would look, each time acting on the due it saw last."""
    _, due = build(moving(TICK.c.at, lags))
    statement = sa.select(world.TABLE.c.id, due).join_from(
        world.TABLE, TICK, TICK.c.id == world.TABLE.c.id
    )
    minute_of = dict.fromkeys(range(rows), 0)
    woken: set[tuple[int, int]] = set()
    with engine.connect() as connection:
        TICK.drop(connection, checkfirst=True)
        TICK.create(connection)
        while minute_of:
            connection.execute(sa.delete(TICK))
            ticks = [{"id": i, "at": world.NOW + m * world.MINUTE} for i, m in minute_of.items()]
            connection.execute(sa.insert(TICK), ticks)
            upcoming: dict[int, int] = {}
            for client, moment in connection.execute(statement):
                now = minute_of[client]
                if not lags:
                    assert moment > world.NOW + now * world.MINUTE, "a wake-up could loop"
                minute = max(now + 1, -((world.NOW - moment) // world.MINUTE))
                if moment != NEVER and minute <= MINUTES:
                    upcoming[client] = minute
                    woken.add((client, minute))
            minute_of = upcoming
        connection.rollback()
    return woken


def plausible(rng: random.Random, client: int) -> dict[str, Any]:
    """A client whose facts belong together: registered, then as far as the dice carry."""
    row = {"id": client} | {
        name: None if fact.nullable else world.random_value(rng, fact)
        for name, fact in world.FACTS.items()
    }
    at = world.NOW - rng.randrange(rng.choice((2, 2, 15)) * world.DAY)
    row |= dict.fromkeys(("deposits", "deposit_attempts", "withdrawals", "chargebacks_open"), 0)
    row |= {"registered_at": at, "disposition": "open", "last_attempt_outcome": "none"}
    row |= {"kyc_status": "not_started", "source_type": rng.choice(("referral", "ad", "ad"))}

    def later(hours: int) -> int:
        nonlocal at
        at += rng.randrange(hours * world.HOUR)
        return at

    steps = rng.randrange(7)
    if steps >= 1 and later(40) < world.NOW:
        status = rng.choice(("started", "submitted", "rejected_retry", "approved", "approved"))
        row |= {"kyc_status": status, "kyc_step_at": at, "kyc_status_at": at}
        row |= {"kyc_approved_at": at} if status == "approved" else {}
    if steps >= 2 and later(40) < world.NOW:
        row |= {"deposit_attempts": 1, "first_attempt_at": at, "last_attempt_ended_at": at}
        row |= {"last_attempt_outcome": "failed"}
    if steps >= 3 and later(60) < world.NOW:
        row |= {"deposits": 1, "first_deposit_at": at, "last_deposit_at": at}
        row |= {"last_attempt_outcome": "succeeded", "last_attempt_ended_at": at}
    if steps >= 4 and later(90) < world.NOW:
        row |= {"withdrawals": 1, "first_withdrawal_at": at}
        if steps >= 5 and later(60) < world.NOW:
            row |= {"first_withdrawal_settled_at": at, "last_withdrawal_paid_at": at}
        if steps >= 6 and later(90) < world.NOW:
            row |= {"deposits": 2, "second_deposit_at": at, "last_deposit_at": at}
    return row


def drawn(generator: Generator, depth: int) -> Expr:
    return accepted(lambda: condition(generator.condition(depth), SCOPE))


def drawn_time(generator: Generator) -> Expr:
    return accepted(lambda: instant(generator.time(2), SCOPE))


def timely(seed: int) -> Build:
    """Random time rules: six as stages, four as states, two instants."""
    generator = Generator(seed, timely=True)
    stages = [(f"S{i}", drawn(generator, 2)) for i in range(6)]
    others = [drawn(generator, 3) for _ in range(4)]
    others += [drawn_time(generator) for _ in range(2)]
    return lambda compiler: outputs(compiler, stages, others)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'due.db'}")
    yield engine
    engine.dispose()


def test_shipped_rules_wake_a_client_only_when_it_changes(sqlite: sa.Engine) -> None:
    rng = random.Random(1)
    world.fill(sqlite, [plausible(rng, client) for client in range(CLIENTS)])
    stepped = step(sqlite, shipped, CLIENTS, {})
    assert stepped.late == 0
    assert stepped.changes >= 20
    assert stepped.wake_ups <= 1.02 * stepped.changes


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_time_rules_never_change_unannounced(sqlite: sa.Engine, seed: int) -> None:
    world.fill(sqlite, world.random_rows(random.Random(seed), 25))
    stepped = step(sqlite, timely(seed), 25, {})
    assert stepped.late == 0
    assert stepped.wake_ups <= 3.5 * stepped.changes


def test_a_late_source_delays_and_never_loses_a_change(sqlite: sa.Engine) -> None:
    world.fill(sqlite, world.random_rows(random.Random(9), 8))
    lags = {"psp": 7 * world.HOUR, "kyc": 11 * world.MINUTE}
    stepped = step(sqlite, timely(9), 8, lags)
    assert stepped.changes > 0
    assert stepped.late == 0


def test_a_rule_stands_still_until_the_millisecond_before_its_due_moment(
    sqlite: sa.Engine,
) -> None:
    """The change itself comes at the due moment, or, where flips cancel out, later."""
    world.fill(sqlite, world.random_rows(random.Random(5), 60))
    TICK.drop(sqlite, checkfirst=True)
    TICK.create(sqlite)
    generator, compiler = Generator(5, timely=True), moving(TICK.c.at, {})
    exprs = [drawn(generator, 2) for _ in range(150)]
    exprs += [drawn_time(generator) for _ in range(50)]
    due_moments = changed_then = 0
    for expr in exprs:
        now = look(sqlite, compiler, expr, dict.fromkeys(range(60), world.NOW))
        due = {client: moment for client, (_, moment) in now.items() if moment != NEVER}
        assert all(moment > world.NOW for moment in due.values()), expr.text
        before = look(sqlite, compiler, expr, {c: moment - 1 for c, moment in due.items()})
        at_due = look(sqlite, compiler, expr, due)
        for client in due:
            assert before[client][0] == now[client][0], (expr.text, client)
            due_moments += 1
            changed_then += at_due[client][0] != now[client][0]
    assert due_moments > 1_500
    assert changed_then > 0.4 * due_moments


def look(
    engine: sa.Engine, compiler: RuleCompiler, expr: Expr, at: Mapping[int, int]
) -> dict[int, tuple[Any, int]]:
    """Value and due moment of a rule for some clients, each at a moment of its own."""
    if not at:
        return {}
    columns = (world.TABLE.c.id, compiler.value(expr), compiler.due(expr))
    statement = sa.select(*columns).join_from(world.TABLE, TICK, TICK.c.id == world.TABLE.c.id)
    with engine.connect() as connection:
        connection.execute(sa.delete(TICK))
        connection.execute(sa.insert(TICK), [{"id": c, "at": moment} for c, moment in at.items()])
        found = {client: (value, due) for client, value, due in connection.execute(statement)}
        connection.rollback()
    return found
