"""What commands print: tables for people, one JSON object with ``--json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_SPACE = 100


class Output:
    """Prints to standard output; messages about the work go to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        width = None if sys.stdout.isatty() else _SPACE
        self._out = Console(width=width, highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, width=width, highlight=False, soft_wrap=True)

    @property
    def interactive(self) -> bool:
        """Whether a person watches: progress bars are worth drawing."""
        return self._err.is_terminal and not self.as_json

    @property
    def errors(self) -> Console:
        """The console of standard error."""
        return self._err

    def object(self, value: Mapping[str, Any]) -> None:
        """The one JSON object of a command."""
        sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=False) + "\n")

    def line(self, text: str = "") -> None:
        """A line for a person; nothing with ``--json``."""
        if not self.as_json:
            self._out.print(escape(text))

    def heading(self, text: str) -> None:
        """A heading for a person."""
        if not self.as_json:
            self._out.print(f"\n[bold]{escape(text)}[/bold]")

    def note(self, text: str) -> None:
        """A remark about the work, on standard error."""
        self._err.print(escape(text))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
        """A table for a person; numbers to the right. ``empty`` is said when there is no row."""
        if self.as_json:
            return
        if not rows:
            self._out.print(escape(empty))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for place, name in enumerate(columns):
            numeric = all(isinstance(r[place], int | float) for r in rows)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*[escape(_cell(v)) for v in row])
        self._out.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def instant(at: int | None) -> str:
    """An instant for a person: ``2026-03-02 09:00 UTC``; blank when there is none."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def iso(at: int | None) -> str | None:
    """An instant for a program."""
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z")
