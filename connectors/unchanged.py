"""Lists that a vendor tells whole at each read, because it tells of no change: what of them is new.

The hub would store nothing of a row that says what it said before. To leave it out before it is
even understood spares all the rest.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

_MOST = 50_000
"""Rows that are remembered, some 10 MB; what lies beyond is handed over each time."""


class Unchanged:
    """The rows that were handed over, and are stored.

    A pull that is given the cursor which the last one ended with proves that all the last one
    handed over is stored: a page and its cursor are stored together. With any other cursor, what
    is remembered is forgotten, and everything is handed over.
    """

    def __init__(self) -> None:
        self._told: dict[Hashable, int] = {}
        self._ended: str | None = None

    def begin(self, cursor: str | None) -> None:
        """A pull begins."""
        if cursor is None or cursor != self._ended:
            self._told.clear()
        self._ended = None

    def same(self, key: Hashable, row: Mapping[str, Any]) -> bool:
        """Whether the row of this key says what it said when it was handed over last."""
        told = _digest(row)
        if told is not None and self._told.get(key) == told:
            return True
        if told is not None and (key in self._told or len(self._told) < _MOST):
            self._told[key] = told
        else:
            self._told.pop(key, None)
        return False

    def forget(self, key: Hashable) -> None:
        """The row could not be used: it is to be looked at again."""
        self._told.pop(key, None)

    def clear(self) -> None:
        """Everything is to be handed over again."""
        self._told.clear()

    def end(self, cursor: str) -> None:
        """A pull ends, with this cursor."""
        self._ended = cursor


def _digest(row: Mapping[str, Any]) -> int | None:
    try:
        return hash(tuple(row.items()))
    except TypeError:  # a cell that holds a list: rare enough to be read each time
        return None
