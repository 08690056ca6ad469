"""Rules over facts: one statement answers stage, states, due time and fields for a work list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, and_, bindparam, case, select
from sqlalchemy.engine import Connection

from mapping.facts import FAMILIES
from mapping.rules import Expr
from mapping.ruleset import RuleSet
from state import schema
from state.fact_views import listed, work
from state.rules_due import earliest_due, first_match
from state.rules_sql import RuleCompiler

_f, _c, _p, _l = schema.fact, schema.client, schema.profile, schema.identity_link


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One client as the rules see it now, beside what was stored before.

    ``states`` maps ids to their effective begin (ms); ``sooner`` holds ids whose shorter term
    applies, ``instead`` those of another team, ``counts_from`` the instant (ms) a term counts from
    where it is not the begin; ``fields`` maps property to the raw value; ``was_*`` is the stored
    profile.
    """

    brand: str
    client_id: str
    stage: str
    stage_since: int | None
    states: Mapping[str, int]
    sooner: frozenset[str]
    instead: frozenset[str]
    counts_from: Mapping[str, int | None]
    due_at: int
    fields: Mapping[str, Any]
    country: str
    registered_at: int
    identity: Mapping[str, str]
    was_stage: str | None
    was_since: int | None
    create: bool = True


class Evaluator:
    """A rule set compiled for one brand; built once a run, used for every batch."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.families = sorted({f for e in _expressions(rules) for f in e.families} | set(FAMILIES))
        self.compiler = fact_compiler()
        self._statement = self._build()

    def _build(self) -> sa.Select[Any]:
        rules, compiler = self.rules, self.compiler
        stage, stage_due = first_match(compiler, [(s.id, s.when) for s in rules.stages])
        since = case(
            *[(stage == s.id, compiler.value(s.since)) for s in rules.stages], else_=sa.null()
        )
        dues = [stage_due, *[compiler.due(s.when) for s in rules.states]]
        dues += [compiler.due(f.expr) for f in rules.fields if f.expr is not None]
        columns: list[Any] = [stage.label("stage"), since.label("since")]
        if rules.create is not None:
            columns.append(compiler.condition(rules.create).label("may_create"))
            dues.append(compiler.due(rules.create))
        for s in rules.states:
            holds = compiler.condition(s.when)
            columns.append(case((holds == 1, compiler.value(s.since))).label(f"begin_{s.id}"))
            columns.append(holds.label(f"holds_{s.id}"))
            if s.sooner is not None:
                columns.append(compiler.condition(s.sooner.when).label(f"sooner_{s.id}"))
            if s.instead is not None:
                columns.append(compiler.condition(s.instead.when).label(f"instead_{s.id}"))
            if s.counts_from is not None:
                columns.append(compiler.value(s.counts_from).label(f"from_{s.id}"))
        columns += [
            compiler.value(f.expr).label(f"field_{f.property}")
            for f in rules.fields
            if f.expr is not None
        ]
        columns.append(earliest_due(dues).label("due"))
        return self._from(columns)

    def _from(self, columns: list[Any]) -> sa.Select[Any]:
        mine = listed(work.c.brand == bindparam("brand"))
        joined = (
            mine.join(_f, and_(_f.c.brand == mine.c.brand, _f.c.client_id == mine.c.client_id))
            .join(_c, and_(_c.c.brand == _f.c.brand, _c.c.external_id == _f.c.client_id))
            .join(
                _l,
                and_(
                    _l.c.brand == _f.c.brand, _l.c.kind == "client_id",
                    _l.c.value == _f.c.client_id, _l.c.client_id == _f.c.client_id,
                ),
            )
            .outerjoin(_p, and_(_p.c.brand == _f.c.brand, _p.c.client_id == _f.c.client_id))
        )  # fmt: skip
        identity = [_c.c.email_norm, _c.c.first_name, _c.c.last_name, _c.c.phone]
        return (
            select(
                _f.c.client_id, *columns, _f.c.country, _f.c.registered_at, *identity,
                _p.c.stage.label("was_stage"), _p.c.stage_since.label("was_since"),
            )
            .select_from(joined)
            .order_by(_f.c.client_id)
        )  # fmt: skip

    def rows(
        self, connection: Connection, brand: str, now: int, horizons: Mapping[str, int]
    ) -> Iterator[Evaluated]:
        """Evaluate the clients of ``brand`` on the work list at ``now`` (ms)."""
        values = parameters(now, horizons, self.families) | {"brand": brand}
        for row in connection.execute(self._statement, values).mappings():
            yield self._evaluated(brand, dict(row))

    def _evaluated(self, brand: str, row: Mapping[str, Any]) -> Evaluated:
        states = self.rules.states
        return Evaluated(
            brand=brand,
            client_id=row["client_id"],
            stage=row["stage"],
            stage_since=row["since"],
            states={
                s.id: begin if (begin := row[f"begin_{s.id}"]) is not None else 0
                for s in states
                if row[f"holds_{s.id}"]
            },
            sooner=frozenset(s.id for s in states if s.sooner and row[f"sooner_{s.id}"]),
            instead=frozenset(s.id for s in states if s.instead and row[f"instead_{s.id}"]),
            counts_from={s.id: row[f"from_{s.id}"] for s in states if s.counts_from},
            due_at=row["due"],
            fields={
                f.property: row[f"field_{f.property}"]
                for f in self.rules.fields
                if f.expr is not None
            },
            country=row["country"],
            registered_at=row["registered_at"],
            identity={
                "client.email": row["email_norm"], "client.first_name": row["first_name"],
                "client.last_name": row["last_name"], "client.phone": row["phone"],
            },
            was_stage=row["was_stage"],
            was_since=row["was_since"],
            create=bool(row.get("may_create", True)),
        )  # fmt: skip


_EVALUATORS: dict[str, Evaluator] = {}


def evaluator(rules: RuleSet) -> Evaluator:
    """The compiled rule set; building the statement costs more than a small sync."""
    found = _EVALUATORS.get(rules.digest)
    if found is None:
        found = _EVALUATORS[rules.digest] = Evaluator(rules)
    return found


def fact_compiler() -> RuleCompiler:
    """A compiler over the fact table's columns."""
    return RuleCompiler(
        column=lambda name: _f.c[name],
        now=bindparam("now", type_=BigInteger),
        horizon=lambda family: bindparam(f"horizon_{family}", type_=BigInteger),
    )


def parameters(now: int, horizons: Mapping[str, int], families: list[str]) -> dict[str, int]:
    """Bind values: a family's horizon is ``now`` at most; one never complete stands at 0."""
    return {"now": now} | {f"horizon_{f}": min(now, horizons.get(f, 0)) for f in families}


def _expressions(rules: RuleSet) -> Iterator[Expr]:
    for s in rules.stages:
        yield s.when
        yield s.since
    for state in rules.states:
        yield from state.expressions
    if rules.create is not None:
        yield rules.create
    for f in rules.fields:
        if f.expr is not None:
            yield f.expr
