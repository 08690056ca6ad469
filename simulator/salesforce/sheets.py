"""The CSV of bulk jobs: what was uploaded, and the three files that answer it.

Documented: an empty cell leaves a field as it is, ``#N/A`` clears it; ``Account.Ext__c`` names a
parent by its key, ``Contact:Who.Ext__c`` one of several kinds. Recorded: all cells of the answers
are in quotes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simulator.salesforce.fields import Field
from simulator.salesforce.org import Org, View
from simulator.salesforce.store import Table
from simulator.salesforce.values import from_csv

DELIMITERS = {
    "COMMA": ",",
    "TAB": "\t",
    "SEMICOLON": ";",
    "PIPE": "|",
    "CARET": "^",
    "BACKQUOTE": "`",
}
ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
CLEAR = "#N/A"
Cells = list[str]


class SheetError(Exception):
    """A file that fails its whole job; the text is the job's ``errorMessage``."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """An uploaded file: its columns and rows, as they were sent."""

    columns: Cells
    rows: list[Cells]


def read_sheet(body: bytes, delimiter: str, ending: str) -> Sheet:
    """The file of a job.

    Raises:
        SheetError: line endings of the other kind (recorded), or no CSV (assumed words).
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SheetError("ClientInputError : the data is not UTF-8") from None
    head, newline, _ = text.partition("\n")
    # Assumed: the first line decides.
    if newline and head.endswith("\r") != (ending == "CRLF"):
        raise SheetError(
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is "
            f"{ending}"
        )
    try:
        lines = list(
            csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[delimiter], strict=True)
        )
    except csv.Error as broken:
        raise SheetError(f"ClientInputError : Failed to parse CSV: {broken}") from None
    filled = [line for line in lines if line]
    if not filled:
        return Sheet([], [])
    columns, *rows = filled
    if any(len(row) != len(columns) for row in rows):
        raise SheetError("ClientInputError : Failed to parse CSV: rows of different lengths")
    return Sheet(columns, rows)


def write_sheet(columns: Sequence[str], rows: Sequence[Sequence[str]], ending: str) -> bytes:
    """A file of answers."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator=ENDINGS[ending])
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode()


class Header:
    """The columns of a file by what they mean."""

    def __init__(self, org: Org, view: View, table: Table, columns: Sequence[str]) -> None:
        self._org = org
        self._view = view
        self._table = table
        self._columns = [self._column(name) for name in columns]

    def _column(self, name: str) -> tuple[Field, str, Field | None]:
        """Field, type of the parent named ("" for the only one), and the parent's key."""
        field = self._view.fields.get(name.lower())
        if field is not None:
            return field, "", None
        path, dot, key_name = name.partition(".")
        sobject, colon, relation = path.rpartition(":")
        parent = self._view.relations.get(relation.lower())
        if not dot or parent is None:
            raise SheetError(f"InvalidBatch : Field name not found : {name}")
        kind = sobject if colon else parent.references[0]
        table = self._org.tables.get(kind.lower())
        key = table.fields.get(key_name.lower()) if table is not None else None
        if key is None:
            raise SheetError(f"InvalidBatch : Field name not found : {name}")
        return parent, kind, key

    def record(self, cells: Sequence[str]) -> dict[str, Any]:
        """A row as the record of a collection."""
        out: dict[str, Any] = {"attributes": {"type": self._table.name}}
        for (field, kind, key), text in zip(self._columns, cells, strict=True):
            if text == "":
                continue
            if text == CLEAR:
                out[field.name] = None
            elif key is None:
                out[field.name] = from_csv(text, field)
            else:
                named = {"attributes": {"type": kind}, key.name: text}
                out[field.relationship or field.name] = named
        return out
