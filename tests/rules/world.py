"""Facts like the shipped ones, random client rows with many blanks, and a table to put them in."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mapping.rules import Fact, FactType
from state.rules_sql import RuleCompiler

F = FactType
DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
NOW = 1_790_000_000_000  # 2026-09-21, an odd minute on purpose
KYC = (
    "not_started", "started", "submitted", "in_review", "rejected_retry", "rejected_final",
    "approved", "expired", "reset", "withdrawn",
)  # fmt: skip


def _time(name: str, family: str, nullable: bool = True) -> Fact:
    return Fact(name, F.TIME, family, nullable=nullable)


_DECLARED = [
    _time("registered_at", "registry", nullable=False),
    Fact(
        "disposition", F.ENUM, "registry",
        values=("open", "closed", "self_excluded", "deceased", "banned"),
    ),
    _time("disposition_at", "registry"),
    Fact("source_type", F.TEXT, "registry"),
    Fact("campaign", F.TEXT, "registry", nullable=True),
    Fact("kyc_status", F.ENUM, "kyc", values=KYC),
    _time("kyc_step_at", "kyc"),
    _time("kyc_status_at", "kyc"),
    _time("kyc_approved_at", "kyc"),
    Fact("deposit_attempts", F.COUNT, "psp"),
    Fact("deposits", F.COUNT, "psp"),
    _time("first_attempt_at", "psp"),
    _time("first_deposit_at", "psp"),
    _time("second_deposit_at", "psp"),
    _time("last_deposit_at", "psp"),
    Fact("last_attempt_outcome", F.ENUM, "psp", values=("none", "succeeded", "failed")),
    _time("last_attempt_ended_at", "psp"),
    Fact("total_deposits", F.MONEY, "psp", nullable=True),
    Fact("refunds_chargebacks", F.MONEY, "psp", nullable=True),
    Fact("withdrawals", F.COUNT, "psp"),
    _time("first_withdrawal_at", "psp"),
    _time("first_withdrawal_settled_at", "psp"),
    _time("last_withdrawal_paid_at", "psp"),
    Fact("chargebacks_open", F.COUNT, "psp"),
    _time("chargeback_open_at", "psp"),
    Fact("volume", F.LOTS, "trading", nullable=True),
    Fact("answered_in", F.DURATION, "trading", nullable=True),
    Fact("blocked_by_kyc", F.BOOL, "psp"),
    Fact("duplicate", F.BOOL, "registry"),
]  # fmt: skip
FACTS: Mapping[str, Fact] = {fact.name: fact for fact in _DECLARED}
FAMILIES = ("registry", "kyc", "psp", "trading")

_COLUMNS = {F.BOOL: sa.Boolean, F.ENUM: sa.String, F.TEXT: sa.String, F.COUNT: sa.Integer}
TABLE = sa.Table(
    "facts",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    *[
        sa.Column(fact.name, _COLUMNS.get(fact.type, sa.BigInteger), nullable=fact.nullable)
        for fact in _DECLARED
    ],
)
TEXTS = ("", "call_request", "referral", "Ünïcode 'quoted'", "a%b_c", "CALL_REQUEST", "再入金")


def random_value(rng: random.Random, fact: Fact) -> Any:
    """A value of the fact; 40 % of what may be blank is."""
    if fact.nullable and rng.random() < 0.4:
        return None
    match fact.type:
        case F.BOOL:
            return rng.random() < 0.4
        case F.ENUM:
            return rng.choice(fact.values)
        case F.TEXT:
            return rng.choice(TEXTS)
        case F.COUNT:
            return rng.choice((0, 0, 1, 2, 3, 7, 40))
        case F.MONEY:
            return rng.choice((0, 1, 10_000, 50_000, 1_000_000, rng.randrange(-(10**6), 10**8)))
        case F.LOTS:
            return rng.choice((0, 10_000, 12_500, rng.randrange(10**6)))
        case F.DURATION:
            return rng.choice((0, HOUR, 24 * HOUR, rng.randrange(10 * DAY)))
    # Times cluster near now and on the round distances that rules ask for.
    if rng.random() < 0.3:
        return NOW - rng.choice((0, 10 * MINUTE, HOUR, 4 * HOUR, DAY, 7 * DAY, 14 * DAY))
    return NOW - rng.randrange(-3 * DAY, rng.choice((2 * HOUR, 3 * DAY, 30 * DAY)))


def random_rows(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Client rows with an ``id``; blanks are independent of each other."""
    return [
        {"id": i} | {name: random_value(rng, fact) for name, fact in FACTS.items()}
        for i in range(count)
    ]


def fill(engine: sa.Engine, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put the rows into a fresh fact table."""
    TABLE.metadata.drop_all(engine)
    TABLE.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(TABLE), [dict(row) for row in rows])


def compiler(
    now: sa.ColumnElement[Any] | None = None,
    horizons: Mapping[str, sa.ColumnElement[Any]] | None = None,
) -> RuleCompiler:
    """A compiler over the table; now and horizons are bind parameters unless given."""
    given = horizons or {}
    return RuleCompiler(
        column=lambda name: TABLE.c[name],
        now=sa.bindparam("now", type_=sa.BigInteger) if now is None else now,
        horizon=lambda family: given.get(
            family, sa.bindparam(f"horizon_{family}", type_=sa.BigInteger)
        ),
    )


def parameters(now: int, horizons: Mapping[str, int]) -> dict[str, int]:
    """The bind values of ``compiler()``."""
    return {"now": now} | {f"horizon_{family}": horizons[family] for family in FAMILIES}
