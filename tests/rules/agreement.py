"""The same rules over the same rows on SQLite, on PostgreSQL and by the oracle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mapping.rules import Expr
from mapping.rules.errors import Source
from mapping.rules.parser import parse
from tests.rules import world
from tests.rules.generator import DEFINITIONS
from tests.rules.oracle import Moment, Oracle

_BATCH = 20


@dataclass
class Tally:
    """What a comparison found; ``examples`` holds the first few differences."""

    answers: int = 0
    engines_differ: int = 0
    oracle_differs: int = 0
    due_differs: int = 0
    yes: int = 0
    blank: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if len(self.examples) < 5:
            self.examples.append(text)


def oracle(now: int, horizons: Mapping[str, int]) -> Oracle:
    """The oracle over the test world's facts and definitions."""
    return Oracle(
        kinds={name: str(fact.type) for name, fact in world.FACTS.items()},
        families={name: fact.family for name, fact in world.FACTS.items()},
        definitions={name: parse(Source(text)) for name, text in DEFINITIONS.items()},
        now=now,
        horizons=horizons,
    )


def answers(
    connections: Sequence[sa.Connection],
    exprs: Sequence[Expr],
    now: int,
    horizons: Mapping[str, int],
) -> Iterator[list[tuple[list[Any], list[int]]]]:
    """For each rule, by connection: its values, and for every third its due moments, by row."""
    compiler, parameters = world.compiler(), world.parameters(now, horizons)
    for start in range(0, len(exprs), _BATCH):
        batch = exprs[start : start + _BATCH]
        columns: list[Any] = [compiler.value(expr) for expr in batch]
        timed = [i for i in range(len(batch)) if (start + i) % 3 == 2]
        columns += [compiler.due(batch[i]) for i in timed]
        labelled = [column.label(f"c{i}") for i, column in enumerate(columns)]
        statement = sa.select(*labelled).order_by(world.TABLE.c.id)
        found = [
            list(zip(*connection.execute(statement, parameters).all(), strict=True))
            for connection in connections
        ]
        for i in range(len(batch)):
            due = len(batch) + timed.index(i) if i in timed else None
            yield [
                (list(by_column[i]), [] if due is None else list(by_column[due]))
                for by_column in found
            ]


def compare(
    exprs: Sequence[Expr],
    rows: Sequence[Mapping[str, Any]],
    sqlite: sa.Engine,
    postgres: sa.Engine,
    now: int,
    horizons: Mapping[str, int],
) -> Tally:
    """Evaluate everything three ways. The tables must hold ``rows`` already."""
    tally, judge = Tally(), oracle(now, horizons)
    user_rows = judge.rows(rows)
    with sqlite.connect() as one, postgres.connect() as two:
        # Each statement is used once: keeping it in a cache would only cost.
        uncached = [c.execution_options(compiled_cache=None) for c in (one, two)]
        found = zip(exprs, answers(uncached, exprs, now, horizons), strict=True)
        for expr, ((values, dues), (values_2, dues_2)) in found:
            meaning = judge.meaning(parse(Source(expr.text)))
            tally.due_differs += sum(a != b for a, b in zip(dues, dues_2, strict=True))
            for row, a, b in zip(user_rows, values, values_2, strict=True):
                expected = _stored(expr, meaning(row))
                tally.answers += 1
                tally.yes += a == 1
                tally.blank += a is None
                tally.engines_differ += a != b
                if a != expected:
                    tally.oracle_differs += 1
                    tally.note(f"{expr.text}\n row {row['id']}: {a!r}, expected {expected!r}")
                elif a != b:
                    tally.note(f"{expr.text}\n row {row['id']}: SQLite {a!r}, PostgreSQL {b!r}")
    return tally


def _stored(expr: Expr, meant: Any) -> Any:
    """The oracle's value in stored units."""
    if isinstance(meant, bool):
        return int(meant)
    if isinstance(meant, Moment):
        return meant.ms
    if meant is None or isinstance(meant, str | float):
        return meant
    return meant * expr.root.type.scale
