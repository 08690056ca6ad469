"""Cellxpert's admin API: registrations in sliding windows, and the list of partners.

The vendor has no cursor and tells of no change. So the latest registrations are read at each pull
and a long window of them once a week; the hub stores only what differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from connectors.base import Context, ListSource, Page, Reject
from connectors.cellxpert.manifest import MANIFEST
from connectors.cellxpert.partner import PART as PARTNER
from connectors.cellxpert.partner import PartnerReader
from connectors.cellxpert.reports import PARTNERS, REGISTRATIONS, Reports
from connectors.cellxpert.row import PARTS, RowReader
from connectors.cellxpert.settings import CellxpertSettings
from connectors.http import HttpSource
from connectors.instants import zone
from connectors.unchanged import Unchanged
from mapping.errors import ConfigError, RecordError
from mapping.money import exponent
from mapping.records import Record

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pull stands.

    Args:
        day: the next day of registrations to read.
        start: ms, when the pull began: up to then it will be complete.
        long_at: ms, when the last long window began.
        partners: whether the partner list is still to be read.
        first: nothing was read to its end before.
    """

    day: date
    start: int
    long_at: int
    partners: bool
    first: bool = False

    def text(self) -> str:
        state = {
            "day": self.day.isoformat(), "start": self.start, "long_at": self.long_at,
            "partners": self.partners, "first": self.first,
        }  # fmt: skip
        return json.dumps(state, separators=(",", ":"))


@dataclass(slots=True)
class _Sheet:
    """What is read and not yet handed over."""

    rows: int = 0
    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def take(self, parts: Iterator[Record | Reject]) -> bool:
        """Take in what was read; whether all of it could be used."""
        self.rows += 1
        before = len(self.rejects)
        for part in parts:
            (self.records if isinstance(part, Record) else self.rejects).append(part)  # type: ignore[arg-type]
        return len(self.rejects) == before

    def page(self, cursor: str, complete_until: int | None = None) -> Page:
        page = Page(self.records, self.rejects, cursor, complete_until)
        self.rows, self.records, self.rejects = 0, [], []
        return page


class CellxpertSource(HttpSource[CellxpertSettings], ListSource[CellxpertSettings]):
    """Windows of registration days, read in steps; versions have the time of their reading."""

    manifest = MANIFEST
    settings_type = CellxpertSettings

    def __init__(
        self,
        settings: CellxpertSettings,
        context: Context,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(settings, context)
        try:
            exponent(settings.currency)
        except RecordError as error:
            raise ConfigError(f"{self.name}: setting currency: {error.admin}") from None
        self._zone = zone(settings.zone, f"{self.name}: setting zone")
        brands = tuple(context.brands)
        self._rows = RowReader(self.name, settings, brands, self._zone)
        self._partners = PartnerReader(self.name, settings, brands, self._zone)
        self._unchanged = Unchanged()
        self._reports = Reports(settings, context, transport)
        self.api = self._reports.api

    def check(self) -> None:
        """See :class:`connectors.base.Source`; reads the last days' registrations.

        Raises:
            ConfigError: among the other causes: no row has the column of the client's id.
        """
        today = self._day(self.clock.now_ms())
        rows = self._registrations(today - timedelta(days=self.settings.step_days), today)
        if rows and not any(self._rows.knows(row) for row in rows):
            raise ConfigError(
                f"{self.name}: no row of GET {REGISTRATIONS} has a client's id; name the tenant's"
                " column under client in the setting columns"
            )

    def close(self) -> None:
        """See :class:`connectors.base.Source`."""
        self._reports.close()

    def pull(self, cursor: str | None) -> Iterator[Page]:
        """See :class:`connectors.base.ListSource`."""
        now = self.clock.now_ms()
        place = self._place(cursor, now)
        self._unchanged.begin(cursor)
        # A day more: the vendor's day may be ahead, and an end that excludes its day does no harm.
        last = self._day(now) + timedelta(days=1)
        sheet = _Sheet()
        if place.partners:
            for row in self._reports.rows(PARTNERS, self.settings.partner_params):
                sheet.take(self._partners.read(row, now))
                if sheet.rows >= self.settings.page_size:
                    yield sheet.page(place.text())
            place = replace(place, partners=False)
        for _ in self.api.pages():
            until = min(place.day + timedelta(days=self.settings.step_days), last)
            for row in self._registrations(place.day, until):
                key = self._rows.key(row)
                if key and self._unchanged.same(key, row):
                    continue
                if not sheet.take(self._rows.read(row, now, first=place.first)):
                    self._unchanged.forget(key)
                if sheet.rows >= self.settings.page_size:
                    yield sheet.page(place.text())
            if until >= last:
                ended = _done(place)
                self._unchanged.end(ended)
                yield sheet.page(ended, complete_until=place.start)
                return
            # Steps share a day, for the same reason.
            place = replace(place, day=until)
            yield sheet.page(place.text())

    def parse(self, raw: Mapping[str, Any]) -> Record:
        """See :class:`connectors.base.Source`.

        ``raw``: ``{"part": ..., "read_at": ms, "cells": {our name: the vendor's value}}``, of
        partners with ``"brand"``.
        """
        part, read_at, cells = raw.get("part"), raw.get("read_at"), raw.get("cells")
        if isinstance(read_at, int) and isinstance(cells, dict):
            if part == PARTNER:
                return self._partners.again(str(raw.get("brand", "")), cells, read_at)
            if isinstance(part, str) and part in PARTS:
                return self._rows.again(part, cells, read_at)
        raise RecordError("a set-aside Cellxpert row needs a known 'part', 'read_at' and 'cells'")

    def _registrations(self, first: date, last: date) -> list[Any]:
        query = {
            "startDate": self._written(first),
            "endDate": self._written(last),
            "daterange": "registrationdate",
            "DateFormat": "Day",
            # Switches that add columns (READ).
            "BTA": "true",
            "TrackingCode": "true",
            "QualificationDate": "true",
            **self.settings.report_params,
        }
        return self._reports.rows(REGISTRATIONS, query)

    def _place(self, cursor: str | None, now: int) -> _Place:
        today = self._day(now)
        long = today - timedelta(days=self.settings.long_window_days)
        if not cursor:
            return _Place(self._start(long), now, now, partners=True, first=True)
        try:
            state = json.loads(cursor)
            long_at = int(state["long_at"])
            if "day" in state:
                day = date.fromisoformat(state["day"])
                first = bool(state["first"])
                return _Place(day, int(state["start"]), long_at, bool(state["partners"]), first)
            int(state["done"])
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{self.name}: the stored cursor is not one of this connector; delete it to read"
                " the history from the beginning again"
            ) from None
        if now - long_at >= self.settings.long_every_days * DAY_MS:
            return _Place(long, now, now, partners=True)
        recent = today - timedelta(days=self.settings.window_days)
        return _Place(recent, now, long_at, partners=True)

    def _start(self, usual: date) -> date:
        start = self.settings.start_at
        if start is None:
            return usual
        return (start.astimezone(self._zone) if start.tzinfo else start).date()

    def _day(self, now: int) -> date:
        return datetime.fromtimestamp(now / 1000, UTC).astimezone(self._zone).date()

    def _written(self, day: date) -> str:
        order = self.settings.date_format
        if order == "YYYY-MM-DD":
            return day.isoformat()
        first, second = (day.month, day.day) if order == "M/D/YYYY" else (day.day, day.month)
        return f"{first}/{second}/{day.year}"


def _done(place: _Place) -> str:
    return json.dumps({"done": place.start, "long_at": place.long_at}, separators=(",", ":"))
