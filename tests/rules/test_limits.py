"""Every accepted rule runs: the deepest of each shape, in the largest statement built round it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mapping.rules import Expr, RuleError, Scope, condition
from state.rules_due import earliest_due, first_match
from tests.rules import world
from tests.rules.generator import DEFINITIONS

SCOPE = Scope(world.FACTS, DEFINITIONS)
Wrap = Callable[[str, int], str]
OUT = sa.Table(
    "out",
    sa.MetaData(),
    sa.Column("id", sa.Integer),
    sa.Column("holds", sa.Integer),
    sa.Column("stage", sa.String),
    sa.Column("due", sa.BigInteger),
    sa.Column("shown", sa.Integer),
)

# name: (innermost text, how one more level is put round it, how the whole becomes a condition)
SHAPES: dict[str, tuple[str, Wrap, str]] = {
    "not": (
        "passed(first_deposit_at)",
        lambda x, i: f"hours_since(kyc_step_at) > {i} {('and', 'or')[i % 2]} not ({x})",
        "{}",
    ),
    "ladder": (
        "passed(first_deposit_at)",
        lambda x, i: f"hours_since(kyc_step_at) > {i} {('and', 'or')[i % 2]} ({x})",
        "{}",
    ),
    "fixed and moving": (
        "hours_since(first_deposit_at) > 3",
        lambda x, i: f"funded and (hours_since(kyc_step_at) > {i} or not ({x}))",
        "{}",
    ),
    "pick": (
        "first_deposit_at",
        lambda x, i: f"{('greatest', 'latest')[i % 2]}(kyc_step_at, {x})",
        "hours_since({}) > 3",
    ),
    "case in a test": (
        "registered_at",
        lambda x, i: f"case when hours_since({x}) > {i} then kyc_step_at else registered_at end",
        "passed({})",
    ),
    "case in a value": (
        "registered_at",
        lambda x, i: f"case when hours_since(kyc_step_at) > {i} then {x} end",
        "passed({})",
    ),
    "condition = condition": (
        "passed(kyc_step_at)",
        lambda x, i: f"(({x}) = (passed(first_deposit_at))) and funded",
        "{}",
    ),
    "case of conditions": (
        "passed(kyc_step_at)",
        lambda x, i: f"case when funded then false when blocked_by_kyc then {x} else true end",
        "{}",
    ),
    "coalesce": (
        "hours_since(first_deposit_at)",
        lambda x, i: f"coalesce(answered_in, {x})",
        "{} > 3",
    ),
    "minus": ("hours_since(first_deposit_at)", lambda x, i: f"answered_in - ({x})", "{} > 3"),
    "between": (
        "answered_in",
        lambda x, i: (
            f"case when {x} between 1 and hours_since(kyc_step_at) then answered_in"
            " else hours_since(first_deposit_at) end"
        ),
        "{} between 1 and 2",
    ),
}


def deepest(shape: str) -> Expr:
    """The last rule of a shape that is accepted; the next one is refused for its depth."""
    inner, wrap, outer = SHAPES[shape]
    found, text = condition(outer.format(inner), SCOPE), inner
    for level in range(100):
        text = wrap(text, level)
        try:
            found = condition(outer.format(text), SCOPE)
        except RuleError:
            return found
    raise AssertionError(shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_deepest_rule_of_each_shape_runs_on_both_engines(
    shape: str, tmp_path: Path, postgres_url: str
) -> None:
    expr = deepest(shape)
    rows = world.random_rows(random.Random(1), 20)
    urls = f"sqlite:///{tmp_path / 'deep.db'}", postgres_url
    first, second = (written(url, expr, rows) for url in urls)
    assert first == second
    assert len(first) == 20


def written(url: str, expr: Expr, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Eight stages of the same rule, through a CTE, written with INSERT ... SELECT."""
    engine, compiler = sa.create_engine(url), world.compiler()
    world.fill(engine, rows)
    stage, stage_due = first_match(compiler, [(f"S{i}", expr) for i in range(8)])
    holds = compiler.condition(expr)
    inner = sa.select(
        world.TABLE.c.id,
        holds.label("holds"),
        stage.label("stage"),
        earliest_due([stage_due, compiler.due(expr)]).label("due"),
        sa.case((holds == 1, compiler.value(expr))).label("shown"),
    ).cte("answers")
    select = sa.select(inner).where(inner.c.holds >= 0)
    horizons = dict.fromkeys(world.FAMILIES, world.NOW)
    OUT.create(engine)
    with engine.begin() as connection:
        names = [column.name for column in OUT.c]
        statement = sa.insert(OUT).from_select(names, select)
        connection.execute(statement, world.parameters(world.NOW, horizons))
        found = connection.execute(sa.select(OUT).order_by(OUT.c.id)).all()
    engine.dispose()
    return [tuple(row) for row in found]


def test_a_long_list_of_stages_runs(tmp_path: Path) -> None:
    """More time-dependent stages than are kept apart: every flip counts, and nothing breaks."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'wide.db'}")
    world.fill(engine, world.random_rows(random.Random(2), 30))
    rules = [
        (f"S{i}", condition(f"days_since(registered_at) between {i} and {i + 2}", SCOPE))
        for i in range(3, 60, 3)
    ]
    winner, due = first_match(world.compiler(), [*rules, ("rest", condition("true", SCOPE))])
    parameters = world.parameters(world.NOW, dict.fromkeys(world.FAMILIES, world.NOW))
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(world.TABLE.c.registered_at, winner, due), parameters
        ).all()
    engine.dispose()
    for registered_at, stage, due_at in rows:
        age = world.NOW - registered_at
        first = next((i for i in range(3, 60, 3) if i <= age / world.DAY <= i + 2), None)
        assert stage == ("rest" if first is None else f"S{first}")
        edges = [registered_at + i * world.DAY for i in range(3, 60, 3)]
        edges += [registered_at + (i + 2) * world.DAY + 1 for i in range(3, 60, 3)]
        assert due_at == min(edge for edge in edges if edge > world.NOW)
