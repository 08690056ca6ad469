"""The rows of one sObject, and the keys they are found by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from simulator.salesforce.fields import Field
from simulator.salesforce.problems import SalesforceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.salesforce.definitions import Standard

MAX_EXTERNAL_IDS = 25  # documented: external ids of one object
Values = dict[str, Any]
"""A row: a value by each field's own name, blanks left out. Never changed, always replaced."""


class Undo:
    """Steps that take changes back, while somebody may want that."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], None]] | None = None

    def remember(self, step: Callable[[], None]) -> None:
        """Keep a step, if anybody listens."""
        if self.steps is not None:
            self.steps.append(step)


class Table:
    """Rows by id; deleted ones stay (the recycle bin) and have no keys."""

    def __init__(self, standard: Standard, undo: Undo, more: Sequence[Field] = ()) -> None:
        self.name = standard.name
        self.prefix = standard.prefix
        self.label = standard.label
        self.plural = standard.plural
        self.fields: dict[str, Field] = {}
        self.rows: dict[str, Values] = {}
        self.keys: dict[str, dict[str, dict[str, None]]] = {}
        self._undo = undo
        for field in (*standard.fields, *more):
            self.define(field)

    def define(self, field: Field) -> None:
        """Add a field, or change one.

        Raises:
            SalesforceError: too many external ids (documented limit, assumed code and words).
        """
        if field.external_id:
            others = sum(f.external_id and f.name != field.name for f in self.fields.values())
            if others >= MAX_EXTERNAL_IDS:
                raise SalesforceError(
                    "NUMBER_OUTSIDE_VALID_RANGE",
                    f"Maximum number of external ids reached: {MAX_EXTERNAL_IDS}",
                )
        self.fields[field.name.lower()] = field
        self.keys.pop(field.name, None)
        if field.key and field.name != "Id":
            self.keys[field.name] = {}
            for row_id, row in self.rows.items():
                if not row.get("IsDeleted"):
                    self._index(row_id, row, only=field)

    def change_picklist(self, name: str, **changes: Any) -> None:
        """Change a field's definition in place."""
        field = self.fields[name.lower()]
        self.fields[name.lower()] = replace(field, **changes)

    def find(self, field: Field, value: str) -> list[str]:
        """Ids of the live rows that have a key."""
        if field.name == "Id":
            row = self.rows.get(value)
            return [] if row is None or row.get("IsDeleted") else [value]
        return list(self.keys[field.name].get(field.folded(str(value)), ()))

    def live(self) -> Iterator[Values]:
        """Rows that are not deleted, in the order of creation."""
        return (row for row in self.rows.values() if not row.get("IsDeleted"))

    def put(self, row_id: str, row: Values | None) -> None:
        """Make ``row`` what the id stands for; None takes it away for good."""
        old = self.rows.get(row_id)
        self._undo.remember(partial(self.put, row_id, old))
        if old is not None and not old.get("IsDeleted"):
            for name, taken in self.keys.items():
                if old.get(name) is not None and (row is None or row.get(name) != old[name]):
                    self._forget(taken, self.fields[name.lower()], old[name], row_id)
        if row is None:
            del self.rows[row_id]
            return
        self.rows[row_id] = row
        if row.get("IsDeleted"):
            for name, taken in self.keys.items():
                if row.get(name) is not None:
                    self._forget(taken, self.fields[name.lower()], row[name], row_id)
        else:
            self._index(row_id, row)

    def _index(self, row_id: str, row: Values, only: Field | None = None) -> None:
        names = self.keys if only is None else [only.name]
        for name in names:
            value = row.get(name)
            if value is not None:
                key = self.fields[name.lower()].folded(str(value))
                self.keys[name].setdefault(key, {})[row_id] = None

    @staticmethod
    def _forget(
        taken: dict[str, dict[str, None]], field: Field, value: object, row_id: str
    ) -> None:
        key = field.folded(str(value))
        holders = taken.get(key, {})
        holders.pop(row_id, None)
        if not holders:
            taken.pop(key, None)
