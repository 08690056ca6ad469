"""Facts of other tables than the payments: trading, bookings, affiliates, flags, tickets.

Each side reads the rows of the work list's clients and leaves one row a client.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, and_, bindparam, case, func, or_, select

from mapping.facts_more import TICKET_DAYS_MS, TICKETS, WINDOW_MS
from state import schema
from state.fact_payments import PAID
from state.fact_views import (
    NUMBERED,
    Side,
    View,
    aggregates,
    is_one_of,
    near,
    of_mine,
    same,
    side,
)
from state.linking import BLANK
from state.rules_elements import Hint, Least
from state.schema import NEVER

_LIVE = ("real", "cent")
_UNRESOLVED = ("new", "open", "pending", "on_hold")
_BEHAVIOUR = ("suspicious_pattern", "bonus_abuse", "exposure")


def recent(at: Any) -> Any:
    """Whether an instant is within the window, which ends where payments are complete."""
    return at > bindparam("psp_horizon", type_=BigInteger) - WINDOW_MS


def _grouped(name: str, view: View, rows: Any, *also: Any, only: Any = True) -> sa.Select[Any]:
    """One row a client: a view's facts over its current records.

    Along the clients' numbers, by an outer join, which SQLite does not reorder: so nothing has to
    be sorted to be grouped. Clients without a record are left out at the end; PostgreSQL is told
    that they do not matter.

    Args:
        only: which of the records count.
    """
    here = NUMBERED
    there = and_(of_mine(rows), rows.c.deleted == 0, only)
    return (
        select(here.c.nr, *aggregates(name, view), *also)
        .select_from(here.outerjoin(rows, there))
        .where(Hint(rows.c.client_id.is_not(None)))
        .group_by(here.c.nr)
        .having(func.count(rows.c.client_id) > 0)
    )


def _accounts() -> sa.Select[Any]:
    t = schema.trading_account
    return _grouped("account", View({}, {"live": is_one_of(t.c.account_class, _LIVE)}), t)


def _days() -> sa.Select[Any]:
    t = schema.trading_day
    # A day leaves the window with its last deal.
    view = View(dict(t.c), {"recent": recent(t.c.last_at)})
    leaves = func.min(t.c.last_at).filter(recent(t.c.last_at)) + WINDOW_MS
    traded = t.c.opened + t.c.closed > 0
    return _grouped("trading_day", view, t, leaves.label("leaves_at"), only=traded)


def _balances() -> sa.Select[Any]:
    t = schema.balance
    return _grouped("balance", View(dict(t.c)), t)


def _bookings() -> sa.Select[Any]:
    t = schema.ledger_entry
    bonus = t.c.entry == "bonus"
    flags = {"bonus": bonus, "granted": t.c.amount_minor > 0, "recent": recent(t.c.at)}
    leaves = func.min(t.c.at).filter(bonus, recent(t.c.at)) + WINDOW_MS
    return _grouped("ledger", View(dict(t.c), flags), t, leaves.label("leaves_at"))


def _payouts() -> sa.Select[Any]:
    t = schema.payout
    return _grouped("payout", View(dict(t.c), {"disputed": t.c.status == "disputed"}), t)


# --- paid and booked -----------------------------------------------------------------------------


def _pairs() -> sa.Select[Any]:
    """Deposits of the PSP and bookings on accounts, the n-th with the n-th of the same amount.

    Both are numbered in one list, and meet where they have the same number: a join of the two has
    no index to look into, and SQLite would read all of one for each of the other. Amounts of which
    there are as many of the ones as of the others, which are most, all meet.
    """
    r = sa.union_all(_paid(), _booked()).cte("either").prefix_with("MATERIALIZED").c
    alike = (r.nr, r.currency, r.amount_minor)
    uneven = select(*alike).group_by(*alike).having(2 * func.sum(r.booked) != func.count())
    n = func.row_number().over(partition_by=[*alike, r.booked], order_by=[r.at, r.name])
    among = sa.tuple_(*alike).in_(uneven)
    placed = select(*alike, r.booked, r.at, n.label("n")).where(among).subquery("placed").c
    key = (placed.nr, placed.currency, placed.amount_minor, placed.n)
    alone = (
        select(key[0], func.min(placed.at).label("at"),
               func.min(placed.booked).label("booked"))
        .group_by(*key)
        .having(func.count() == 1)
        .subquery("alone")
    ).c  # fmt: skip
    return select(
        alone.nr,
        func.min(alone.at).filter(alone.booked == 0), func.min(alone.at).filter(alone.booked == 1),
    ).group_by(alone.nr)  # fmt: skip


def _with_any(view: str) -> sa.CTE:
    """The clients who have a record of the view; most have none. See ``listed``."""
    having = BY_VIEW[view].table
    found = select(NUMBERED).select_from(having.join(NUMBERED, same(NUMBERED, having)))
    return found.cte(f"with_{view}").prefix_with("MATERIALIZED")


def _paid() -> sa.Select[Any]:
    """Succeeded deposits in currencies in which the client has an account, but for wires."""
    here, p, a = _with_any("account"), PAID, schema.trading_account
    kept = (
        select(here.c.nr, a.c.currency)
        .select_from(here.join(a, and_(same(a, here), near(a))))
        .where(a.c.deleted == 0, is_one_of(a.c.account_class, _LIVE))
        .distinct()
        .cte("kept")
        .prefix_with("MATERIALIZED")
    )
    return (
        _either(kept, p, p.c.name, _OF_PSP)
        .select_from(kept.join(p, and_(same(p, kept), p.c.currency == kept.c.currency)))
        .where(p.c.deposit == 1, p.c.status == "succeeded", p.c.psp != "ledger")
    )


def _booked() -> sa.Select[Any]:
    here, e = _with_any("ledger"), schema.ledger_entry
    return (
        _either(here, e, e.c.external_id, _OF_LEDGER)
        .select_from(here.join(e, and_(same(e, here), near(e))))
        .where(e.c.deleted == 0, e.c.entry == "deposit", e.c.amount_minor > 0)
    )


# Written out, not bound: an engine groups by them.
_OF_PSP: sa.ColumnElement[int] = sa.literal_column("0", sa.Integer)
_OF_LEDGER: sa.ColumnElement[int] = sa.literal_column("1", sa.Integer)


def _either(
    here: Any, rows: Any, name: Any, booked: sa.ColumnElement[int]
) -> sa.Select[Any]:  # fmt: skip
    return select(
        here.c.nr, rows.c.currency, rows.c.amount_minor, rows.c.at,
        name.label("name"), booked.label("booked"),
    )  # fmt: skip


# --- affiliates, flags, tickets -------------------------------------------------------------------


def _touches() -> sa.Select[Any]:
    """Attributions in the order in which the hub saw them, with the affiliate's partner record."""
    a, p, here = schema.attribution, schema.partner, NUMBERED
    # By the index over records without a client, which has this very condition: by the key, all
    # partners of a platform would be read for each attribution.
    partner = and_(
        p.c.brand == a.c.brand, p.c.client_id == BLANK, p.c.ref_kind == "partner",
        p.c.ref_value == a.c.affiliate_id, p.c.source == a.c.source, p.c.deleted == 0,
    )  # fmt: skip
    first_at = _first_at(a, "attribution", 0, "attributed")
    seen = (
        select(here.c.nr, a, p.c.plan, p.c.status, first_at.label("seen_at"))
        .select_from(here.join(a, of_mine(a)).outerjoin(p, partner))
        .where(a.c.deleted == 0)
        .subquery("seen")
    ).c
    ahead: Any = {"partition_by": seen.nr, "order_by": [seen.seen_at, seen.external_id]}
    rows = select(
        seen.nr, seen.affiliate_id, seen.sub_id, seen.at, seen.plan, seen.status,
        func.row_number().over(**ahead).label("place"),
        func.first_value(seen.affiliate_id).over(**ahead).label("first_id"),
    ).subquery("placed")  # fmt: skip
    flags = {"first": rows.c.place == 1, "other": rows.c.affiliate_id != rows.c.first_id}
    return (
        select(rows.c.nr, *aggregates("touch", View(dict(rows.c), flags)))
        .group_by(rows.c.nr)
    )  # fmt: skip


