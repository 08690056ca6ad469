"""The registry: clients by the time their row was last updated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from connectors.base import Context, ListSource, Page, Reject
from connectors.instants import EPOCH_MS_FROM, instant, zone
from connectors.registry.database import Registry
from connectors.registry.manifest import MANIFEST
from connectors.registry.profile import flag, profile
from connectors.registry.settings import RegistrySettings
from mapping.errors import ConfigError, ProtocolError, RecordError
from mapping.records import Kind, Record, Ref, check_text


class RegistrySource(ListSource[RegistrySettings]):
    """Keyset pages over (updated_at, brand, client_id); each pull reads the last minutes again."""

    manifest = MANIFEST
    settings_type = RegistrySettings

    def __init__(self, settings: RegistrySettings, context: Context) -> None:
        super().__init__(settings, context)
        self._zone = zone(settings.zone, f"{context.name}: setting zone")
        if "brand" not in settings.names() and len(context.brands) != 1:
            raise ConfigError(
                f"{self.name}: without a brand column it can serve one brand only,"
                f" not {len(context.brands)}"
            )
        self._registry = Registry(settings, self.name)

    def check(self) -> None:
        """See :class:`connectors.base.Source`."""
        with self._registry.connect() as connection:
            self._registry.check_columns(connection)
            self._registry.page(connection, None, None, 1)

    def close(self) -> None:
        """See :class:`connectors.base.Source`."""
        self._registry.close()

    def pull(self, cursor: str | None) -> Iterator[Page]:
        """See :class:`connectors.base.ListSource`."""
        start = self.clock.now_ms()
        place = _Place.read(cursor, self.name)
        since = place.since(self.settings.overlap_s * 1000, self._zone)
        size = self.settings.page_size
        after: Mapping[str, Any] | None = None
        with self._registry.connect() as connection:
            self._registry.check_columns(connection)
            undated = self._registry.undated(connection, size)
            if undated:
                yield self._page(undated, place, start)
            for _ in range(self.settings.max_pages):
                rows = self._registry.page(connection, since, after, size)
                page = self._page(rows, place, start)
                if len(rows) < size:
                    yield Page(page.records, page.rejects, page.cursor, complete_until=start)
                    return
                yield page
                after = rows[-1]
        raise ProtocolError(
            f"{self.name}: the table did not end within max_pages ({self.settings.max_pages});"
            " raise max_pages or page_size"
        )

    def parse(self, raw: Mapping[str, Any]) -> Record:
        """See :class:`connectors.base.Source`."""
        now_ms = self.clock.now_ms()
        client = profile(raw, now_ms, self._zone)
        return Record(
            source=self.name,
            brand=self._brand(raw),
            external_id=client.client_id,
            version_at=instant(raw.get("updated_at"), "updated_at", now_ms, self._zone),
            ref=Ref(client.client_id),
            payload=client,
            deleted=flag(raw, "deleted"),
            raw=_json(raw),
        )

    def _page(self, rows: Sequence[Mapping[str, Any]], place: _Place, start: int) -> Page:
        records: list[Record] = []
        rejects: list[Reject] = []
        for row in rows:
            try:
                record = self.parse(row)
            except RecordError as error:
                brand = str(row.get("brand") or "")[:100]
                name = _name(row)
                rejects.append(Reject(name, error.admin, brand, Kind.PROFILE, _json(row)))
                continue
            records.append(record)
            # A time ahead of the clock must not carry the cursor past changes still to come.
            place.reach(min(record.version_at, start), row["updated_at"])
        return Page(records, rejects, place.dump())

    def _brand(self, raw: Mapping[str, Any]) -> str:
        known = self.context.brands
        brand = check_text(raw, "brand", most=100)
        if not brand and "brand" not in self.settings.names():
            return next(iter(known))
        if brand not in known:
            raise RecordError(f"unknown brand {brand[:40]!r}; known are {', '.join(known)}")
        return brand


class _Place:
    """How far a pull has come: an instant, and how the table writes one."""

    def __init__(self, at: int | None, layout: str) -> None:
        self.at = at
        self.layout = layout

    @classmethod
    def read(cls, cursor: str | None, name: str) -> _Place:
        """The place of a stored cursor.

        Raises:
            ConfigError: the cursor is of another kind of connection.
        """
        if not cursor:
            return cls(None, "")
        try:
            state = json.loads(cursor)
            return cls(int(state["at"]), str(state["layout"]))
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{name}: the stored cursor is not one of this connection; delete it to read the"
                " whole table again"
            ) from None

    def reach(self, at: int, sample: object) -> None:
        """Note a row's time."""
        if self.at is None or at >= self.at:
            self.at, self.layout = at, _layout(sample)

    def since(self, overlap_ms: int, local: tzinfo) -> object:
        """The bound of the next read, in the table's own type; None: everything."""
        return None if self.at is None else _write(self.at - overlap_ms, self.layout, local)

    def dump(self) -> str:
        """The cursor."""
        if self.at is None:
            return ""
        return json.dumps({"at": self.at, "layout": self.layout}, separators=(",", ":"))


def _layout(sample: object) -> str:
    """How ``sample`` writes an instant: naive, aware, date, day (a text), s, ms or ``text...``.

    A text's layout is ``text``, the separator, the number of fraction digits and the suffix.
    """
    if isinstance(sample, datetime):
        return "naive" if sample.tzinfo is None else "aware"
    if isinstance(sample, date):
        return "date"
    if isinstance(sample, str):
        text = sample.strip()
        if len(text) == len("2026-03-02"):
            return "day"
        rest = text[19:]
        fraction = len(rest) - len(rest.lstrip(".0123456789"))
        return f"text{text[10:11] or ' '}{max(0, fraction - 1)}{rest[fraction:]}"
    number = sample if isinstance(sample, int | float) else 0
    return "ms" if abs(number) >= EPOCH_MS_FROM else "s"


def _write(at: int, layout: str, local: tzinfo) -> object:
    moment = datetime.fromtimestamp(at / 1000, UTC)
    if layout == "aware":
        return moment
    if layout == "naive":
        return moment.astimezone(local).replace(tzinfo=None)
    if layout in ("date", "day"):
        day = moment.astimezone(local).date()
        return day if layout == "date" else day.isoformat()
    if layout.startswith("text"):
        separator, digits, suffix = layout[4], int(layout[5]), layout[6:]
        offset = datetime.fromisoformat(f"2000-01-01T00:00:00{suffix}").tzinfo or local
        zoned = moment.astimezone(offset)
        fraction = f".{zoned.microsecond:06d}"[: digits + 1] if digits else ""
        return zoned.strftime(f"%Y-%m-%d{separator}%H:%M:%S") + fraction + suffix
    return at if layout == "ms" else at // 1000


def _name(row: Mapping[str, Any]) -> str:
    text = str(row.get("client_id") or "").replace("\x00", "")[:100]
    return text or "row-" + hashlib.blake2b(_json(row).encode(), digest_size=8).hexdigest()


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps(dict(row), ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
