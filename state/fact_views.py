"""What facts are computed with: the work list, views over rows, aggregates of the catalogue.

A *view* gives the catalogue's names a meaning over the rows of one scan. A *side* is a small table,
one row a client, for facts that come from other tables than the payments.

The clients of the brand that is computed are numbered, in order, and all small tables go by that
number: engines compare it at a fraction of what a text costs, and store it in an eighth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, and_, case, func, or_, select
from sqlalchemy.engine import Connection

from mapping.fact import FactDef
from mapping.facts import CATALOGUE
from mapping.rules import FactType
from state import schema
from state.rules_elements import Given, Hint

DIGITS = 16
AFTER_ANY = 2 * 10**15
"""Added to any instant, before 1970 too, it has so many digits: sorts as text."""
PICKED = {"current", "last_ended", "counted_first", "counted_later", "first_requested"}
_TEXTUAL = (FactType.TEXT, FactType.ENUM)

BRAND = sa.bindparam("work_brand", type_=schema.Id)
"""The brand whose facts are computed."""

_FIRST = sa.bindparam("work_first", type_=schema.Id)
_LAST = sa.bindparam("work_last", type_=schema.Id)
_DENSE = sa.bindparam("work_dense", type_=sa.Integer)
_LEAST_DENSE = 200  # fewer are looked up one by one

temporary = MetaData()
work = Table(
    "work", temporary,
    Column("brand", schema.Id, primary_key=True), Column("client_id", schema.Id, primary_key=True),
    Column("mate", Integer, nullable=False, server_default="0"),
    Column("computed", Integer, nullable=False, server_default="0"),
    prefixes=["TEMPORARY"], sqlite_with_rowid=False,
)  # fmt: skip
"""The clients a step is about. ``mate``: on the list because of the address of another.
``computed``: the facts are worked out already."""


def listed(*only: sa.ColumnElement[bool]) -> sa.CTE:
    """The work list, to be joined with tables of clients.

    Materialized, so that it has neither a brand nor an index by which SQLite, which knows no
    sizes, could begin with all rows of the other table.
    """
    return select(work).where(*only).cte("listed").prefix_with("MATERIALIZED")


def number() -> Column[int]:
    """The key of a small table: a client's number."""
    return Column("nr", Integer, primary_key=True, autoincrement=False)


NUMBERED = Table(
    "numbered", temporary,
    number(), Column("brand", schema.Id), Column("client_id", schema.Id),
    prefixes=["TEMPORARY"],
)  # fmt: skip
"""The work list's clients of the brand that is computed, but for those who are already.

Whoever joins stored records with it takes the brand from here, too. Told it as a value, PostgreSQL
read all records of the brand for each client, now and then.
"""


def numbered(brand: Any, client_id: Any) -> sa.Select[Any]:
    """Fill :data:`NUMBERED` with the clients of a query's rows, to be completed by the caller."""
    return select(func.row_number().over(order_by=client_id), brand, client_id)


@dataclass(frozen=True)
class View:
    """What the catalogue's columns and yes/no columns are over the rows of a scan.

    ``rows`` tells the view's rows from the scan's others.
    """

    values: Mapping[str, Any]
    flags: Mapping[str, Any] = field(default_factory=dict)
    rows: Any = None

    def conditions(self, d: FactDef) -> list[Any]:
        """What must all hold for a row to count for a fact; empty if each does."""
        rows = [] if self.rows is None else [self.rows]
        return [*rows, *[self.flags[w] for w in d.where if w in self.flags]]


def of(name: str) -> list[FactDef]:
    """The facts that are aggregated over a view."""
    return [d for d in CATALOGUE if d.view == name and not PICKED.intersection(d.where)]


def aggregates(name: str, view: View) -> list[Any]:
    """The facts of a view, each as a labelled aggregate."""
    return [_aggregate(view, d).label(d.name) for d in of(name)]


def _aggregate(view: View, d: FactDef) -> Any:
    only = view.conditions(d)
    if d.pick == "count":
        return _of_those(func.count(), only)
    if d.pick == "any":
        return case((_of_those(func.count(), only) > 0, 1), else_=0)
    name, _, order = d.column.partition("@")
    value = view.values[name]
    if d.pick == "distinct":
        return _of_those(func.count(value.distinct()), only)
    if d.pick == "sum":
        unknown = func.count().filter(*only, value.is_(None))
        total = func.coalesce(_of_those(func.sum(value), only), 0)
        return case((unknown > 0, None), else_=sa.cast(total, BigInteger))
    if d.pick == "latest":
        key = sa.cast(view.values[order] + AFTER_ANY, sa.Text) + value
        return func.substr(_of_those(func.max(key), only), DIGITS + 1)
    return _of_those(func.min(value) if d.pick == "min" else func.max(value), only)


