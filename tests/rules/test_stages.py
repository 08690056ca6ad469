"""The shipped stages over every combination of the facts they read: exactly one stage each.

What is expected is written from the table of stages (domain §3) and decision 0015, in plain Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice, product
from typing import Any

import pytest
import sqlalchemy as sa

from config import yaml_file
from config.settings import DEFAULT_RULES
from mapping.facts import FACTS, FAMILIES
from mapping.rules import FactType
from mapping.ruleset import RuleSet, load
from mapping.words import KycStatus
from state.evaluate import parameters
from state.rules_due import first_match
from state.rules_sql import RuleCompiler

HOUR = 3_600_000
DAY = 24 * HOUR
NOW = 1_775_000_000_000
ALL: dict[str, tuple[Any, ...]] = {
    "disposition": ("open", "self_excluded"),
    "kyc_status": tuple(s.value for s in KycStatus),
    "deposits": (0, 1, 2),
    "last_attempt_outcome": ("none", "succeeded", "failed"),
    "chargebacks_open": (0, 1),
    "open_risk_flags": (0, 1),
    # none, open, settled just within a week, settled a week ago to the millisecond
    "withdrawal": ((None, None), (NOW - DAY, None), (NOW - 9 * DAY, NOW - 7 * DAY + 1),
                   (NOW - 9 * DAY, NOW - 7 * DAY)),
    "high_value_at": (None, NOW - DAY),
    "open_positions": (0, 1),
    "last_deposit_at": (None, NOW - 30 * DAY + 1, NOW - 30 * DAY),
    # no trade, one day seven days ago and a little less, several days
    "trades": ((0, None), (1, NOW - 7 * DAY), (1, NOW - 7 * DAY + 1), (2, NOW - 40 * DAY)),
    "trade_window_ends_at": (None, NOW, NOW + 1),
}  # fmt: skip
PAIRS = {"withdrawal": ("first_withdrawal_at", "first_withdrawal_settled_at"),
         "trades": ("trading_days", "first_trade_at")}  # fmt: skip
UNFUNDED = {"LS1", "LS2", "LS3", "LS4"}
_TEXTS = {FactType.TEXT, FactType.ENUM}


def combinations() -> Iterator[dict[str, Any]]:
    """A row for each combination; a trade is as old as the first one."""
    names = list(ALL)
    for values in product(*ALL.values()):
        row: dict[str, Any] = {"registered_at": NOW - 90 * DAY}
        for name, value in zip(names, values, strict=True):
            if name in PAIRS:
                row |= dict(zip(PAIRS[name], value, strict=True))
            else:
                row[name] = value
        yield row | {"last_trade_at": row["first_trade_at"]}


def expected(row: dict[str, Any]) -> str:
    """The stage by the domain's words, its order included."""
    funded = row["deposits"] > 0
    events = [row["registered_at"], row["last_deposit_at"], row["last_trade_at"]]
    quiet = NOW - max(at for at in events if at is not None)
    active = row["open_positions"] > 0 or quiet < 30 * DAY
    asked, settled = row["first_withdrawal_at"], row["first_withdrawal_settled_at"]
    window = row["trade_window_ends_at"]
    answers = {
        "LS0": row["disposition"] != "open" or row["kyc_status"] == "rejected_final",
        "LS12": row["chargebacks_open"] > 0 or row["open_risk_flags"] > 0,
        "LS8": asked is not None and (settled is None or NOW - settled < 7 * DAY),
        "LS11": row["high_value_at"] is not None and active,
        "LS10": funded and not active,
        "LS7": row["trading_days"] == 1 and NOW - row["first_trade_at"] >= 7 * DAY,
        "LS6": funded and row["trading_days"] == 0 and window is not None and window <= NOW,
        "LS9": row["deposits"] >= 2,
        "LS5": funded,
        "LS4": row["last_attempt_outcome"] == "failed",
        "LS3": row["kyc_status"] == "approved",
        "LS2": row["kyc_status"] != "not_started",
        "LS1": True,
    }
    return next(stage for stage, holds in answers.items() if holds)


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    """The shipped ones, everything connected."""
    return load(yaml_file.read(DEFAULT_RULES).data, FAMILIES, 2)


def table(rules: RuleSet) -> sa.Table:
    """One column for each fact a stage reads."""
    read = sorted({name for s in rules.stages for name in s.when.facts})
    columns: list[sa.Column[Any]] = [
        sa.Column(n, sa.Text if FACTS[n].type in _TEXTS else sa.BigInteger) for n in read
    ]
    return sa.Table("combination", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
                    *columns, prefixes=["TEMPORARY"])  # fmt: skip


def judged(
    engine: sa.Engine, rules: RuleSet, rows: list[dict[str, Any]]
) -> tuple[list[str | None], list[int]]:  # fmt: skip
    """Each row's stage; and of how many stages' own rules it is, first or not."""
    combination = table(rules)
    read = {c.name for c in combination.columns} - {"id"}
    assert read <= rows[0].keys(), read - rows[0].keys()
    compiler = RuleCompiler(
        lambda name: combination.c[name],
        sa.bindparam("now", type_=sa.BigInteger),
        lambda family: sa.bindparam(f"horizon_{family}", type_=sa.BigInteger),
    )
    winner, _ = first_match(compiler, [(s.id, s.when) for s in rules.stages])
    holds = sum((compiler.condition(s.when) for s in rules.stages), start=sa.literal(0))
    values = parameters(NOW, dict.fromkeys(FAMILIES, NOW), FAMILIES)
    with engine.begin() as connection:
        combination.create(connection)
        for n in range(0, len(rows), 20_000):
            part = [{"id": n + i, **{k: row[k] for k in read}}
                    for i, row in enumerate(rows[n : n + 20_000])]  # fmt: skip
            connection.execute(sa.insert(combination), part)
        query = sa.select(winner, holds).order_by(combination.c.id)
        found = connection.execute(query, values).all()
        combination.drop(connection)
    return [stage for stage, _ in found], [count for _, count in found]


def check(engine: sa.Engine, rules: RuleSet, rows: list[dict[str, Any]]) -> Counter[str | None]:
    """Every row has the stage expected of it."""
    stages, counts = judged(engine, rules, rows)
    assert min(counts) >= 1, "a client without a stage"
    wrong = [(row, stage) for row, stage in zip(rows, stages, strict=True)
             if stage != expected(row)]  # fmt: skip
    assert wrong[:3] == []
    funded = {stage for row, stage in zip(rows, stages, strict=True) if row["deposits"] > 0}
    assert not funded & UNFUNDED, "a funded client among those who are not"
    return Counter(stages)


def test_every_combination_has_exactly_one_stage(rules: RuleSet) -> None:
    engine = sa.create_engine("sqlite://")
    rows, seen, total = combinations(), Counter[str | None](), 0
    while part := list(islice(rows, 100_000)):
        seen += check(engine, rules, part)
        total += len(part)
    size = 1
    for values in ALL.values():
        size *= len(values)
    assert total == size == sum(seen.values())
    assert set(seen) == {s.id for s in rules.stages}, "a stage nobody is in"
    engine.dispose()


def test_the_same_on_postgresql(rules: RuleSet, postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    check(engine, rules, list(islice(combinations(), 0, None, 97)))
    engine.dispose()