def _first_at(t: Any, kind: str, attempt: int, status: str) -> Any:
    """When a record first reached a status. Looked up row by row, however the rows are read."""
    m = schema.milestone
    at = select(m.c.first_at).where(
        m.c.source == t.c.source, m.c.kind == kind, m.c.external_id == t.c.external_id,
        m.c.attempt == attempt, m.c.status == status,
    )  # fmt: skip
    return at.scalar_subquery()


def _flags() -> sa.Select[Any]:
    t = schema.risk_flag
    opened = _first_at(t, "risk_flag", 0, "open")
    flags = {
        "open": t.c.open == 1,
        "behaviour": is_one_of(t.c.risk, _BEHAVIOUR),
        "duplicate": t.c.risk == "duplicate_account",
    }
    view = View({"open_at": func.coalesce(opened, t.c.at)}, flags)
    return _grouped("flag", view, t)


def _tickets() -> sa.Select[Any]:
    t, here = schema.ticket, NUMBERED
    client = here.c.nr
    order = [t.c.opened_at, t.c.external_id]
    ahead: Any = {"partition_by": client, "order_by": order}
    back: Any = {"partition_by": client, "order_by": [o.desc() for o in order]}
    rows = (
        select(
            client, t.c.opened_at, t.c.category, t.c.status, t.c.complaint,
            func.row_number().over(**back).label("place"),
            func.lag(t.c.opened_at, TICKETS - 1).over(**ahead).label("third_before"),
            func.lag(t.c.opened_at, TICKETS).over(**ahead).label("fourth_before"),
        )
        .select_from(here.join(t, of_mine(t)))
        .where(t.c.deleted == 0, t.c.status != "deleted")
        .subquery("numbered_tickets")
    )  # fmt: skip
    r = rows.c
    flags = {
        "unresolved": is_one_of(r.status, _UNRESOLVED),
        "complaint": r.complaint == 1,
        "fourth_last": r.place == TICKETS,
        # The state was not on just before: its last end is not behind this ticket.
        "begins_load": and_(
            r.opened_at - r.third_before < TICKET_DAYS_MS,
            or_(r.fourth_before.is_(None), r.opened_at - r.fourth_before >= TICKET_DAYS_MS),
        ),
    }
    return (
        select(r.nr, *aggregates("ticket", View(dict(rows.c), flags)))
        .group_by(r.nr)
    )  # fmt: skip