def _of_those(aggregate: Any, only: list[Any]) -> Any:
    return aggregate.filter(*only) if only else aggregate


def same(left: Any, right: Any) -> Any:
    """Whether two rows are of one client: what is worked out by its number, records by its name."""
    if "nr" in left.c and "nr" in right.c:
        return left.c.nr == right.c.nr
    return and_(left.c.brand == right.c.brand, left.c.client_id == right.c.client_id)


def of_mine(rows: Any, client: Any = None) -> Any:
    """Whether a record is of a numbered client; the clients are where engines begin.

    PostgreSQL takes a table it knows nothing of for larger than a list is, and would read whole
    tables for it. Of a filter on a text it expects few rows.
    """
    client = rows.c.client_id if client is None else client
    here = and_(rows.c.brand == Given(NUMBERED.c.brand), client == Given(NUMBERED.c.client_id))
    return and_(here, Hint(NUMBERED.c.brand.concat("") == BRAND), near(rows, client))


def near(rows: Any, client: Any = None) -> Any:
    """Whether a record lies between the first and the last client of a dense work list.

    PostgreSQL then reads that range at once, and not client by client.
    """
    client = rows.c.client_id if client is None else client
    here = and_(rows.c.brand == BRAND, client >= _FIRST, client <= _LAST)
    return Hint(or_(_DENSE == 0, here))


def span(connection: Connection, brand: str) -> tuple[str, str] | None:
    """First and last client of a dense work list: one with nearly all clients of its range."""
    mine_ = (work.c.brand == brand, work.c.computed == 0, work.c.mate == 0)
    ends = select(func.count(), func.min(work.c.client_id), func.max(work.c.client_id))
    size, first, last = connection.execute(ends.where(*mine_)).one()
    if size < _LEAST_DENSE or connection.dialect.name != "postgresql":
        return None
    c, most = schema.client.c, size * 5 // 4
    here = select(c.external_id).where(
        c.brand == brand, c.external_id >= first, c.external_id <= last
    )
    among = select(func.count()).select_from(here.limit(most + 1).subquery())
    return None if (connection.scalar(among) or 0) > most else (first, last)


def by_range(first: str, last: str) -> dict[str, Any]:
    """What :func:`near` asks where a range is computed."""
    return {"work_dense": 1, "work_first": first, "work_last": last}


BY_LIST = {"work_dense": 0, "work_first": "", "work_last": ""}
"""What :func:`near` asks where it need not."""


def is_one_of(column: Any, words: Iterable[str]) -> Any:
    """Not IN: for more than two words SQLite looks every value up in a tree."""
    return or_(*[column == w for w in words])


@dataclass(frozen=True)
class Side:
    """A side table and the query that fills it: the client's number, then the other columns.

    Args:
        rows: the current records it is made of.
        read: something else is worked out from it, so it has to be there, if empty.
    """

    table: Table
    query: Callable[[], sa.Select[Any]]
    views: tuple[str, ...]
    rows: Table
    read: bool = False


def with_records(connection: Connection, brand: str, sides: Sequence[Side]) -> tuple[Side, ...]:
    """The sides of whose records the brand has any."""
    found = connection.execute(_any_rows(tuple(one.rows for one in sides)), {"work_brand": brand})
    return tuple(one for one, there in zip(sides, found.one(), strict=True) if there)


@cache
def _any_rows(tables: tuple[Table, ...]) -> sa.Select[Any]:
    there: list[Any] = [sa.exists().where(t.c.brand == BRAND) for t in tables]
    return select(*there)


def side(
    name: str,
    views: tuple[str, ...],
    query: Callable[[], sa.Select[Any]],
    rows: Table,
    *also: str,
    read: bool = False,
) -> Side:
    """A side table with the facts of some views, in the catalogue's order, and further numbers.

    Args:
        rows: the current records it is made of.
        read: see :class:`Side`.
    """
    facts = [
        Column(d.name, schema.Id if d.fact.type in _TEXTUAL else BigInteger)
        for v in views
        for d in of(v)
    ]
    table = Table(
        name, temporary,
        number(),
        *facts,
        *[Column(n, BigInteger) for n in also],
        prefixes=["TEMPORARY"],
    )  # fmt: skip
    return Side(table, query, views, rows, read)
