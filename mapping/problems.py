"""Mistakes of a rule set, collected with the path where each stands: all are seen at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from mapping.errors import ConfigError
from mapping.rules import RuleError


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the path where it stands, and what is wrong.

    ``text`` is the whole value at ``path`` and ``offset`` the place in it, where that is known;
    ``rule`` is the rule language's own error, which can name a file. ``also`` is the path of a
    second place that the mistake is made of.
    """

    path: str
    message: str
    text: str = ""
    offset: int = 0
    rule: RuleError | None = None
    also: str = ""

    def __str__(self) -> str:
        if self.rule:
            return str(self.rule)
        return f"{self.path}: {self.message}" + (f" (see {self.also})" if self.also else "")


class RuleSetError(ConfigError):
    """The rule set cannot be used; ``problems`` are all of its mistakes."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Problems:
    """Reads plain values and notes what is wrong with them."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def say(self, path: str, message: str, also: str = "") -> None:
        """Note a mistake."""
        self.found.append(Problem(path, message, also=also))

    def within(self, path: str, message: str, text: str, offset: int) -> None:
        """Note a mistake at one place of the text at ``path``."""
        self.found.append(Problem(path, message, text, offset))

    def rule(self, path: str, text: str, error: RuleError) -> None:
        """Note what the rule language says of the rule at ``path``."""
        before = text.split("\n")[: error.line - 1]
        offset = sum(len(line) + 1 for line in before) + error.column - 1
        self.found.append(Problem(path, error.message, text, offset, error))

    def keys(
        self, path: str, row: Mapping[str, Any], allowed: set[str], required: set[str]
    ) -> bool:
        """Note unknown and missing keys; whether all required ones are there."""
        prefix = f"{path}." if path else ""
        for key in row:
            if key not in allowed:
                self.say(f"{prefix}{key}", f"unknown key{near(str(key), allowed)}")
        missing = sorted(required - set(row))
        for key in missing:
            self.say(path or key, f"{key!r} is missing")
        return not missing

    def one_of(self, path: str, raw: object, valid: Iterable[str]) -> bool:
        """Note a word that is not on the list; whether it is."""
        words = tuple(valid)
        if isinstance(raw, str) and raw in words:
            return True
        self.say(path, f"{str(raw)[:40]!r} is not one of: {', '.join(words)}")
        return False

    def words(self, path: str, raw: object) -> str:
        """A text that is not blank, else blank and noted."""
        if isinstance(raw, str) and raw.strip():
            return raw
        self.say(path, "expected a text that is not blank")
        return ""

    def flag(self, path: str, raw: object) -> bool:
        """Yes or no, else no and noted."""
        if isinstance(raw, bool):
            return raw
        self.say(path, "expected true or false")
        return False

    def rule_text(self, path: str, raw: object) -> str:
        """A rule as text; YAML reads ``true`` and ``5`` as something else."""
        if isinstance(raw, bool):
            return str(raw).lower()
        if isinstance(raw, str | int | float) and str(raw).strip():
            return str(raw)
        self.say(path, "expected a rule such as deposits > 0; put it in quotes")
        return ""


def near(name: str, names: Iterable[str]) -> str:
    """What may have been meant, as the end of a sentence."""
    close = get_close_matches(name, sorted(names), n=1)
    return f". Did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(names)[:40])}"
