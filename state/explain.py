"""What lies behind one client: facts, conditions with their answers, records and history."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import and_, or_, select
from sqlalchemy.engine import Connection

from mapping.facts import FAMILIES
from mapping.money import Money
from mapping.rules import Expr
from mapping.ruleset import RuleSet
from state import facts_sql, schema
from state.evaluate import Evaluated, evaluator, fact_compiler, parameters
from state.fact_calendar import Figures
from state.fact_views import work
from state.schema import NEVER
from state.staging import fresh


def find(connection: Connection, text: str) -> list[tuple[str, str]]:
    """Clients an admin may mean: ``brand:client_id``, a bare client id, or an e-mail address."""
    c = schema.client
    brand, _, client_id = text.partition(":")
    wanted = or_(
        and_(c.c.brand == brand, c.c.external_id == client_id),
        c.c.external_id == text,
        and_(c.c.email_norm == text.strip().lower(), c.c.email_norm != ""),
    )
    query = select(c.c.brand, c.c.external_id).where(wanted).order_by(c.c.brand, c.c.external_id)
    return [(b, i) for b, i in connection.execute(query)]


def profile(connection: Connection, brand: str, client_id: str) -> dict[str, Any] | None:
    """The stored profile; None if the client has none (merged, or not computed yet)."""
    p = schema.profile
    query = select(p).where(p.c.brand == brand, p.c.client_id == client_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return {**row, "states": json.loads(row["states"])}


def merged_into(connection: Connection, brand: str, client_id: str) -> str:
    """The client this one was merged into, blank if none."""
    link = schema.identity_link
    query = select(link.c.client_id).where(
        link.c.brand == brand, link.c.kind == "client_id", link.c.value == client_id
    )
    target = connection.scalar(query)
    return target if target and target != client_id else ""


def facts(connection: Connection, brand: str, client_id: str) -> dict[str, Any]:
    """The client's facts."""
    f = schema.fact
    query = select(f).where(f.c.brand == brand, f.c.client_id == client_id)
    row = connection.execute(query).mappings().first()
    return dict(row) if row else {}


def answers(
    connection: Connection,
    brand: str,
    client_id: str,
    exprs: Sequence[Expr],
    now: int,
    horizons: Mapping[str, int],
) -> list[bool]:
    """Whether each condition holds for the client at ``now``."""  # fmt: skip
    if not exprs:
        return []
    compiler, f = fact_compiler(), schema.fact
    columns = [compiler.condition(e).label(f"c{n}") for n, e in enumerate(exprs)]
    query = select(*columns).where(f.c.brand == brand, f.c.client_id == client_id)
    row = connection.execute(query, parameters(now, horizons, FAMILIES)).first()
    return [bool(v) for v in row] if row else []


def at_instant(
    connection: Connection,
    rules: RuleSet,
    brand: str,
    client_id: str,
    now: int,
    horizons: Mapping[str, int],
    figures: Figures,
) -> Evaluated | None:
    """The client at ``now`` if nothing else happened. The caller takes it back."""
    fresh(connection, work)
    connection.execute(sa.insert(work).values(brand=brand, client_id=client_id))
    facts_sql.compute(connection, brand, min(now, horizons.get("psp", 0)), figures)
    return next(evaluator(rules).rows(connection, brand, now, horizons), None)


def facts_due(connection: Connection, brand: str, client_id: str) -> int:
    """When time alone next changes a fact (an attempt that will count as abandoned)."""
    f = schema.fact
    query = select(f.c.facts_due_at).where(f.c.brand == brand, f.c.client_id == client_id)
    return int(connection.scalar(query) or NEVER)


def records(connection: Connection, brand: str, client_id: str) -> list[dict[str, Any]]:
    """Current records of the client, oldest first: kind, source, id, what it says, when."""
    found = []
    for kind, table in (("profile", schema.client), *schema.CURRENT.items()):
        if kind not in _SAYS:
            continue  # a partner is nobody's record
        key = table.c.external_id if kind == "profile" else table.c.client_id
        query = select(table).where(table.c.brand == brand, key == client_id)
        found += [_record(kind, dict(row)) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda r: (r["at"] or 0, r["id"]))


_TIMES = ("status_at", "at", "opened_at", "last_at", "registered_at")


def _record(kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    at = next(
        (
            row[n]
            for n in ("status_at", "at", "opened_at", "last_at", "registered_at")
            if row.get(n)
        ),
        None,
    )
    return {
        "kind": kind, "source": row["source"], "id": row["external_id"],
        "says": "gone" if row["deleted"] else _SAYS[kind](row), "at": at,
        "version_at": row["version_at"],
    }  # fmt: skip


def _money(row: Mapping[str, Any], minor: str) -> str:
    return "" if row[minor] is None else str(Money(row[minor], row["currency"]))


def _note(text: str, blank: str = "none") -> str:
    return "" if text in ("", blank) else f", {text}"


_SAYS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "profile": lambda r: f"registered, {r['disposition']}",
    "link": lambda r: f"{r['name_kind']} {r['name']}",
    "trading_account": lambda r: f"{r['account_class']} account in {r['currency']}",
    "kyc_case": lambda r: f"{r['status']}, attempt {r['attempt']}{_note(r['reason'])}",
    "payment": lambda r: (
        f"{r['direction']} {r['status']} {r['amount_text']} {r['method']}{_note(r['decline'])}"
    ),
    "movement": lambda r: f"{r['movement']} {r['status']} of payment {r['payment_id']}",
    "trading_day": lambda r: f"traded on {r['day']}: {r['groups']}",
    "ledger_entry": lambda r: f"{r['entry']} {_money(r, 'amount_minor')} on {r['account']}",
    "balance": lambda r: f"{_money(r, 'balance_minor')}, {r['open_positions']} open positions",
    "attribution": lambda r: f"affiliate {r['affiliate_id']}{_note(r['sub_id'])}",
    "payout": lambda r: (
        f"{r['plan']} {r['status']} {_money(r, 'amount_minor')} to {r['affiliate_id']}"
    ),
    "risk_flag": lambda r: f"{r['risk']} {'open' if r['open'] else 'cleared'}{_note(r['reason'])}",
    "ticket": lambda r: (
        f"{r['category']} ticket {r['status']}{', a complaint' if r['complaint'] else ''}"
    ),
}


def history(connection: Connection, brand: str, client_id: str) -> list[dict[str, Any]]:
    """Stage changes, latest first."""
    h = schema.stage_history
    query = (
        select(h.c.stage, h.c.effective_at, h.c.observed_at, h.c.rule_version, h.c.run)
        .where(h.c.brand == brand, h.c.client_id == client_id)
        .order_by(h.c.id.desc())
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def one_of_each_stage(connection: Connection, limit: int) -> list[tuple[str, str, str]]:
    """(stage, brand, client id) examples, one a stage."""
    p = schema.profile
    query = (
        select(p.c.stage, sa.func.min(p.c.brand + ":" + p.c.client_id))
        .group_by(p.c.stage)
        .order_by(p.c.stage)
        .limit(limit)
    )
    return [(s, *k.split(":", 1)) for s, k in connection.execute(query)]
