"""One pull of a file of clients: nothing where it did not change, else all of it, page by page."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from connectors.base import Context, Page, Reject, storable
from connectors.registry.files import ClientFile, OpenFile, Row, Version
from connectors.registry.settings import RegistrySettings
from mapping.errors import ConfigError, ProtocolError, RecordError, RetryableError
from mapping.records import Record
from mapping.words import Kind

FILE_KEYS = ("file", "line", "file_at", "wrong", "text")
"""What a row of a file has beside our columns."""


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The file read last, and how many of its rows could not be told whose they are."""

    version: Version | None = None
    nameless: int = 0

    @classmethod
    def read(cls, text: str | None, name: str) -> _Cursor:
        """A stored cursor.

        Raises:
            ConfigError: it is of another kind of connection.
        """
        if not text:
            return cls()
        try:
            state = json.loads(text)
            version = state["file"]
            return cls(None if version is None else Version(**version), int(state["nameless"]))
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{name}: the stored cursor is not one of a file; give the connection another name"
                " to read the file from its beginning"
            ) from None

    def dump(self) -> str:
        """As text."""
        version = None if self.version is None else asdict(self.version)
        return json.dumps({"file": version, "nameless": self.nameless}, separators=(",", ":"))


class FilePull:
    """Pulls of a file.

    Args:
        parse: a row as a record.
    """

    def __init__(
        self,
        settings: RegistrySettings,
        context: Context,
        parse: Callable[[Mapping[str, Any]], Record],
    ) -> None:
        self._settings, self._context, self._parse = settings, context, parse
        self._file = ClientFile(settings, context.folder, context.name)

    def check(self) -> None:
        """See :class:`connectors.base.Source`; looks at the columns and the first row."""
        path, _ = self._file.find()
        with self._file.opened(path) as file:
            next(file.rows(), None)

    def pull(self, cursor: str | None) -> Iterator[Page]:
        """See :class:`connectors.base.ListSource`."""
        start = self._context.clock.now_ms()
        known = _Cursor.read(cursor, self._context.name)
        path, version = self._file.find()
        if version.untouched(known.version):
            yield Page(cursor=cursor or "", complete_until=min(version.at, start))
            return
        with self._file.opened(path) as file:
            version = file.digested()
            file.unchanged()
            at = min(version.at, start)
            if version.same_content(known.version):
                after = _Cursor(version, known.nameless)
                yield Page(cursor=after.dump(), complete_until=at)
                return
            yield from self._read(file, known, version, at)

    def _read(
        self, file: OpenFile, known: _Cursor, version: Version, at: int
    ) -> Iterator[Page]:  # fmt: skip
        """All rows. Until the last page is stored, the cursor stays with the file before."""
        with closing(_Seen()) as seen:
            page = _Building(version, at, self._parse, seen)
            pages = 0
            for row in file.rows():
                if page.size == self._settings.page_size:
                    pages += 1
                    if pages == self._settings.max_pages:
                        raise ProtocolError(
                            f"{self._context.name}: {version.name} did not end within max_pages"
                            f" ({pages}); raise max_pages or page_size"
                        )
                    file.unchanged()
                    so_far = _Cursor(known.version, max(known.nameless, page.nameless))
                    yield page.done(so_far.dump())
                page.add(row)
            file.unchanged()
            gone = range(page.nameless + 1, known.nameless + 1)
            after = _Cursor(version, page.nameless)
            yield page.done(after.dump(), complete_until=at, forget=[_unnamed(n) for n in gone])


class _Building:
    """A page in the making."""

    def __init__(
        self,
        version: Version,
        at: int,
        parse: Callable[[Mapping[str, Any]], Record],
        seen: _Seen,
    ) -> None:
        self.nameless = 0
        self._version, self._at, self._parse, self._seen = version, at, parse, seen
        self._records: list[Record] = []
        self._rejects: list[Reject] = []

    @property
    def size(self) -> int:
        """Rows in the page."""
        return len(self._records) + len(self._rejects)

    def add(self, row: Row) -> None:
        """Take a row in, or set it aside."""
        raw = {**row.values, **self._place(row.line)}
        client = str(row.values.get("client_id") or "").strip()
        if row.wrong:
            raw |= {"wrong": row.wrong, "text": row.text}
        elif client:
            before = self._seen.before(str(row.values.get("brand") or ""), client, row.line)
            if before:
                wrong = f"this client stands again on line {row.line}; the last one counts"
                self._aside("", {**self._place(before), "client_id": client, "wrong": wrong})
        try:
            self._records.append(self._parse(raw))
        except RecordError:
            self._aside(client[:100], raw)

    def _place(self, line: int) -> dict[str, Any]:
        return {"file": self._version.name, "line": line, "file_at": self._at}

    def _aside(self, name: str, raw: Mapping[str, Any]) -> None:
        if not name:
            self.nameless += 1
            name = _unnamed(self.nameless)
        try:
            self._parse(raw)
        except RecordError as error:
            brand = str(raw.get("brand") or "")[:100]
            self._rejects.append(Reject(name, error.admin, brand, Kind.PROFILE, as_json(raw)))

    def done(self, cursor: str, complete_until: int | None = None, forget: Any = ()) -> Page:
        """The page; the next one begins."""
        page = Page(self._records, self._rejects, cursor, complete_until, forget=forget)
        self._records, self._rejects = [], []
        return page


class _Seen:
    """The clients of a file with their lines, on disk: files may be larger than memory."""

    def __init__(self) -> None:
        try:
            self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            cursor = self._database.cursor()
            cursor.execute("PRAGMA journal_mode = OFF")
            cursor.execute("PRAGMA synchronous = OFF")
            cursor.execute(
                "CREATE TABLE seen (brand BLOB, client BLOB, line INTEGER,"
                " PRIMARY KEY (brand, client)) WITHOUT ROWID"
            )
            cursor.execute("BEGIN")
            self._cursor = cursor
        except sqlite3.Error:
            raise _no_room() from None

    def before(self, brand: str, client: str, line: int) -> int:
        """The line on which the client stood before; 0 if this is the first time."""
        key = (storable(brand).encode(), storable(client).encode())
        try:
            self._cursor.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (*key, line))
            if self._cursor.rowcount:
                return 0
            self._cursor.execute("SELECT line FROM seen WHERE brand = ? AND client = ?", key)
            (found,) = self._cursor.fetchone()
            self._cursor.execute(
                "UPDATE seen SET line = ? WHERE brand = ? AND client = ?", (line, *key)
            )
            return int(found)
        except sqlite3.Error:
            raise _no_room() from None

    def close(self) -> None:
        """Forget all."""
        self._database.close()


def _no_room() -> RetryableError:
    return RetryableError("the folder for temporary files cannot be written: is its disk full?")


def _unnamed(number: int) -> str:
    """The name of a set-aside row that has no client id of its own: the n-th of its file."""
    return f"unnamed row {number}"


def as_json(row: Mapping[str, Any]) -> str:
    """A row as JSON text that every database takes."""
    text = json.dumps(dict(row), ensure_ascii=False, separators=(",", ":"), default=_plain)
    return storable(text)


def _plain(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
