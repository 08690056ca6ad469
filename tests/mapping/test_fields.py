"""Rows of fields: mistakes at their lines, values worked out by hand, one digest a meaning."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from brokersync import bootstrap
from config import yaml_file
from mapping.fields import Clash, Field, Naming, property_name
from mapping.problems import RuleSetError
from mapping.ruleset import RuleSet, load
from mapping.transforms import Dated, Rounded, Unmapped, ValueMap

AT = 1_772_663_400_000  # 2026-03-04T22:30:00Z, the 5th in Nicosia
FAMILIES = ("registry", "kyc", "psp")
HEAD = """\
definitions:
  big: total_deposits >= 10000
stages:
  - {id: LS9, label: Funded, when: deposits > 0, since: first_deposit_at, team: sales}
  - {id: LS1, label: Registered, when: "true", since: registered_at, team: sales}
states: []
fields:
"""


def rules(rows: str, naming: Naming | None = None, families: tuple[str, ...] = FAMILIES) -> RuleSet:
    """A rule set with these rows of fields."""
    file = yaml_file.parse(HEAD + rows, "rules.yaml")
    return load(file.data, families, 2, naming, file.where)


def row(keys: str, property_: str = "p", type_: str = "string") -> str:
    """One row in flow style."""
    return f"  - {{property: {property_}, label: P, type: {type_}, {keys}}}\n"


def field(keys: str, type_: str = "string") -> Field:
    """The one field of a row."""
    return rules(row(keys, type_=type_)).mapped[0]


def refused(rows: str, naming: Naming | None = None) -> list[str]:
    """What an admin reads."""
    file = yaml_file.parse(HEAD + rows, "rules.yaml")
    with pytest.raises(RuleSetError) as error:
        load(file.data, FAMILIES, 2, naming, file.where)
    return [bootstrap._placed(problem, file) for problem in error.value.problems]


def text(found: Field, value: Any = None, zone: str = "Europe/Nicosia", **kept: str) -> str | None:
    """The field's text where the database computed ``value``."""
    return found.written({"p": value}, {k.replace("__", "."): v for k, v in kept.items()}, zone, 2)


# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "type_", "value", "expected"),
    [
        ("value: country", "string", "CY", "CY"),
        ("value: country", "string", "", ""),
        ("value: country, blank: keep", "string", "", None),
        ("value: country, blank: keep", "string", "CY", "CY"),
        ("value: first_deposit_at", "date", None, ""),
        ("value: registered_at", "date", AT, "2026-03-05"),
        ("value: registered_at", "datetime", AT, str(AT)),
        ("value: registered_at, date: DD.MM.YYYY", "string", AT, "05.03.2026"),
        ("value: registered_at, date: MM/DD/YYYY", "string", AT, "03/05/2026"),
        ("value: registered_at, date: YYYY", "string", AT, "2026"),
        ("value: registered_at, date: YYYY-MM-DD HH:MM", "string", AT, "2026-03-05 00:30"),
        ("value: first_deposit_at, date: YYYY", "string", None, ""),
        ("value: total_deposits", "number", 1234567, "12345.67"),
        ("value: total_deposits, number: {scale: 0.001, digits: 1}", "number", 1234567, "12.3"),
        ("value: total_deposits, number: {scale: 0.001, digits: 1}", "number", 5000, "0.1"),
        ("value: total_deposits, number: {digits: 0}", "string", 250, "3"),
        ("value: total_deposits, number: {digits: 0}", "string", -250, "-3"),
        ("value: total_deposits, number: {digits: 0}", "string", -20, "0"),
        ("value: deposits, number: {scale: 100}", "number", 7, "700"),
        ("value: deposits / 3, number: {digits: 2}", "number", 1 / 3, "0.33"),
        ("value: deposits / 3", "number", 1e-7, "0.0000001"),
        ("value: kyc_status, map: {approved: Yes, reset: 5}", "string", "approved", "Yes"),
        ("value: kyc_status, map: {approved: Yes, reset: 5}", "string", "reset", "5"),
        ("value: kyc_status, map: {approved: ok}", "string", "expired", ""),
        ("value: kyc_status, map: {approved: ok}, blank: keep", "string", "expired", None),
        ("value: kyc_status, map: {approved: ok}, unmapped: keep", "string", "expired", "expired"),
        ("value: country, map: {CY: Cyprus}, unmapped: refuse", "string", "DE", None),
        ("value: country, map: {CY: Cyprus}, unmapped: refuse", "string", "", ""),
        ("value: deposits > 0, map: {true: high, false: none}", "enumeration", 1, "high"),
        ("value: deposits > 0, map: {true: high, false: none}", "enumeration", False, "none"),
        ("value: deposits > 0, map: {true: 1, false: 0}", "number", 0, "0"),
        ("value: deposits, map: {0: none, 1: one}", "string", 1, "one"),
        ("value: kyc_status, map: {approved: true}, unmapped: blank", "bool", "approved", "true"),
        ("constant: north", "string", None, "north"),
        ("constant: 7", "number", None, "7"),
        ("constant: true", "bool", None, "true"),
        ("constant: 2026-01-31", "date", None, "2026-01-31"),
    ],
)
def test_values(keys: str, type_: str, value: object, expected: str | None) -> None:
    assert text(field(keys, type_), value) == expected


