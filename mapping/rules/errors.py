"""The one error of the rule language: it names what is wrong and points at it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mapping.errors import ConfigError

# A longer source line is shown as a window round the fault.
_WINDOW = 100


class Span(NamedTuple):
    """Offsets of a piece of a rule's text; ``end`` is one past its last character."""

    start: int
    end: int


class RuleError(ConfigError):
    """A rule that cannot be used; the only exception the rule language raises on any input.

    Attributes:
        message: what is wrong, one sentence without its place.
        hint: what to do about it, or "".
        where: the rule's name, such as ``states.CS5.when``, or "".
        line, column: where the fault begins, counted from 1 inside the rule's text.
        end: the column one past the fault (on the same line).
        source_line: the line of the text that holds the fault.
        file, file_line: where the rule's text begins, once ``with_origin`` said so.
    """

    def __init__(
        self,
        message: str,
        text: str,
        span: Span,
        *,
        hint: str = "",
        where: str = "",
        file: str = "",
        file_line: int = 0,
    ) -> None:
        start = max(0, min(span.start, len(text)))
        line_start = text.rfind("\n", 0, start) + 1
        line_end = text.find("\n", start)
        self.source_line = text[line_start : len(text) if line_end < 0 else line_end]
        self.message, self.hint, self.where = _printable(message), _printable(hint), where
        self.file, self.file_line = file, file_line
        self.line = text.count("\n", 0, start) + 1
        self.column = start - line_start + 1
        last = max(self.column + 1, span.end - line_start + 1)
        self.end = min(last, max(len(self.source_line), self.column) + 1)
        self._text, self._span = text, span
        super().__init__(self._render())

    def with_origin(self, file: str, line: int) -> RuleError:
        """The same error for a rule whose text begins at ``line`` of ``file``."""
        return RuleError(
            self.message,
            self._text,
            self._span,
            hint=self.hint,
            where=self.where,
            file=file,
            file_line=line,
        )

    def _render(self) -> str:
        place = f"line {self.line}, column {self.column}"
        if self.file:
            place = f"{self.file}, line {self.file_line + self.line - 1} (rule {place})"
        head = f"{self.where}: {place}" if self.where else place
        first = max(0, self.column - 1 - _WINDOW // 2)
        shown = _one_width(self.source_line[first : first + _WINDOW])
        pad = "".join(" " if c != "\t" else c for c in shown[: self.column - 1 - first])
        carets = "^" * max(1, min(self.end - self.column, len(shown) - len(pad)))
        lines = [f"{head}: {self.message}", f"    {shown}".rstrip(), f"    {pad}{carets}"]
        return "\n".join([*lines, self.hint] if self.hint else lines)


@dataclass(frozen=True, slots=True)
class Source:
    """A rule's text and name: what an error needs besides its place."""

    text: str
    where: str = ""

    def error(self, span: Span, message: str, hint: str = "") -> RuleError:
        """An error that points at ``span`` of this text."""
        return RuleError(message, self.text, span, hint=hint, where=self.where)

    def slice(self, span: Span) -> str:
        """The text of ``span``, shortened for a message."""
        piece = " ".join(self.text[span.start : span.end].split())
        return piece if len(piece) <= 60 else piece[:57] + "..."


def suggest(word: str, known: Iterable[str]) -> str:
    """``Did you mean 'x'?`` for the nearest known word, else ""."""
    if len(word) > 60:
        return ""
    near = difflib.get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else ""


def _one_width(text: str) -> str:
    """``text`` with every character that would break a terminal line replaced by one dot."""
    return "".join(c if c == "\t" or c.isprintable() else "·" for c in text)


def _printable(text: str) -> str:
    return "".join(
        c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
