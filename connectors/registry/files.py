"""A file of clients: which one it is, whether it is a new one, and its rows with their lines.

Streamed: nothing holds more than a row. A row that cannot be read costs only itself.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TextIO

import orjson

from connectors.registry.settings import RegistrySettings
from mapping.errors import ConfigError, RetryableError

MOST_LINE = 1_000_000
"""Longest line, characters; a field ends at the csv module's 131,072."""
_KEPT_TEXT = 2_000
_CHUNK = 1 << 20
# What an undecodable byte becomes, so that its line can be named.
_UNDECODED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a file. ``at`` is its time (ms), the rest tells states apart."""

    name: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    digest: str = ""

    @classmethod
    def of(cls, path: Path, stat: os.stat_result) -> Version:
        """The state a file is in, its content not looked at."""
        return cls(path.name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)

    @property
    def at(self) -> int:
        """When the file was last written, ms."""
        return self.mtime_ns // 1_000_000

    def untouched(self, other: Version | None) -> bool:
        """Whether nobody wrote or replaced the file since ``other``."""
        return other is not None and replace(self, digest="") == replace(other, digest="")

    def same_content(self, other: Version | None) -> bool:
        """Whether both hold the same bytes."""
        return other is not None and (self.size, self.digest) == (other.size, other.digest)


@dataclass(frozen=True, slots=True)
class Row:
    """A row by our column names, or what is ``wrong`` with it. ``line`` is the first it is on."""

    line: int
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    wrong: str = ""
    text: str = field(default="", repr=False)


class ClientFile:
    """The newest file that matches the setting ``file``.

    Args:
        folder: what a relative path starts from.
        name: the connection's, for errors.
    """

    def __init__(self, settings: RegistrySettings, folder: Path, name: str) -> None:
        self._settings = settings
        self._folder = folder
        self._name = name

    def find(self) -> tuple[Path, Version]:
        """The file there is now.

        Raises:
            ConfigError: none.
        """
        pattern = self._settings.file
        if not Path(pattern).is_absolute():
            pattern = str(Path(glob.escape(str(self._folder))) / pattern)
        found: list[tuple[Path, Version]] = []
        # A file whose own name has brackets in it need not be escaped.
        for text in sorted({*glob.glob(pattern), str(self._folder / self._settings.file)}):
            path = Path(text)
            with suppress(OSError):  # gone since it was listed
                if path.is_file():
                    found.append((path, Version.of(path, path.stat())))
        if not found:
            raise ConfigError(
                f"{self._name}: no file {self._settings.file!r} (setting file) in the folder"
                f" {self._folder}: check path and rights"
            )
        return max(found, key=lambda one: one[1].mtime_ns)

    @contextmanager
    def opened(self, path: Path) -> Iterator[OpenFile]:
        """The file, open for reading.

        Raises:
            ConfigError: it may not be read.
            RetryableError: reading broke off.
        """
        try:
            with path.open("rb") as raw:
                yield OpenFile(raw, path, self._settings, self._name)
        except PermissionError:
            raise ConfigError(
                f"{self._name}: {path.name} may not be read: check its rights"
            ) from None
        except OSError as error:
            raise RetryableError(
                f"{self._name}: {path.name} could not be read ({type(error).__name__})"
            ) from None


class OpenFile:
    """An open file of clients."""

    def __init__(self, raw: BinaryIO, path: Path, settings: RegistrySettings, name: str) -> None:
        self._raw, self._path, self._settings, self._name = raw, path, settings, name
        self.version = Version.of(path, os.fstat(raw.fileno()))

    def digested(self) -> Version:
        """Its state with a digest of its content."""
        digest = hashlib.blake2b(digest_size=16)
        while chunk := self._raw.read(_CHUNK):
            digest.update(chunk)
        self._raw.seek(0)
        self.version = replace(self.version, digest=digest.hexdigest())
        return self.version

    def unchanged(self) -> None:
        """Prove that nobody writes into the file we read.

        Raises:
            RetryableError: somebody does; what was read may be half of something.
        """
        now = os.fstat(self._raw.fileno())
        if (now.st_size, now.st_mtime_ns) != (self.version.size, self.version.mtime_ns):
            raise RetryableError(
                f"{self._name}: {self._path.name} was written to while it was read; it is read"
                " again at the next pull. Write an export under another name, then rename it"
            )

    def rows(self) -> Iterator[Row]:
        """Its rows, in order.

        Raises:
            ConfigError: columns are missing or there twice, or the encoding is another.
            RetryableError: it is empty, as an export that failed or has only begun.
        """
        if not self.version.size:
            raise RetryableError(
                f"{self._name}: {self._path.name} is empty: the export failed or is being written"
            )
        encoding = self._settings.encoding
        if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
            encoding = "utf-8-sig"
        text = io.TextIOWrapper(self._raw, encoding, errors="surrogateescape", newline="")
        try:
            lines = _Lines(text, self._undecoded)
            if self._settings.format == "csv":
                yield from _CsvRows(lines, self._settings, self._refused).rows()
            else:
                yield from _json_rows(lines, self._settings, self._refused)
        finally:
            text.detach()  # who opened the file closes it

    def _undecoded(self, line: int, *, about: bool) -> NoReturn:
        where = "at or after line" if about else "line"
        raise ConfigError(
            f"{self._name}: {self._path.name}, {where} {line}: this is not"
            f" {self._settings.encoding}; set encoding to what the file is written in (cp1252,"
            " iso-8859-1, utf-16 ...)"
        )

    def _refused(self, what: str) -> NoReturn:
        raise ConfigError(f"{self._name}: {self._path.name} {what}")


class _LongLineError(Exception):
    """A line beyond :data:`MOST_LINE`; it has been passed over."""


class _Lines:
    """The lines of a file, counted. Lines of a row that made no sense can be put back."""

    def __init__(self, text: TextIO, undecoded: Callable[..., NoReturn]) -> None:
        self.number = 0
        self.taken: list[str] = []
        self._text = text
        self._back: deque[str] = deque()
        self._undecoded = undecoded

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else self._read()
        self.number += 1
        self.taken.append(line)
        return line

    def begin(self) -> int:
        """A new row begins; the number of its first line."""
        self.taken.clear()
        return self.number + 1

    def put_back(self) -> str:
        """Only the first line taken is used up; its text, shortened."""
        again = self.taken[1:]
        self._back.extendleft(reversed(again))
        self.number -= len(again)
        return self.text()

    def text(self) -> str:
        """The first line taken, shortened."""
        return self.taken[0][:_KEPT_TEXT].rstrip("\r\n") if self.taken else ""

    def _read(self) -> str:
        try:
            line = self._text.readline(MOST_LINE)
        except UnicodeError:
            self._undecoded(self.number + 1, about=True)
        if not line:
            raise StopIteration
        if not line.isascii() and _UNDECODED.search(line):
            self._undecoded(self.number + 1, about=False)
        if len(line) == MOST_LINE and not line.endswith(("\n", "\r")):
            while (rest := self._text.readline(MOST_LINE)) and not rest.endswith(("\n", "\r")):
                pass
            self.number += 1
            self.taken.append(line[:_KEPT_TEXT])
            raise _LongLineError
        return line


def _too_long(lines: _Lines, line: int) -> Row:
    wrong = f"a line is longer than {MOST_LINE:,} characters"
    return Row(line, wrong=wrong, text=lines.text())


class _CsvRows:
    """Rows of a CSV file. What a stray quote swallows is read again from the next line on."""

    def __init__(
        self, lines: _Lines, settings: RegistrySettings, refused: Callable[[str], NoReturn]
    ) -> None:
        self._lines, self._settings, self._refused = lines, settings, refused
        self._reader = csv.reader(lines, delimiter=settings.delimiter_char, strict=True)

    def rows(self) -> Iterator[Row]:
        """See :meth:`OpenFile.rows`."""
        header, places = self._header()
        while True:
            line = self._lines.begin()
            try:
                fields = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(line, wrong=_csv_wrong(error), text=self._lines.put_back())
                continue
            except _LongLineError:
                yield _too_long(self._lines, line)
                continue
            if not fields:
                continue
            if len(fields) != len(header):
                wrong = f"the row has {len(fields)} fields, the header has {len(header)}"
                yield Row(line, wrong=wrong, text=self._lines.put_back())
            elif fields == header:
                yield Row(line, wrong="the header stands here again: files were put together")
            else:
                yield Row(line, {ours: fields[place] for ours, place in places.items()})

    def _header(self) -> tuple[list[str], dict[str, int]]:
        try:
            while not (header := next(self._reader)):
                pass
        except StopIteration:
            self._refused("has no header: its first line should name the columns")
        except (csv.Error, _LongLineError):
            self._refused(
                "has a header that cannot be read: its first line should name the columns"
                " (setting delimiter)"
            )
        names = [name.strip().lower() for name in header]
        wanted = self._settings.names()
        twice = sorted({theirs for theirs in wanted.values() if names.count(theirs.lower()) > 1})
        if twice:
            self._refused(f"has the columns {', '.join(twice)} twice: rename or remove one of each")
        missing = {o: t for o, t in wanted.items() if t.lower() not in names}
        if missing:
            self._refused(_lacks(missing, [h.strip()[:60] for h in header[:100]]))
        return header, {ours: names.index(theirs.lower()) for ours, theirs in wanted.items()}


def _csv_wrong(error: csv.Error) -> str:
    text = str(error)
    if "field larger" in text:
        return f"a field is longer than {csv.field_size_limit():,} characters (a quote not closed?)"
    if "end of data" in text:
        return "a quote is not closed"
    return "a quote stands where none may be (quotes within a quoted field are written twice)"


def _json_rows(
    lines: _Lines, settings: RegistrySettings, refused: Callable[[str], NoReturn]
) -> Iterator[Row]:
    """Rows of a file that holds one JSON object a line. A key that is not there is null."""
    wanted = settings.names()
    checked = False
    while True:
        line = lines.begin()
        try:
            text = next(lines)
        except StopIteration:
            return
        except _LongLineError:
            yield _too_long(lines, line)
            continue
        if not text.strip():
            continue
        value = _decoded(text)
        if not isinstance(value, dict):
            wrong = "the line is not a JSON object"
            yield Row(line, wrong=wrong, text=lines.text())
            continue
        if not checked:
            needed = {o: wanted[o] for o in settings.needed() if wanted[o] not in value}
            if needed:
                refused(_lacks(needed, [str(key)[:60] for key in [*value][:100]]))
            checked = True
        yield Row(line, {ours: value.get(theirs) for ours, theirs in wanted.items()})


def _decoded(text: str) -> Any:
    """A line's JSON; None where it is none."""
    try:
        return orjson.loads(text)
    except ValueError:
        pass
    try:  # half a surrogate pair, which orjson refuses: the row's field is to be named
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _lacks(missing: Mapping[str, str], found: list[str]) -> str:
    named = [t if t == o else f"{t} (for {o})" for o, t in missing.items()]
    return (
        f"lacks the columns {', '.join(named)}; it has {', '.join(found)}. Add them, or map or"
        " blank them in the setting columns (or is it another delimiter?)"
    )