def test_values_the_hub_keeps() -> None:
    assert text(field("from: profile.stage_since", "date"), profile__stage_since=str(AT)) == (
        "2026-03-05"
    )
    due = field("from: tasks.next_action_due, date: YYYY-MM-DD")
    assert text(due, tasks__next_action_due=str(AT)) == "2026-03-05"
    assert text(due, tasks__next_action_due="") == ""
    stage = field("from: profile.stage, map: {LS1: lead, LS9: customer}", "enumeration")
    assert text(stage, profile__stage="LS9") == "customer"


def test_several_values_are_mapped_one_by_one() -> None:
    found = ValueMap({"CS3": "kyc", "CS5": "pay", "CS8": "kyc"})
    assert found.written("CS3;CS5;CS8;CS9", "UTC") == "kyc;pay"
    assert ValueMap({"CS3": "kyc"}, Unmapped.KEEP).written("CS3;CS9", "UTC") == "kyc;CS9"


def test_a_join_leaves_blanks_out() -> None:
    loaded = rules(row("join: [client.first_name, country, deposits], separator: ' / '"))
    found = loaded.mapped[0]
    assert [f.property for f in loaded.fields] == ["p", "p-1", "p-2"]
    kept = {"client.first_name": "Ada"}
    assert found.written({"p-1": "CY", "p-2": 3}, kept, "UTC", 2) == "Ada / CY / 3"
    assert found.written({"p-1": "", "p-2": None}, kept, "UTC", 2) == "Ada"
    assert found.written({"p-1": "", "p-2": None}, {"client.first_name": ""}, "UTC", 2) == ""


# --- mistakes ----------------------------------------------------------------------------------

