"""PaymentIQ's Admin API: payment attempts, refunds and disputes, listed by last update.

Only the Admin API is read; the Integration API is in the money path and belongs to the broker's
own platform.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from connectors.base import Context, ListSource, Page, Reject, row_id
from connectors.http import Api, Blame, HttpSource, TokenAuth, basic
from connectors.instants import zone
from connectors.paymentiq.manifest import MANIFEST
from connectors.paymentiq.row import RowReader
from connectors.paymentiq.settings import Effect, PaymentIqSettings
from mapping.errors import ConfigError, ProtocolError, RecordError
from mapping.records import Record
from mapping.words import Kind

PAYMENTS = "/paymentiq/admin/v1/payments"
TOKEN = "/paymentiq/oauth/token"  # noqa: S105 - a path
DAY_S = 86_400
# Rows read again at the head of a page, to notice rows that left the window while it was paged.
TAIL = 20


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pull stands: seconds since 1970. ``since`` to ``until`` is a closed window.

    ``offset`` rows of it are read; ``tail`` holds the ids of the last of them.
    """

    since: int
    until: int
    offset: int = 0
    tail: tuple[str, ...] = ()


class PaymentIqSource(HttpSource[PaymentIqSettings], ListSource[PaymentIqSettings]):
    """Closed windows of last-updated time, each paged by offset, oldest first."""

    manifest = MANIFEST
    settings_type = PaymentIqSettings

    def __init__(
        self,
        settings: PaymentIqSettings,
        context: Context,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(settings, context)
        self._zone = zone(settings.zone, f"{context.name}: setting zone")
        self._rows = RowReader(self.name, settings, _brands(settings, context), self._zone)
        self._brand = next(iter(context.brands)) if len(context.brands) == 1 else ""
        self._tail = min(TAIL, settings.page_size // 2)
        blame = Blame(
            credentials="client_id and client_secret",
            rights="that merchant_id belongs to the API client and that it has the role"
            " ROLE_MERCHANT_SUPPORT",
        )
        auth = TokenAuth(self._token, context.clock)
        self.api = Api(settings, context, auth=auth, blame=blame, transport=transport)

    def check(self) -> None:
        """See :class:`connectors.base.Source`; asks for one row."""
        now = self.clock.now_ms() // 1000
        self._list(_Place(now - DAY_S, now), limit=1)

    def pull(self, cursor: str | None) -> Iterator[Page]:
        """See :class:`connectors.base.ListSource`."""
        end = self.clock.now_ms() // 1000
        place = self._start(cursor, end)
        for _ in self.api.pages():
            rows = self._list(place, limit=self.settings.page_size)
            fresh = self._unread(place, rows)
            if fresh is None:
                # More rows left the window than the tail shows: read the window once more.
                place = _Place(place.since, place.until)
                continue
            if len(rows) == self.settings.page_size and not fresh:
                raise ProtocolError(f"{self.name}: GET {PAYMENTS} repeats rows: it ignores offset")
            records, rejects = self._read(fresh)
            if len(rows) == self.settings.page_size:
                place = self._further(place, fresh)
                yield Page(records, rejects, _dump(place))
            elif place.until < end:
                place = self._window(place.until, end)
                yield Page(records, rejects, _dump(place))
            else:
                yield Page(records, rejects, _dump_done(end), complete_until=end * 1000)
                return

    def parse(self, raw: Mapping[str, Any]) -> Record:
        """See :class:`connectors.base.Source`."""
        return self._rows.record(raw, self._rows.kind(raw), self.clock.now_ms())

    def _start(self, cursor: str | None, end: int) -> _Place:
        if not cursor:
            start = self.settings.start_at
            first = start if start.tzinfo else start.replace(tzinfo=UTC)
            return self._window(int(first.timestamp()), end)
        try:
            state = json.loads(cursor)
            if "done" in state:
                return self._window(int(state["done"]) - self.settings.overlap_s, end)
            tail = tuple(str(t) for t in state["tail"])
            return _Place(int(state["since"]), int(state["until"]), int(state["offset"]), tail)
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{self.name}: the stored cursor is not one of this connector; delete it to read"
                " the history from start_at again"
            ) from None

    def _window(self, since: int, end: int) -> _Place:
        return _Place(since, max(since, min(end, since + self.settings.window_days * DAY_S)))

    def _further(self, place: _Place, fresh: Sequence[Any]) -> _Place:
        tail = tuple(row_id(row) for row in fresh[-self._tail :]) if self._tail else ()
        return _Place(place.since, place.until, place.offset + len(fresh), tail)

    def _list(self, place: _Place, limit: int) -> list[Any]:
        query = {
            "merchantId": str(self.settings.merchant_id),
            "txLastUpdatedDateFrom": self._local(place.since),
            "txLastUpdatedDateTo": self._local(place.until),
            "descOrder": "false",
            "limit": str(limit),
            "offset": str(max(0, place.offset - len(place.tail))),
        }
        body = self.api.get(PAYMENTS, query=query)
        key = self.settings.list_key
        rows = body.get(key) if key and isinstance(body, dict) else body
        if not isinstance(rows, list):
            wanted = f"an object with a list {key!r}" if key else "a list"
            raise ProtocolError(
                f"{self.name}: GET {PAYMENTS} should answer with {wanted} (setting list_key),"
                f" found {type(rows).__name__}"
            )
        if len(rows) > limit:
            raise ProtocolError(
                f"{self.name}: GET {PAYMENTS} answered with {len(rows)} rows instead of {limit}"
            )
        return rows

    def _unread(self, place: _Place, rows: Sequence[Any]) -> Sequence[Any] | None:
        """The rows after those already read; None where their place in the list is lost.

        A row updated while its window is paged leaves the window, and all rows behind it move up:
        plain offsets would skip as many. So each page begins with the tail of the one before.
        """
        if not place.tail:
            return rows
        known = set(place.tail)
        last = max((i for i, row in enumerate(rows) if row_id(row) in known), default=None)
        return None if last is None else rows[last + 1 :]

    def _read(self, rows: Sequence[Any]) -> tuple[list[Record], list[Reject]]:
        now_ms = self.clock.now_ms()
        records: list[Record] = []
        rejects: list[Reject] = []
        for row in rows:
            try:
                kind = self._rows.kind(row)
                if kind.effect is not Effect.IGNORED:
                    records.append(self._rows.record(row, kind, now_ms))
            except RecordError as error:
                text = json.dumps(row, ensure_ascii=False)
                rejects.append(Reject(row_id(row), error.admin, self._brand, Kind.PAYMENT, text))
        return records, rejects

    def _token(self) -> tuple[str, float]:
        body = self.api.send(
            "POST",
            TOKEN,
            query={"grant_type": "client_credentials"},
            auth=basic(self.settings.client_id, self.settings.client_secret.get_secret_value()),
            once=True,
        )
        token = body.get("access_token") if isinstance(body, dict) else None
        lives_s = body.get("expires_in") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token.isascii() or not isinstance(lives_s, int):
            raise ProtocolError(
                f"{self.name}: POST {TOKEN} should answer with access_token and expires_in"
            )
        return token, lives_s

    def _local(self, second: int) -> str:
        return datetime.fromtimestamp(second, self._zone).strftime("%Y-%m-%d %H:%M:%S")


def _brands(settings: PaymentIqSettings, context: Context) -> Mapping[int, str]:
    served = list(context.brands)
    unknown = sorted(set(settings.merchants.values()) - set(served))
    if unknown:
        raise ConfigError(
            f"{context.name}: setting merchants names unknown brands {', '.join(unknown)};"
            f" this connection serves {', '.join(served)}"
        )
    if settings.merchants:
        return settings.merchants
    if len(served) != 1:
        raise ConfigError(
            f"{context.name}: it serves {len(served)} brands, so the setting merchants must say"
            " which merchant id is which brand"
        )
    return {settings.merchant_id: served[0]}


def _dump(place: _Place) -> str:
    state = {"since": place.since, "until": place.until, "offset": place.offset, "tail": place.tail}
    return json.dumps(state, separators=(",", ":"))


def _dump_done(end: int) -> str:
    return json.dumps({"done": end}, separators=(",", ":"))
