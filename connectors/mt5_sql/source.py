"""MetaTrader's SQL export: accounts, trading days, ledger and balances, read by what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connectors.base import Context, ListSource, Page
from connectors.mt5_sql.book import Book
from connectors.mt5_sql.layout import Layout, Layouts, inspect
from connectors.mt5_sql.manifest import MANIFEST
from connectors.mt5_sql.measure import decide, measured, verify, warn
from connectors.mt5_sql.mt4 import Mt4Book
from connectors.mt5_sql.mt5 import Mt5Book
from connectors.mt5_sql.pages import paged
from connectors.mt5_sql.place import Place
from connectors.mt5_sql.pull import Pull
from connectors.mt5_sql.rows import RowReader
from connectors.mt5_sql.rules import Rules
from connectors.mt5_sql.server_time import ServerTime
from connectors.mt5_sql.settings import Mt5SqlSettings
from connectors.sql import Reader, ReadOnlyDatabase
from connectors.unchanged import Unchanged
from mapping.errors import BrokersyncError, RecordError
from mapping.records import Record

MEASURE = "measure"


class _Export(ReadOnlyDatabase):
    """The trading server's database."""

    whose = "the export's"
    made_by = "the setting url"


class Mt5SqlSource(ListSource[Mt5SqlSettings]):
    """One trading server's export, for one brand or for brands told apart by account group."""

    manifest = MANIFEST
    settings_type = Mt5SqlSettings

    def __init__(self, settings: Mt5SqlSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._rules = Rules(settings, context.brands, self.name)
        self._setting = f"{self.name}: setting server_tz"
        self._clock: ServerTime | None = None
        if settings.server_tz != MEASURE:
            self._clock = ServerTime.read(settings.server_tz, self._setting)
        self._rows = RowReader(self.name, settings, self._rules, self._time)
        self._database = _Export(settings.url, settings.statement_timeout_s, self.name)
        self._balances = Unchanged()
        self._layouts = Layouts(settings.profile, self.name)
        self._compared = False

    @classmethod
    def families_of(cls, settings: Mt5SqlSettings) -> tuple[str, ...]:
        """See :class:`connectors.base.Source`."""
        return ("trading", "ledger") if settings.ledger else ("trading",)

    def check(self) -> None:
        """See :class:`connectors.base.Source`; the rule of the server's clock is proved as well."""
        with self._database.connect() as reader:
            layout = inspect(reader, self.settings.profile, self.name)
            places = measured(reader, layout)
            if self.settings.server_tz == MEASURE:
                self._clock = decide(places, self.name)
            else:
                verify(places, self._time(), self.name)
            book = self._book(reader, layout, self._time())
            book.check()
            book.groups()
            book.changes(book.newest(), 1)

    def close(self) -> None:
        """See :class:`connectors.base.Source`."""
        self._database.close()

    def pull(self, cursor: str | None) -> Iterator[Page]:
        """See :class:`connectors.base.ListSource`."""
        start = self.clock.now_ms()
        place = Place.read(cursor, self.name)
        self._balances.begin(cursor)
        with self._database.connect() as reader:
            try:
                yield from self._pulled(reader, place, start)
            except BrokersyncError:
                self._layouts.forget()
                raise

    def _pulled(self, reader: Reader, place: Place, start: int) -> Iterator[Page]:
        layout = self._layouts.of(reader, start)
        clock = self._told(reader, layout, place, start)
        book = self._book(reader, layout, clock)
        book.check()
        settings = self.settings
        reading = Pull(self._rules, self._rows, settings, book, place, start, self._balances)
        pieces = reading.pieces()
        for page in paged(pieces, settings.page_size, settings.max_pages, start, self.name):
            if page.complete_until is not None:
                self._balances.end(page.cursor)
            yield page

    def parse(self, raw: Mapping[str, Any]) -> Record:
        """See :class:`connectors.base.Source`."""
        try:
            return self._rows.record(raw)
        except (KeyError, TypeError, ValueError):
            raise RecordError("no row of this connection") from None

    def _book(self, reader: Reader, layout: Layout, clock: ServerTime) -> Book:
        kind = Mt5Book if layout.profile == "mt5" else Mt4Book
        return kind(reader, layout, self.settings, clock, self.name)

    def _told(self, reader: Reader, layout: Layout, place: Place, start: int) -> ServerTime:
        """The rule of the clock: configured, or measured, anew on each server day."""
        if self.settings.server_tz != MEASURE:
            clock = self._time()
            if not self._compared:
                warn(measured(reader, layout), clock, self.name)
                self._compared = True
            return clock
        if place.tz:
            known = ServerTime.read(place.tz, self._setting)
            if place.scanned == known.day(start).isoformat():
                self._clock = known
                return known
        self._clock = decide(measured(reader, layout), self.name)
        if place.tz not in ("", self._clock.rule):
            place.rules = ""  # every instant reads differently: everything is read again
        place.tz = self._clock.rule
        return self._clock

    def _time(self) -> ServerTime:
        """The rule of the clock, measured where no pull has yet."""
        if self._clock is None:
            with self._database.connect() as reader:
                layout = inspect(reader, self.settings.profile, self.name)
                self._clock = decide(measured(reader, layout), self.name)
        return self._clock
