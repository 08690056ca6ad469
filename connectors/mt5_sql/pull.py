"""One pull: groups, accounts, what changed among deals, whole ranges, balances; in that order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from connectors.base import Whole
from connectors.mt5_sql.aggregate import Pair
from connectors.mt5_sql.book import Book, Mark
from connectors.mt5_sql.desk import Desk
from connectors.mt5_sql.pages import Piece
from connectors.mt5_sql.place import Place, Scan
from connectors.mt5_sql.ranges import (
    DAY,
    FIRST_DAY,
    LAST_DEAL,
    LAST_LOGIN,
    following,
    gaps,
    ranges,
)
from connectors.mt5_sql.rows import LOGIN_DIGITS, RowReader, group_id
from connectors.mt5_sql.rules import Rules
from connectors.mt5_sql.settings import Mt5SqlSettings
from connectors.unchanged import Unchanged
from mapping.words import AccountClass, Kind

# Days that a scan looks at in one statement; it grows over days without trades.
MOST_SPAN = 366


class Pull:
    """Reads an export from a place on; ``place`` moves along.

    Args:
        start: when the pull began, ms.
    """

    def __init__(
        self,
        rules: Rules,
        rows: RowReader,
        settings: Mt5SqlSettings,
        book: Book,
        place: Place,
        start: int,
        balances: Unchanged,
    ) -> None:
        self._rules, self._rows, self._ids = rules, rows, rows.ids
        self._settings, self._book = settings, book
        self._place, self._start = place, start
        self._told = balances
        self._size = settings.page_size
        self._desk = Desk(rules, rows, book, start, report_deleted=settings.report_deleted)

    def pieces(self) -> Iterator[Piece]:
        """All of the pull; at least one piece."""
        today = self._book.clock.day(self._start)
        begun = self._place.rules != self._rules.digest
        if begun:
            self._begin(today)
        self._rows.reading = self._place.reading
        yield self._groups()
        yield from self._accounts()
        if not begun:
            # A scan from the beginning reads everything there is now; changes come at the next.
            yield from self._changes()
        if self._place.scan is None and self._place.scanned != today.isoformat():
            first = today - timedelta(days=self._settings.rescan_days)
            self._place.scan = Scan(first.isoformat(), today.isoformat())
        if self._place.scan is not None:
            yield from self._scan(self._place.scan)
        yield from self._balances()

    def _begin(self, today: date) -> None:
        """Read everything: for the first time, or because settings gave it another meaning."""
        newest = self._book.newest()
        self._told.clear()
        self._place.rules = self._rules.digest
        self._place.reading += 1
        self._place.users = (0, 0)
        self._place.deals = (self._reached(newest.stamp), newest.deal)
        self._place.scan = Scan("", today.isoformat())
        self._place.balances_at, self._place.balances_after = 0, None

    def _piece(self) -> Piece:
        return Piece(self._place.dump())

    def _since(self, stamp: int) -> int:
        """A Timestamp before which nothing is exported any more."""
        ms = self._book.stamp_ms(stamp) - self._settings.overlap_s * 1000
        return max(0, self._book.stamp(ms)) if stamp else 0

    def _reached(self, stamp: int) -> int:
        """A Timestamp as a mark: one ahead of the clock must not carry it past what will come."""
        return min(stamp, self._book.stamp(self._start))

    # Groups and accounts

    def _groups(self) -> Piece:
        unknown = {
            group_id(group): group
            for group in self._book.groups()
            if self._rules.class_of(group) is AccountClass.UNCLASSIFIED
        }
        gone = [one for one in self._place.groups if one not in unknown]
        self._place.groups = sorted(unknown)
        piece = self._piece()
        for _, group in sorted(unknown.items()):
            piece.add(self._rows.read({"what": "group", "group": group}))
        piece.forget += gone
        return piece

    def _accounts(self) -> Iterator[Piece]:
        currencies: dict[str, str] = {}
        mark = Mark(self._since(self._place.users[0]), -1)
        while rows := self._book.accounts(mark, self._size):
            mark = Mark(int(rows[-1]["stamp"]), int(rows[-1]["login"]))
            currencies = currencies or self._book.currencies()
            if mark.stamp >= self._place.users[0]:
                self._place.users = (self._reached(mark.stamp), mark.deal)
            piece = self._piece()
            for row in rows:
                self._told.forget(int(row["login"]))  # whose the balance is may have changed
                piece.add(self._rows.read(self._desk.account(row, currencies)))
            yield piece
            if len(rows) < self._size:
                return

    # What changed

    def _changes(self) -> Iterator[Piece]:
        if self._book.by_stamp():
            yield from self._by_stamp()
        else:
            yield from self._by_deal()

    def _by_stamp(self) -> Iterator[Piece]:
        mark = Mark(self._since(self._place.deals[0]), -1)
        while rows := self._book.changes(mark, self._size):
            mark = Mark(int(rows[-1]["stamp"]), int(rows[-1]["deal"]))
            if mark.stamp >= self._place.deals[0]:
                self._place.deals = (self._reached(mark.stamp), mark.deal)
            yield self._changed(rows)
            if len(rows) < self._size:
                return

    def _by_deal(self) -> Iterator[Piece]:
        """Without an index on Timestamp: new deals, and those of the tail that changed."""
        stamp, deal = self._place.deals
        known = Mark(self._since(stamp), deal)
        after = self._book.tail_start(deal) - 1
        while rows := self._book.tail(known, after, self._size):
            after = int(rows[-1]["deal"])
            stamp = max(stamp, *(int(row["stamp"]) for row in rows))
            done = len(rows) < self._size
            # Only at its end is the tail's time known; until then it is looked at again.
            known_until = self._reached(stamp) if done else self._place.deals[0]
            self._place.deals = (known_until, max(deal, after))
            yield self._changed(rows)
            if done:
                return

    def _changed(self, rows: Sequence[dict[str, Any]]) -> Piece:
        """Changed rows: bookings as they are, the days of trades added up anew."""
        piece = self._piece()
        owners = self._desk.owners(piece, [int(row["login"]) for row in rows])
        tomorrow = (self._book.clock.day(self._start) + DAY).isoformat()
        touched: set[Pair] = set()
        for row in rows:
            days = self._book.touched(row)
            touched |= {(day, int(row["login"])) for day in days if day <= tomorrow}
            if days and max(days) > tomorrow:
                self._desk.add_ahead(piece, row, owners)
            elif days and self._desk.edited(row):
                piece.forget.append(self._ids.ledger(int(row["deal"])))
        pairs = sorted(pair for pair in touched if self._desk.counts(owners, pair[1]))
        seen = {
            self._desk.add_day(piece, day, owners)
            for day in self._desk.named(self._book.adder().scattered(pairs))
        }
        for pair in pairs:
            if pair not in seen and len(str(pair[1])) <= LOGIN_DIGITS:
                one = self._ids.day(*pair)
                piece.whole.append(Whole(Kind.TRADING_DAY, one, one))
        for row in rows if self._settings.ledger else ():
            if not self._book.is_booking(row) or not self._desk.counts(owners, int(row["login"])):
                continue
            wire = self._desk.add_booking(piece, row, owners)
            if wire is False and self._desk.edited(row):
                one = self._ids.wire(int(row["deal"]))
                piece.whole.append(Whole(Kind.PAYMENT, one, one))
        return piece

    # Whole ranges

    def _scan(self, scan: Scan) -> Iterator[Piece]:
        if not scan.days_done:
            yield from self._scan_days(scan)
        if self._settings.ledger:
            yield from self._scan_bookings(scan)
        self._place.scan, self._place.scanned = None, scan.day
        yield self._piece()

    def _scan_days(self, scan: Scan) -> Iterator[Piece]:
        end = date.fromisoformat(scan.day) + DAY
        oldest = None if scan.first else self._book.begin()
        if scan.at:
            low = following((scan.at, scan.login))
            begin = date.fromisoformat(low[0])
        else:
            low = (scan.first or FIRST_DAY, 0)
            begin = date.fromisoformat(scan.first) if scan.first else oldest or end
        span = (end - begin).days + 1 if scan.first else 1
        while begin <= end:
            last = min(end, begin + DAY * (span - 1))
            pairs = self._book.pairs(begin, last, (low[0], low[1] - 1), self._size)
            full = len(pairs) == self._size
            high = pairs[-1] if full else (last.isoformat(), LAST_LOGIN)
            scan.at, scan.login = high
            yield self._whole_days(pairs, low, high)
            low = following(high)
            begin = date.fromisoformat(low[0])
            # Days without trades are stepped over faster and faster.
            span = max(1, span // 2) if full else min(MOST_SPAN, span * 2)
        scan.days_done = True
        self._book.end()
        if not scan.first:
            piece = self._piece()
            rows = self._book.ahead(end + DAY, self._size)
            owners = self._book.owners([int(row["login"]) for row in rows])
            for row in rows:
                self._desk.add_ahead(piece, row, owners)
            yield piece

    def _whole_days(self, pairs: Sequence[Pair], low: Pair, high: Pair) -> Piece:
        piece = self._piece()
        owners = self._desk.owners(piece, [login for _, login in pairs])
        for day in self._desk.named(self._book.adder().between(pairs)):
            if self._desk.counts(owners, day["login"]):
                self._desk.add_day(piece, day, owners)
        apart = {pair for pair in pairs if self._desk.unknown(owners, pair[1])}
        apart |= {(r.external_id[:10], int(r.external_id.rpartition(":")[2]))
                  for r in piece.rejects if r.kind == Kind.TRADING_DAY}  # fmt: skip
        piece.whole += [
            Whole(Kind.TRADING_DAY, self._ids.day(*first), self._ids.day(*last))
            for first, last in ranges(low, high, sorted(apart))
        ]
        return piece

    def _scan_bookings(self, scan: Scan) -> Iterator[Piece]:
        if scan.deal is None:
            first = date.fromisoformat(scan.first) if scan.first else None
            scan.deal = 0 if first is None else self._book.booked_since(first)
        while True:
            low = scan.deal
            rows = self._book.bookings(low, self._size)
            full = len(rows) == self._size
            high = int(rows[-1]["deal"]) if full else LAST_DEAL
            scan.deal = high + 1
            yield self._whole_bookings(rows, low, high)
            if not full:
                return

    def _whole_bookings(self, rows: Sequence[dict[str, Any]], low: int, high: int) -> Piece:
        piece = self._piece()
        owners = self._desk.owners(piece, [int(row["login"]) for row in rows])
        apart = []
        for row in rows:
            login, deal = int(row["login"]), int(row["deal"])
            if self._desk.counts(owners, login):
                before = len(piece.rejects)
                self._desk.add_booking(piece, row, owners)
                apart += [deal] if len(piece.rejects) > before else []
            elif self._desk.unknown(owners, login):
                apart.append(deal)
        for first, last in gaps(low, high, apart):
            piece.whole += [
                Whole(Kind.LEDGER_ENTRY, self._ids.ledger(first), self._ids.ledger(last)),
                Whole(Kind.PAYMENT, self._ids.wire(first), self._ids.wire(last)),
            ]
        return piece

    # Balances

    def _balances(self) -> Iterator[Piece]:
        place = self._place
        if place.balances_after is None:
            if self._start - place.balances_at < self._settings.balance_every_s * 1000:
                return
            place.balances_at, place.balances_after = self._start, 0
        while place.balances_after is not None:
            rows = self._book.balances(place.balances_after, self._size)
            full = len(rows) == self._size
            place.balances_after = int(rows[-1]["login"]) if full else None
            piece = self._piece()
            rows = [row for row in rows if not self._told.same(int(row["login"]), row)]
            owners = self._book.owners([int(row["login"]) for row in rows]) if rows else {}
            for row in rows:
                login = int(row["login"])
                used = self._desk.counts(owners, login)
                if used:
                    used = piece.add(self._rows.read(self._desk.balance(row, owners)))
                if not used:  # nobody's yet, or not to be read: looked at each time
                    self._told.forget(login)
            yield piece
