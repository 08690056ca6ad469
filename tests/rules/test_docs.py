"""docs/rules.md lists exactly the functions and operators the code has, and its examples hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mapping.rules import Scope, value
from mapping.rules.check import MAX_NODES
from mapping.rules.functions import FUNCTIONS, MAX_ARGUMENTS, OPERATORS
from mapping.rules.lexer import MAX_CHARACTERS, MAX_TOKENS
from mapping.rules.parser import MAX_DEPTH
from tests.rules import world

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text of one section of the page."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_cells(title: str) -> list[str]:
    """The quoted pieces of the first column of a section's table."""
    rows = [line for line in section(title).splitlines() if line.startswith("| `")]
    return [piece for row in rows for piece in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def test_the_page_lists_the_functions() -> None:
    assert sorted(first_cells("Functions")) == sorted(f.signature for f in FUNCTIONS.values())


def test_the_page_lists_the_operators() -> None:
    assert sorted(first_cells("Operators")) == sorted(OPERATORS)


@pytest.mark.parametrize("text", section("Examples").strip().strip("`").strip().splitlines())
def test_the_examples_are_rules(text: str) -> None:
    assert value(text, Scope(world.FACTS)).text == text


def test_the_page_names_the_limits() -> None:
    limits = section("Limits")
    for limit in (MAX_CHARACTERS, MAX_TOKENS, MAX_NODES, MAX_ARGUMENTS, MAX_DEPTH):
        assert re.search(rf"\b{limit}\b", limits), limit