MISTAKES = [
    ("value: registered_at", "string", "p.type", "a time cannot fill a string", "date: YYYY"),
    ("value: total_deposits", "string", "p.type", "a money cannot", "number: {digits: 2}"),
    ("value: deposits > 0", "enumeration", "p.type", "a yes or no", "map: {true: ..."),
    ("value: kyc_status", "bool", "p.type", "enumeration", "map: {...}"),
    ("value: kyc_status", "text", "p.type", "'text' is not one of", "string"),
    ("value: country", "enumeration", "p.type", "closed list", "`map`"),
    ("from: profile.stage_since", "string", "p.type", "a time cannot", "datetime"),
    ("from: profile.states", "string", "p.type", "several values", "checkboxes"),
    ("value: country, number: {digits: 1}", "number", "p.number", "`number` takes", "is a text"),
    ("value: deposits, number: {digits: 1}", "bool", "p.number", "type number or string", "bool"),
    ("value: deposits, number: {digits: 9}", "number", "p.number.digits", "0 to 6", ""),
    ("value: deposits, number: {digits: yes}", "number", "p.number.digits", "whole number", ""),
    ("value: deposits, number: {scale: 0}", "number", "p.number.scale", "not 0", "0.001"),
    ("value: deposits, number: {scale: many}", "number", "p.number.scale", "a number", ""),
    ("value: deposits, number: {round: 1}", "number", "p.number.round", "unknown key", "digits"),
    ("value: deposits, number: 2", "number", "p.number", "{scale: 0.001, digits: 0}", ""),
    ("value: registered_at, date: YY", "string", "p.date", "'YY' is not one of", "DD.MM.YYYY"),
    ("value: registered_at, date: YYYY", "date", "p.date", "type string", "not date"),
    ("value: country, date: YYYY", "string", "p.date", "takes time", "is a text"),
    ("value: kyc_status, map: {aproved: ok}", "string", "p.map.aproved", "'approved'?", ""),
    ("value: kyc_status, map: {approved: }", "string", "p.map.approved", '"" is no value', ""),
    ("value: kyc_status, map: {approved: x}", "number", "p.map.approved", "'x' cannot fill", "dot"),
    ("value: kyc_status, map: []", "string", "p.map", "our value: the portal's value", ""),
    ("value: kyc_status, map: {approved: ok}, unmapped: drop", "string", "p.unmapped", "keep", ""),
    ("value: kyc_status, map: {approved: ok}, unmapped: refuse", "string", "p.map", "missing:",
     "not_started"),
    ("value: deposits, map: {one: 1}", "string", "p.map.one", "no whole number", ""),
    ("value: registered_at, map: {a: b}", "string", "p.map", "`map` takes", "is a time"),
    ("value: kyc_status, map: {approved: 1}, unmapped: keep", "number", "p.unmapped", "blank", ""),
    ("from: client.email, map: {a: b}", "string", "p.map", "own text", ""),
    ("from: client.mail", "string", "p.from", "client.email", ""),
    ("value: country, unmapped: keep", "string", "p.unmapped", "beside `map`", ""),
    ("value: country, separator: x", "string", "p.separator", "beside `join`", ""),
    ("value: country, map: {a: b}, date: YYYY", "string", "p.map", "one transform", ""),
    ("constant: a, map: {a: b}", "string", "p.map", "do not go together", ""),
    ("constant: a", "number", "p.constant", "'a' cannot fill", "with a dot"),
    ("constant: 31.1.2026", "date", "p.constant", "a day such as", ""),
    ("constant: 2026-01-01", "datetime", "p.constant", "fixed time", ""),
    ("constant: ''", "string", "p.constant", "expected a text", ""),
    ("join: [country]", "string", "p.join", "two or more", ""),
    ("join: [country, registered_at]", "string", "p.join.1", "cannot be joined", ""),
    ("join: [country, device]", "number", "p.type", "a text cannot fill", "string"),
    ("join: [country, contry]", "string", "p.join.1", "'country'?", ""),
    ("value: country, from: client.email", "string", "fields.p:", "exactly one of", "join"),
    ("label: x", "string", "fields.p:", "exactly one of", "constant"),
    ("value: country, blank: no", "string", "p.blank", "write, keep", ""),
    ("value: country, existing: no", "string", "p.existing", "true or false", ""),
    ("value: country, add_options: true", "string", "p.add_options", "enumeration", ""),
    ("value: country, target: x", "string", "p.target", "unknown key", ""),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "type_", "path", "says", "also"), MISTAKES)
def test_a_mistake_is_named_with_its_line(
    keys: str, type_: str, path: str, says: str, also: str
) -> None:
    if keys.startswith("label"):
        found = refused(f"  - {{property: p, type: {type_}, {keys}}}\n")
    else:
        found = refused(row(keys, type_=type_))
    line = HEAD.count("\n") + 1
    assert "rules.yaml, line " in found[0]
    assert all(f"line {line}" in one for one in found), found
    assert any(path in one and says in one and also in one for one in found), found


def test_the_line_of_an_entry_of_a_map() -> None:
    rows = (
        "  - property: p\n    label: P\n    type: string\n    value: kyc_status\n"
        "    map:\n      approved: ok\n      expird: old\n"
    )
    [found] = refused(rows)
    line = HEAD.count("\n") + 7
    assert found.startswith(f"rules.yaml, line {line}: fields.p.map.expird: ")
    assert "Did you mean 'expired'?" in found


def test_two_rows_into_one_property_are_refused_with_both_lines() -> None:
    first, line = "value: country", HEAD.count("\n") + 1
    for second in ("p", "brokerage_p"):
        [found] = refused(row(first) + row("value: device", second))
        assert found.startswith(f"rules.yaml, line {line + 1}: fields.")
        assert "the property brokerage_p stands twice" in found
        assert found.endswith(f"the other one: rules.yaml, line {line}")
    # The portal's own property p is another one, unless nothing is prefixed.
    both = row(first) + row("value: device, existing: true")
    assert len(rules(both).mapped) == 2
    [found] = refused(both, Naming(prefix=""))
    assert "the property p stands twice" in found


