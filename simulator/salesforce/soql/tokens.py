"""The words of a SOQL statement."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass

from simulator.salesforce.problems import SalesforceError

_LETTERS = frozenset(string.ascii_letters + "_")
_NAME = _LETTERS | frozenset(string.digits + ".")
_NUMBER = frozenset(string.digits + string.ascii_letters + ".:+-")
_BLANK = frozenset(" \t\r\n")
_DOUBLE = ("!=", "<>", "<=", ">=")
_SINGLE = "=<>(),"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Token:
    """``kind``: name, text, number (dates, too), sign, end. ``at``: where it begins."""

    kind: str
    text: str
    at: int

    @property
    def word(self) -> str:
        """A name in upper case, to be compared with keywords; any other token is none."""
        return self.text.upper() if self.kind == "name" else ""


def malformed(statement: str, at: int, what: str, code: str = "MALFORMED_QUERY") -> SalesforceError:
    """A statement that is not understood: the words point at the place (assumed)."""
    start = max(0, at - 40)
    excerpt = " ".join(statement[start : at + 40].split())
    return SalesforceError(
        code, f"\n{excerpt}\n{' ' * (at - start)}^\nERROR at Row:1:Column:{at + 1}\n{what}"
    )


def tokens(statement: str) -> list[Token]:
    """All tokens, the last of which is the end.

    Raises:
        SalesforceError: a sign that belongs to no statement, or a text without its end.
    """
    return list(_scan(statement))


def _scan(statement: str) -> Iterator[Token]:
    at, end = 0, len(statement)
    while at < end:
        char = statement[at]
        if char in _BLANK:
            at += 1
            continue
        if char == "'":
            text, after = _text(statement, at)
            yield Token("text", text, at)
        elif char in _LETTERS:
            after = _name_end(statement, at)
            yield Token("name", statement[at:after], at)
        elif char.isdigit() or char in "+-.":
            after = _run(statement, at, _NUMBER)
            yield Token("number", statement[at:after], at)
        elif statement[at : at + 2] in _DOUBLE:
            after = at + 2
            yield Token("sign", statement[at:after], at)
        elif char in _SINGLE:
            after = at + 1
            yield Token("sign", char, at)
        else:
            raise malformed(statement, at, f"unexpected token: '{char}'")
        at = after
    yield Token("end", "<EOF>", end)


def _run(statement: str, at: int, chars: frozenset[str]) -> int:
    while at < len(statement) and statement[at] in chars:
        at += 1
    return at


def _name_end(statement: str, at: int) -> int:
    """Behind a name, or a range of days with its number: ``LAST_N_DAYS:30``."""
    after = _run(statement, at, _NAME)
    ranged = "_N_" in statement[at:after].upper()
    if ranged and statement[after : after + 1] == ":":
        return _run(statement, after + 1, frozenset(string.digits))
    return after


def _text(statement: str, at: int) -> tuple[str, int]:
    """A quoted text, and where it ends. ``\\_`` and ``\\%`` stay as they are: LIKE reads them."""
    out: list[str] = []
    place = at + 1
    while place < len(statement):
        char = statement[place]
        if char == "'":
            return "".join(out), place + 1
        if char == "\\":
            escaped = statement[place + 1 : place + 2]
            if escaped in ("_", "%"):
                out.append(char + escaped)
            elif escaped in _ESCAPES:
                out.append(_ESCAPES[escaped])
            else:
                raise malformed(statement, place, f"Illegal string literal: \\{escaped}")
            place += 2
        else:
            out.append(char)
            place += 1
    raise malformed(statement, at, "unexpected end of string literal")
