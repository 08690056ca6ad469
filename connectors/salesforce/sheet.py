"""The CSV of bulk jobs: records on their way out, and the answers that come back.

Documented for Bulk API 2.0: UTF-8, one kind of line ending (here LF), an empty cell leaves a field
as it is, ``#N/A`` clears it, a field has at most 131,072 characters and a record 400,000, a file at
most 150 MB once coded in base64. Answers repeat the columns that were sent, all cells in quotes
(seen in captures).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

CLEAR = "#N/A"
MOST_BYTES = 25_000_000
"""Of one file. Salesforce takes four times as much; it is in memory while it is sent."""
_LONGEST_VALUE, _LONGEST_RECORD = 131_072, 400_000
_LONGEST_CELL = 65_536  # an error repeats the value, and Python reads cells of 131,072
_ABSENT: Any = object()


class TooLongError(ValueError):
    """A value that no field of Salesforce takes; the argument is the field's API name."""


class UnfitError(ValueError):
    """A record that no file can say: it has to go by a call of its own kind."""


@dataclass(slots=True)
class Answer:
    """What became of one record. ``key`` is the cell of the column it was sent under.

    ``error`` is blank where it was written: ``CODE:message:fields--`` (seen in captures), whose
    message repeats clients' values.
    """

    key: str
    crm_id: str
    created: bool
    error: str = field(repr=False)


def line(row: Mapping[str, Any], names: Sequence[str]) -> bytes:
    """A record's line without its end.

    Raises:
        TooLongError: a value is refused by every field.
        UnfitError: a file cannot say it.
    """
    cells = []
    for name in names:
        value = row.get(name, _ABSENT)
        if value is _ABSENT:
            cells.append("")
        elif isinstance(value, str):
            if not value or value.isspace():
                # Salesforce cuts blanks off: nothing is left, and an empty cell says nothing.
                cells.append(CLEAR)
                continue
            if len(value) > _LONGEST_CELL or "#" in value:
                _check(name, value)
            # In quotes, so that commas, line breaks and blanks around it stay what they are.
            cells.append('"' + value.replace('"', '""') + '"')
        else:
            cells.append(_other(value))
    said = ",".join(cells)
    if len(said) > _LONGEST_RECORD:
        raise UnfitError("the record is too long for a file")
    return said.encode("utf-8", "replace")


def _check(name: str, value: str) -> None:
    if len(value) > _LONGEST_VALUE:
        raise TooLongError(name)
    if len(value) > _LONGEST_CELL or value.strip().upper() == CLEAR:
        raise UnfitError("a text that would clear the field, or be too long to be told of")


def _other(value: Any) -> str:
    if value is None:
        return CLEAR
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"  # no exponent
    raise UnfitError("neither text nor number")


class Writing:
    """A file that is being written.

    Args:
        most: bytes it may have; its first line it takes in any case.
    """

    def __init__(self, names: Sequence[str], most: int = MOST_BYTES) -> None:
        self._names = names
        self._most = most
        self._body = io.BytesIO()
        self._body.write(",".join(names).encode() + b"\n")
        self._lines = 0

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Add a record's line, if there is room for it.

        Raises:
            TooLongError, UnfitError: see :func:`line`.
        """
        said = line(row, self._names)
        if self._lines and self._body.tell() + len(said) >= self._most:
            return False
        self._body.write(said)
        self._body.write(b"\n")
        self._lines += 1
        return True

    def body(self) -> bytes:
        """The file; what was written is not kept."""
        found, self._body = self._body.getvalue(), io.BytesIO()
        return found


def answers(chunks: Iterable[bytes], key: str) -> Iterator[Answer]:
    """The lines of a file of answers as it arrives. An empty file has none.

    Args:
        key: the column that names the record.

    Raises:
        KeyError, ValueError: not such a file.
    """
    text = io.TextIOWrapper(io.BufferedReader(_Arriving(chunks)), "utf-8-sig", newline="")
    try:
        reader = csv.reader(text, strict=True)
        head = next(reader, None)
        if not head:
            return
        place = {name: at for at, name in enumerate(head)}
        at_id, at_new, at_error = (place.get(f"sf__{n}") for n in ("Id", "Created", "Error"))
        for row in reader:
            if len(row) != len(head):
                raise ValueError("lines of different lengths")
            yield Answer(
                row[place[key]],
                row[at_id] if at_id is not None else "",
                at_new is not None and row[at_new].lower() == "true",
                row[at_error] if at_error is not None else "",
            )
    except csv.Error as error:
        raise ValueError("no CSV") from error


class _Arriving(io.RawIOBase):
    """Chunks as a file to be read once."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See :class:`io.RawIOBase`."""
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
