"""From text to tokens. Everything that is not on the list is refused here, with its place."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from mapping.rules.errors import Source, Span
from mapping.rules.types import KEYWORDS

MAX_CHARACTERS = 4_000
MAX_TOKENS = 600
_MAX_DIGITS, _MAX_DECIMALS = 17, 4

_SPACE = re.compile(r"[ \t\r\n]+")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_OPERATOR = re.compile(r"<>|!=|<=|>=|[=<>+\-*/(),]")
_REFUSED = (
    ("--", "comments are not part of a rule", ""),
    ("/*", "comments are not part of a rule", ""),
    ("==", "'==' is not an operator", "Write '='."),
    ("||", "'||' is not an operator", "Write 'or' between conditions."),
    ("&&", "'&&' is not an operator", "Write 'and' between conditions."),
    ('"', "text is written in single quotes", "Write 'text'."),
    ("!", "'!' is not an operator", "Write 'not', or '<>' for different."),
    (";", "a rule is one expression: ';' is not part of it", ""),
)


class Kind(Enum):
    """Kinds of token."""

    NAME = "name"
    KEYWORD = "keyword"
    NUMBER = "number"
    TEXT = "text"
    OPERATOR = "operator"
    END = "end"


class Token(NamedTuple):
    """``text`` is the keyword in lower case, the unquoted text, or the characters as written."""

    kind: Kind
    text: str
    span: Span


def tokens(source: Source) -> list[Token]:
    """The tokens of a rule, closed by an END token.

    Raises:
        RuleError: a character, number or text that the language does not have, or too much of it.
    """
    text = source.text
    if len(text) > MAX_CHARACTERS:
        raise source.error(
            Span(MAX_CHARACTERS, MAX_CHARACTERS + 1),
            f"a rule has at most {MAX_CHARACTERS} characters",
            "Give parts of it a name under definitions.",
        )
    found: list[Token] = []
    at = 0
    while True:
        space = _SPACE.match(text, at)
        at = space.end() if space else at
        if at == len(text):
            return [*found, Token(Kind.END, "", Span(at, at))]
        found.append(_token(source, at))
        at = found[-1].span.end
        if len(found) > MAX_TOKENS:
            raise source.error(
                found[-1].span,
                f"a rule has at most {MAX_TOKENS} words and signs",
                "Give parts of it a name under definitions.",
            )


def _token(source: Source, at: int) -> Token:
    text = source.text
    if word := _WORD.match(text, at):
        name = word.group()
        if name.lower() in KEYWORDS:
            return Token(Kind.KEYWORD, name.lower(), Span(*word.span()))
        return Token(Kind.NAME, name, Span(*word.span()))
    if text[at] in "0123456789":
        return _number(source, at)
    if text[at] == "'":
        return _quoted(source, at)
    for sign, message, hint in _REFUSED:
        if text.startswith(sign, at) and not (sign == "!" and text.startswith("!=", at)):
            raise source.error(Span(at, at + len(sign)), message, hint)
    if operator := _OPERATOR.match(text, at):
        return Token(Kind.OPERATOR, operator.group(), Span(*operator.span()))
    character = text[at]
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    raise source.error(Span(at, at + 1), f"'{shown}' has no meaning in a rule")


def _number(source: Source, at: int) -> Token:
    match = _NUMBER.match(source.text, at)
    assert match is not None  # noqa: S101 - the caller saw a digit
    span, written = Span(*match.span()), match.group()
    rest = re.compile(r"[A-Za-z0-9_.]+").match(source.text, span.end)
    if rest:
        raise source.error(
            Span(at, rest.end()),
            f"{source.slice(Span(at, rest.end()))} is not a number",
            "Write digits with at most one point, such as 1250 or 1.25.",
        )
    if len(written.replace(".", "")) > _MAX_DIGITS:
        raise source.error(span, f"a number has at most {_MAX_DIGITS} digits")
    if len(written.partition(".")[2]) > _MAX_DECIMALS:
        raise source.error(span, f"a number has at most {_MAX_DECIMALS} digits after the point")
    return Token(Kind.NUMBER, written, span)


def _quoted(source: Source, at: int) -> Token:
    text, parts, i = source.text, [], at + 1
    while True:
        end = text.find("'", i)
        if end < 0:
            raise source.error(
                Span(at, len(text)), "the quote is not closed", "A quote inside text is written ''."
            )
        parts.append(text[i:end])
        if not text.startswith("''", end):
            break
        i = end + 2
    for i in range(at + 1, end):
        # A NUL cannot be stored by PostgreSQL, half a surrogate pair by neither engine.
        if ord(text[i]) < 32 or 0x7F <= ord(text[i]) < 0xA0 or 0xD800 <= ord(text[i]) < 0xE000:
            raise source.error(
                Span(i, i + 1), f"text may not hold the control character U+{ord(text[i]):04X}"
            )
    return Token(Kind.TEXT, "'".join(parts), Span(at, end + 1))
