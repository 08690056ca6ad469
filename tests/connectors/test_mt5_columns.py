"""The columns that the connector asks for and the fake makes are those that real exports have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from connectors.mt5_sql.layout import OPTIONAL, SHAPES
from simulator.metatrader.tables import Shape, Tables
from tests.connectors import samples

# What the connector would use and no source of column facts shows: see the README, "Assumed".
ASSUMED = {("mt5_deals", "Fee"), ("mt5_groups", "Currency"), ("mt5_groups", "Group"),
           ("mt5_symbols", "Symbol_ID")}  # fmt: skip


def spec(vendor: str) -> dict[str, Any]:
    """The vendor's columns."""
    read: dict[str, Any] = samples.load(f"{vendor}/columns.json")
    return read


def columns(facts: dict[str, Any], table: str) -> set[str]:
    """All columns a table is known to have."""
    known = facts.get(table, {})
    lists = ("columns", "columns_seen", "columns_for_crm", "added_later")
    return {name for one in lists for name in known.get(one, {})}


@pytest.mark.parametrize(("profile", "vendor"), [("mt5", "mt5_sql"), ("mt4", "mt4_sql")])
def test_the_columns_that_are_needed_are_there(profile: str, vendor: str) -> None:
    facts = spec(vendor)
    tables = {"mt5": ("mt5_deals", "mt5_users"), "mt4": ("mt4_trades", "mt4_users")}[profile]
    for table, kind in zip(tables, ("deals", "users"), strict=True):
        assert set(SHAPES[profile][kind].split()) <= columns(facts, table)


def test_the_optional_columns_are_there() -> None:
    facts = spec("mt5_sql")
    for role, names in OPTIONAL.items():
        wanted = {(f"mt5_{role}", name) for name in names.split()}
        found = {(f"mt5_{role}", name) for name in columns(facts, f"mt5_{role}")}
        assert wanted - ASSUMED <= found, role


@pytest.mark.parametrize(("profile", "module"), [("mt5", "mt5.py"), ("mt4", "mt4.py")])
def test_every_column_a_query_names_is_known(profile: str, module: str) -> None:
    facts = spec(f"{profile}_sql")
    known = {name for table in facts if table.startswith("mt") for name in columns(facts, table)}
    known |= {name for _, name in ASSUMED}
    source = Path(__file__).parents[2] / "connectors" / "mt5_sql" / module
    text = source.read_text(encoding="utf-8")
    used = set(re.findall(r'\b[a-z]\w{0,3}\["([A-Z]\w+)"\]', text))
    used |= set(re.findall(r'\.get\("([A-Z]\w+)"', text))
    assert len(used) > 10
    assert used - known == set()


@pytest.mark.parametrize("profile", ["mt5", "mt4"])
def test_the_fake_has_no_column_that_exports_have_not(profile: str) -> None:
    facts = spec(f"{profile}_sql")
    tables = Tables(Shape(profile=profile, fee=True, yearly=(2026,)))
    for table in tables.metadata.tables.values():
        name = table.name.removesuffix("_2026")
        made = {(name, column.name) for column in table.c}
        assert made - {(name, c) for c in columns(facts, name)} - ASSUMED == set()
        if name in facts:
            assert {c.name for c in table.primary_key} == set(facts[name].get("pk", []))
