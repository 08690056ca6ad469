"""The registry: clients of a table by the time their row was last updated, or of a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from connectors.base import Context, ListSource, Page, Reject
from connectors.instants import EPOCH_MS_FROM, instant, zone
from connectors.registry.database import Registry
from connectors.registry.file_pull import FILE_KEYS, FilePull, as_json
from connectors.registry.file_times import file_time
from connectors.registry.manifest import MANIFEST
from connectors.registry.profile import flag, profile
from connectors.registry.settings import RegistrySettings
from mapping.errors import ConfigError, ProtocolError, RecordError
from mapping.records import Record, Ref, check_text
from mapping.words import Kind

_MOST_LINES = 1_000_000_000  # times the seconds of this century it still fits 64 bits


class RegistrySource(ListSource[RegistrySettings]):
    """A table: keyset pages over (updated_at, brand, client_id); each pull reads the last minutes
    again. A file: all of it, where it is not the one read before."""

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
        self._file = FilePull(settings, context, self.parse) if settings.file else None
        self._registry = Registry(settings, self.name) if self._file is None else None

    def check(self) -> None:
        """See :class:`connectors.base.Source`."""
        if self._registry is None:
            assert self._file is not None  # noqa: S101 - it is one or the other
            self._file.check()
            return
        with self._registry.connect() as reader:
            self._registry.check_columns(reader)
            self._registry.page(reader, None, None, 1)

    def close(self) -> None:
        """See :class:`connectors.base.Source`."""
        if self._registry is not None:
            self._registry.close()

    def pull(self, cursor: str | None) -> Iterator[Page]:
        """See :class:`connectors.base.ListSource`."""
        if self._registry is not None:
            return self._pull_table(self._registry, cursor)
        assert self._file is not None  # noqa: S101 - it is one or the other
        return self._file.pull(cursor)

    def _pull_table(self, registry: Registry, cursor: str | None) -> Iterator[Page]:
        start = self.clock.now_ms()
        place = _Place.read(cursor, self.name)
        since = place.since(self.settings.overlap_s * 1000, self._zone)
        size = self.settings.page_size
        after: Mapping[str, Any] | None = None
        with registry.connect() as reader:
            registry.check_columns(reader)
            undated = registry.undated(reader, size)
            if undated:
                yield self._page(undated, place, start)
            for _ in range(self.settings.max_pages):
                rows = registry.page(reader, since, after, size)
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
        """See :class:`connectors.base.Source`; a row of a file names file and line."""
        line = raw.get("line")
        if line is None:
            return self._record(raw, as_json(raw))
        try:
            return self._file_record(raw, int(line))
        except RecordError as error:
            raise RecordError(f"{raw.get('file')}, line {line}: {error.admin}") from None

    def _file_record(self, raw: Mapping[str, Any], line: int) -> Record:
        if "wrong" in raw:
            raise RecordError(str(raw["wrong"]))
        row = {name: value for name, value in raw.items() if name not in FILE_KEYS}
        for name in ("registered_at", "updated_at"):
            row[name] = file_time(row.get(name), name, self.settings)
        at = int(raw["file_at"])
        undated = row["updated_at"] is None
        if undated:
            row["updated_at"] = at
        # Of two rows of one instant the later one counts: of a newer file, or further down.
        rank = at // 1000 * _MOST_LINES + min(line, _MOST_LINES - 1)
        return self._record(row, as_json(raw), rank, polled=undated)

    def _record(
        self, row: Mapping[str, Any], raw: str, rank: int = 0, *, polled: bool = False
    ) -> Record:
        now_ms = self.clock.now_ms()
        client = profile(row, now_ms, self._zone)
        return Record(
            source=self.name,
            brand=self._brand(row),
            external_id=client.client_id,
            version_at=instant(row.get("updated_at"), "updated_at", now_ms, self._zone),
            ref=Ref(client.client_id),
            payload=client,
            rank=rank,
            polled=polled,
            deleted=flag(row, "deleted"),
            raw=raw,
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
                rejects.append(Reject(name, error.admin, brand, Kind.PROFILE, as_json(row)))
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
    return text or "row-" + hashlib.blake2b(as_json(row).encode(), digest_size=8).hexdigest()
