"""Where the deals of each day lie among the numbers of deals.

Exports have no index on the time of a deal, only the key: with the lowest and highest deal of each
day, a reading of everything touches each row a few times instead of once a page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa

from connectors.mt5_sql.aggregate import day_of
from connectors.mt5_sql.layout import Aliased
from connectors.sql import Reader

# Rows of one statement that looks at days.
STEP = 500_000


@dataclass(slots=True)
class Spans:
    """Server day (ISO) -> lowest and highest deal."""

    days: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def first(self) -> date | None:
        """The oldest day."""
        valid = [day for day in self.days if day >= "1990"]
        return date.fromisoformat(min(valid)) if valid else None

    def add(self, reader: Reader, t: Aliased, trades: sa.ColumnElement[bool], step: int) -> None:
        """Look at all trades of a table, ``step`` rows at a time."""
        key, day = t["Deal"], day_of(t["Time"])
        low: int | None = reader.one(sa.select(sa.func.min(key)))
        while low is not None:
            beyond = sa.select(key).where(key >= low).order_by(key).offset(step).limit(1)
            high: int | None = reader.one(beyond)
            chosen = [trades, key >= low] + ([] if high is None else [key < high])
            query = sa.select(
                day.label("day"), sa.func.min(key).label("low"), sa.func.max(key).label("high")
            ).where(*chosen)
            for row in reader.rows(query.group_by(day)):
                self._widen(str(row["day"]), int(row["low"]), int(row["high"]))
            low = high

    def bounds(self, t: Aliased, first: date, last: date) -> list[sa.ColumnElement[bool]]:
        """Conditions that every trade of these days fulfils; newer ones than known as well."""
        start, end = first.isoformat(), last.isoformat()
        found = [span for day, span in self.days.items() if start <= day <= end]
        newest = max(self.days, default="")
        conditions: list[Any] = []
        if end < newest:
            conditions.append(t["Deal"] <= max((high for _, high in found), default=-1))
        if found:
            conditions.append(t["Deal"] >= min(low for low, _ in found))
        return conditions

    def _widen(self, day: str, low: int, high: int) -> None:
        known = self.days.get(day, (low, high))
        self.days[day] = (min(low, known[0]), max(high, known[1]))