def test_a_row_that_is_off_takes_its_property_all_the_same() -> None:
    both = row("value: deposits", type_="number") + row("value: country")
    with pytest.raises(RuleSetError):
        rules(both, families=("registry",))
    found = rules(row("join: [country, deposits]"), families=("registry",))
    assert (found.fields, found.off["p"]) == ((), "psp")


def test_names() -> None:
    assert property_name("brokerage_", "country") == "brokerage_country"
    assert property_name("brokerage_", "brokerage_country") == "brokerage_country"
    assert property_name("brokerage_", "broker_client_id") == "broker_client_id"
    assert property_name("brokerage_", "broker_name") == "brokerage_broker_name"
    assert property_name("", "country") == "country"
    assert property_name("brokerage_", "country", native=True) == "country"
    [found] = refused(row("value: country", "broker_client_id"))
    assert "kept by the hub itself" in found
    [found] = refused(row("value: country", "a" * 80), Naming(prefix="x" * 24 + "_"))
    assert "105 characters" in found


def test_decisions_on_clashes() -> None:
    naming = Naming("", {"p": Clash.RENAME, "q": Clash.ADOPT})
    both = row("value: country") + row("value: device", "q")
    found = {f.property: f.clash for f in rules(both, naming).mapped}
    assert found == {"p_hub": Clash.RENAME, "q": Clash.ADOPT}


# --- digest ------------------------------------------------------------------------------------

SAME = [
    (row("value: country"), row("value: country, blank: write, owner: hub, existing: false")),
    (row("value: country, native: true"), row("value: country, existing: true")),
    (row("value: deposits > 0", type_="bool"), row("value: 'deposits  >  0'", type_="bool")),
    (row("value: (deposits > 0)", type_="bool"), row('value: "deposits > 0"', type_="bool")),
    (row("value: big", type_="bool"), row("value: total_deposits >= 10000.00", type_="bool")),
    (row("value: country, map: {a: b, c: d}"), row("value: country, map: {'c': d, a: 'b'}")),
    (
        row("value: deposits, number: {scale: 0.50}", type_="number"),
        row("value: deposits, number: {scale: '0.5'}", type_="number"),
    ),
    (
        row("value: country") + row("value: device", "q"),
        row("value: device", "q") + row("value: country"),
    ),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spelling_does_not_change_the_digest(one: str, other: str) -> None:
    assert rules(one).digest == rules(other).digest
    assert rules("# a remark\n" + one).digest == rules(one).digest


def test_every_change_of_a_row_changes_the_digest() -> None:
    rows = [
        row("value: country"),
        row("value: device"),
        row("value: country", "q"),
        row("value: country, existing: true"),
        row("value: country, blank: keep"),
        row("value: country, owner: person"),
        row("value: country, map: {a: b}"),
        row("value: country, map: {a: c}"),
        row("value: country, map: {a: b}, unmapped: keep"),
        row("constant: a"),
        row("constant: b"),
        row("join: [country, device]"),
        row("join: [device, country]"),
        row("join: [country, device], separator: /"),
        row("value: total_deposits, number: {digits: 1}"),
        row("value: total_deposits, number: {digits: 2}"),
        row("value: total_deposits, number: {digits: 1, scale: 10}"),
        row("value: registered_at, date: YYYY"),
        row("value: registered_at, date: YYYY-MM"),
        row("from: client.email"),
        row("value: big", type_="bool"),
        row("value: total_deposits >= 10001", type_="bool"),
        row("value: not big", type_="bool"),
    ]
    digests = [rules(one).digest for one in rows]
    digests.append(rules(rows[0], Naming(prefix="x_")).digest)
    digests.append(rules(rows[0], Naming("brokerage_", {"brokerage_p": Clash.RENAME})).digest)
    assert len(set(digests)) == len(digests)


def test_transforms_say_what_they_do() -> None:
    assert str(Rounded(Decimal("0.001"), 1)) == "times 0.001, digits: 1"
    assert str(Dated("YYYY")) == "YYYY"
    assert str(ValueMap({"a": "b"})) == "map of 1, others: blank"