SIDES: tuple[Side, ...] = (
    side("side_account", ("account",), _accounts, schema.trading_account, read=True),
    side("side_day", ("trading_day",), _days, schema.trading_day, "leaves_at", read=True),
    side("side_balance", ("balance",), _balances, schema.balance),
    side("side_ledger", ("ledger",), _bookings, schema.ledger_entry, "leaves_at", read=True),
    side("side_pairs", ("uncredited", "unpaid"), _pairs, schema.trading_account),
    side("side_touch", ("touch",), _touches, schema.attribution),
    side("side_payout", ("payout",), _payouts, schema.payout),
    side("side_flag", ("flag",), _flags, schema.risk_flag),
    side("side_ticket", ("ticket",), _tickets, schema.ticket),
)
BY_VIEW = {view: one for one in SIDES for view in one.views}


def leaves_at(fees_leave_at: Any, used: Container[Side]) -> Any:
    """When the 90-day figures of a client with bonuses next change by time alone; else NULL."""
    if BY_VIEW["ledger"] not in used or BY_VIEW["trading_day"] not in used:
        return sa.null()  # nobody has bonuses, or no revenue is known to compare them with
    day, ledger = BY_VIEW["trading_day"].table, BY_VIEW["ledger"].table
    ends = [func.coalesce(at, NEVER) for at in (day.c.leaves_at, ledger.c.leaves_at, fees_leave_at)]
    return case((ledger.c.bonuses_90d >= 2, Least(*ends)))
