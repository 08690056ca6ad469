"""The lint knows every rule whose answer depends on what a blank means under a negation."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mapping.rules import Scope, condition, lint
from mapping.rules import tree as t
from state.rules_sql import RuleCompiler
from tests.rules import world
from tests.rules.generator import DEFINITIONS, Generator, accepted

SCOPE = Scope(world.FACTS, DEFINITIONS)


class ThreeValued(RuleCompiler):
    """What a database makes of the same rules: the negation of an unknown is unknown."""

    def no(self, node: t.Node) -> sa.ColumnElement[Any]:
        tests = t.Compare | t.Between | t.Member | t.Passed | t.TextTest
        return sa.not_(self._test(node)) if isinstance(node, tests) else super().no(node)


def test_every_rule_that_three_values_would_change_is_warned_of(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'lint.db'}")
    world.fill(engine, world.random_rows(random.Random(8), 200))
    generator, ours = Generator(8), world.compiler()
    theirs = ThreeValued(world.TABLE.c.__getitem__, ours.clock(()), lambda _: ours.clock(()))
    ours = RuleCompiler(world.TABLE.c.__getitem__, ours.clock(()), lambda _: theirs.clock(()))
    warned = depends = 0
    with engine.connect() as connection:
        for _ in range(400):
            expr = accepted(lambda: condition(generator.condition(2), SCOPE))
            differs = sa.func.sum(
                sa.case((ours.condition(expr) != theirs.condition(expr), 1), else_=0)
            )
            changed = connection.scalar(sa.select(differs), {"now": world.NOW})
            warned += bool(lint(expr))
            depends += bool(changed)
            assert not changed or lint(expr), expr.text
    engine.dispose()
    assert depends > 50
    assert warned < 2.5 * depends
