"""Random rules: SQLite, PostgreSQL and an independent oracle give the same answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mapping.rules import Expr, Scope, condition, instant, value
from tests.rules import world
from tests.rules.agreement import Tally, compare
from tests.rules.generator import DEFINITIONS, Generator, accepted

SCOPE = Scope(world.FACTS, DEFINITIONS)
# Each source was last complete at another moment: the horizons of rules must not be mixed up.
HORIZONS = {
    "registry": world.NOW,
    "kyc": world.NOW - 3 * world.HOUR,
    "psp": world.NOW - 25 * world.MINUTE,
    "trading": world.NOW - 2 * world.DAY,
}


@pytest.fixture
def engines(tmp_path: Path, postgres_url: str) -> Iterator[tuple[sa.Engine, sa.Engine]]:
    """A SQLite file and a PostgreSQL database."""
    made = sa.create_engine(f"sqlite:///{tmp_path / 'rules.db'}"), sa.create_engine(postgres_url)
    yield made
    for engine in made:
        engine.dispose()


def random_exprs(seed: int, count: int) -> list[Expr]:
    """Nine conditions in ten; the rest instants and values. A third leans to elapsed time."""
    generators = [Generator(seed), Generator(seed + 1), Generator(seed + 2, timely=True)]
    found: list[Expr] = []
    for i in range(count):
        draw = generators[i % 3]
        if i % 20 == 0:
            found.append(accepted(lambda g=draw: instant(g.time(2), SCOPE)))  # type: ignore[misc]
        elif i % 20 == 10:
            found.append(accepted(lambda g=draw: value(g.value(), SCOPE)))  # type: ignore[misc]
        else:
            found.append(accepted(lambda g=draw: condition(g.condition(3), SCOPE)))  # type: ignore[misc]
    return found


def agree(engines: tuple[sa.Engine, sa.Engine], seed: int, rules: int, rows: int) -> Tally:
    """Fill both databases, compare three ways, require no difference."""
    clients = world.random_rows(random.Random(seed), rows)
    for engine in engines:
        world.fill(engine, clients)
    tally = compare(random_exprs(seed, rules), clients, *engines, world.NOW, HORIZONS)
    assert tally.answers == rules * rows
    assert not tally.examples, "\n".join(tally.examples)
    assert (tally.engines_differ, tally.oracle_differs, tally.due_differs) == (0, 0, 0)
    # The rules must be worth asking: neither all yes nor all no, and some values blank.
    assert 0.2 * tally.answers < tally.yes < 0.8 * tally.answers
    assert tally.blank > 0
    return tally


def test_a_thousand_rules_have_one_meaning(engines: tuple[sa.Engine, sa.Engine]) -> None:
    agree(engines, seed=20_261_101, rules=1_000, rows=300)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_five_thousand_rules_have_one_meaning(engines: tuple[sa.Engine, sa.Engine]) -> None:
    agree(engines, seed=4_711, rules=5_000, rows=500)
