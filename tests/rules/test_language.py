"""The language by example: meaning of blanks, units, messages, definitions, lint and parts."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from mapping.rules import (
    Fact,
    FactType,
    RuleError,
    Scope,
    condition,
    instant,
    lint,
    parts,
    value,
)
from tests.rules import world
from tests.rules.generator import DEFINITIONS

SCOPE = Scope(world.FACTS, DEFINITIONS)
HOUR, DAY = world.HOUR, world.DAY
CLIENT: dict[str, Any] = dict.fromkeys(world.FACTS) | {
    "id": 0, "registered_at": world.NOW - 2 * DAY, "disposition": "open", "source_type": "ad",
    "kyc_status": "not_started", "deposit_attempts": 0, "deposits": 0, "withdrawals": 0,
    "last_attempt_outcome": "none", "chargebacks_open": 0, "blocked_by_kyc": False,
    "duplicate": False,
}  # fmt: skip


def ask(url: str, text: str, **facts: Any) -> Any:
    """The value of a rule for one client who has these facts and no others."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    world.fill(engine, [CLIENT | facts])
    horizons = dict.fromkeys(world.FAMILIES, world.NOW)
    with engine.connect() as connection:
        column = world.compiler().value(value(text, SCOPE))
        return connection.execute(
            sa.select(column), world.parameters(world.NOW, horizons)
        ).scalar_one()


@pytest.mark.parametrize(
    ("text", "facts", "expected"),
    [
        # a comparison with a blank is no, its negation yes
        ("total_deposits >= 0", {}, 0),
        ("not (total_deposits >= 0)", {}, 1),
        ("campaign = ''", {}, 0),
        ("campaign <> ''", {}, 1),
        ("campaign not in ('a')", {}, 1),
        ("total_deposits not between 0 and 5", {}, 1),
        ("not (hours_since(first_deposit_at) < 24)", {}, 1),
        ("passed(first_deposit_at)", {}, 0),
        ("not passed(first_deposit_at)", {}, 1),
        ("first_deposit_at is null", {}, 1),
        ("total_deposits / deposits > 0", {"total_deposits": 500}, 0),
        ("not (total_deposits / deposits > 0)", {"total_deposits": 500}, 1),
        # regression (a): both sides of cond = cond have two values
        ("(campaign = 'x') = (total_deposits > 0)", {}, 1),
        ("(campaign = 'x') = (deposits = 0)", {}, 0),
        ("(campaign = 'x') <> (deposits = 0)", {}, 1),
        ("not ((campaign = 'x') = (total_deposits > 0))", {}, 0),
        # regression (b): starts_with on a blank is no
        ("starts_with(campaign, 'a')", {}, 0),
        ("not starts_with(campaign, 'a')", {}, 1),
        ("contains(campaign, 'a')", {}, 0),
        ("not contains(campaign, '')", {}, 1),
        ("starts_with(campaign, 'é')", {"campaign": "été"}, 1),
        ("starts_with(campaign, 'É')", {"campaign": "été"}, 0),
        ("contains(campaign, '%')", {"campaign": "abc"}, 0),
        # regression (c): a sum keeps its brackets under a division
        ("(deposits + withdrawals) / 3 >= 1", {"deposits": 1, "withdrawals": 2}, 1),
        ("(deposits + withdrawals) / 3 > 1", {"deposits": 1, "withdrawals": 2}, 0),
        ("3 / (deposits + withdrawals) <= 1", {"deposits": 1, "withdrawals": 2}, 1),
        ("2 * (deposits + withdrawals) = 6", {"deposits": 1, "withdrawals": 2}, 1),
        ("deposits - (withdrawals - 5) = 8", {"deposits": 5, "withdrawals": 2}, 1),
        # the division comes first: the product would give exactly 0.02
        (
            "0.1 * (deposits / withdrawals)",
            {"deposits": 1, "withdrawals": 5},
            0.020000000000000004,
        ),
        # units
        ("total_deposits >= 10000", {"total_deposits": 1_000_000}, 1),
        ("total_deposits >= 10000.01", {"total_deposits": 1_000_000}, 0),
        ("volume = 1.25", {"volume": 12_500}, 1),
        ("answered_in < 1.5", {"answered_in": 5_399_999}, 1),
        ("answered_in < 1.5", {"answered_in": 5_400_000}, 0),
        ("hours_since(first_deposit_at) >= 1.25", {"first_deposit_at": world.NOW - 4_500_000}, 1),
        ("hours_since(first_deposit_at) >= 1.25", {"first_deposit_at": world.NOW - 4_499_999}, 0),
        ("registered_at >= '2026-09-19'", {}, 1),
        ("registered_at >= '2026-09-20'", {}, 0),
        # functions of time
        ("hours_after(first_deposit_at, 24)", {}, None),
        ("hours_after(first_deposit_at, 1.5)", {"first_deposit_at": 1_000}, 5_401_000),
        ("days_after(registered_at, 1)", {}, world.NOW - DAY),
        ("minutes_after(registered_at, 10)", {}, world.NOW - 2 * DAY + 600_000),
        ("passed(days_after(registered_at, 2))", {}, 1),
        ("passed(minutes_after(days_after(registered_at, 2), 0.0001))", {}, 0),
        ("earliest(first_deposit_at, registered_at)", {}, world.NOW - 2 * DAY),
        ("latest(first_deposit_at, kyc_step_at)", {}, None),
        ("latest(first_deposit_at, kyc_step_at)", {"kyc_step_at": 7, "first_deposit_at": 5}, 7),
        ("greatest(first_deposit_at, registered_at)", {}, None),
        ("least(first_deposit_at, kyc_step_at)", {"kyc_step_at": 7, "first_deposit_at": 5}, 5),
        ("coalesce(first_deposit_at, kyc_step_at)", {"kyc_step_at": 7}, 7),
        ("hours_until(first_deposit_at) <= 2", {"first_deposit_at": world.NOW + 2 * HOUR}, 1),
        ("days_between(registered_at, first_deposit_at) > 1", {"first_deposit_at": world.NOW}, 1),
        # case, and conditions as values
        ("case when deposits > 0 then 'yes' end", {}, None),
        ("case when deposits > 0 then true else blocked_by_kyc end", {}, 0),
        ("deposits + withdrawals * 2", {"deposits": 1, "withdrawals": 3}, 7),
        ("not deposits = 1 or deposits = 1 and withdrawals = 1", {"deposits": 1}, 0),
        ("abs(withdrawals - deposits)", {"deposits": 5, "withdrawals": 2}, 3),
        ("total_deposits > threshold", {"total_deposits": 50_051}, 1),
    ],
)
def test_meaning(database_url: str, text: str, facts: dict[str, Any], expected: Any) -> None:
    assert ask(database_url, text, **facts) == expected


@pytest.mark.parametrize(
    ("text", "place", "marked", "message", "hint"),
    [
        ("kyc_status = 'aproved'", (1, 14), "'aproved'", "is not a kyc_status", "'approved'?"),
        ("kyc_status = 'xyz'", (1, 14), "'xyz'", "is not a kyc_status", "Its values are:"),
        ("kyc_statu = 'approved'", (1, 1), "kyc_statu", "neither a fact", "'kyc_status'?"),
        ("fundd and true", (1, 1), "fundd", "neither a fact", "'funded'?"),
        ("hours_sinc(kyc_step_at) > 1", (1, 1), "hours_sinc", "not a function", "'hours_since'?"),
        ("NOW() > registered_at", (1, 1), "NOW", "not a function", "passed(time)"),
        ("deposits = '1'", (1, 12), "'1'", "is text, but 'deposits' is a count", "without quotes"),
        ("true and not deposits", (1, 14), "deposits", "a condition is needed", "Compare it"),
        ("total_deposits > deposits", (1, 18), "deposits", "is a count, but", "Money is compared"),
        ("total_deposits >= 10000.005", (1, 19), "10000.005", "at most 2 digits", ""),
        ("total_deposits * 1.5 > 1", (1, 18), "1.5", "whole number only", "both sides"),
        (
            "hours_since(kyc_step_at) > days_since(kyc_step_at)",
            (1, 28), "days_since(kyc_step_at)", "elapsed time in days", "same unit",
        ),
        ("deposits > 0\n  and campaign > 'a'", (2, 7), "campaign > 'a'", "no order", "Use ="),
        ("total_deposits / deposits = 2", (1, 1), None, "never compared with '='", "between"),
        ("case when true then true end", (1, 1), None, "needs an 'else'", ""),
        ("deposits like 'x'", (1, 10), "like", "is expected here", "starts_with"),
        ("passed('2026-02-30')", (1, 8), "'2026-02-30'", "not a day that exists", ""),
        ("deposits * 9999999999 > 1", (1, 1), "deposits * 9999999999", "too large", ""),
        ("", (1, 1), "", "the rule is empty", ""),
    ],
)  # fmt: skip
def test_messages(
    text: str, place: tuple[int, int], marked: str | None, message: str, hint: str
) -> None:
    with pytest.raises(RuleError) as caught:
        condition(text, SCOPE, "states.CS5.when")
    error = caught.value
    assert (error.line, error.column) == place
    if marked is not None:
        assert error.source_line[error.column - 1 : error.end - 1] == marked
    assert message in error.message
    assert hint in error.hint
    shown = str(error).split("\n")
    assert shown[0].startswith(f"states.CS5.when: line {place[0]}, column {place[1]}: ")
    if marked:
        assert shown[1] == f"    {error.source_line}"
        assert shown[2] == "    " + " " * (place[1] - 1) + "^" * len(marked)


def test_an_error_can_be_placed_in_its_file() -> None:
    with pytest.raises(RuleError) as caught:
        condition("deposits > 0\nand nonsense", SCOPE, "states.CS5.when")
    placed = caught.value.with_origin("rules.yaml", 40)
    assert str(placed).startswith("states.CS5.when: rules.yaml, line 41 (rule line 2, column 5): ")
    assert (placed.file, placed.file_line) == ("rules.yaml", 40)
    assert str(placed) == placed.admin


def test_a_long_line_is_shown_round_the_fault() -> None:
    text = "deposits > 0 and " * 30 + "kyc_status = 'aproved'" + " and deposits > 0" * 20
    with pytest.raises(RuleError) as caught:
        condition(text, SCOPE)
    _, shown, carets, _ = str(caught.value).split("\n")
    assert len(shown) < 120
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "'aproved'"


@pytest.mark.parametrize(
    ("definitions", "where", "message"),
    [
        ({"a": "b", "b": "not c", "c": "a and true"}, "definitions.c", "a -> b -> c -> a"),
        ({"a": "a"}, "definitions.a", "a -> a"),
        ({"a": "nothing_known"}, "definitions.a", "neither a fact nor a definition"),
        ({"deposits": "1"}, "definitions.deposits", "the name of a fact already"),
        ({"abs": "1"}, "definitions.abs", "the name of a function already"),
        ({"and": "1"}, "definitions.and", "cannot be the name"),
        ({"a b": "1"}, "definitions.a b", "cannot be the name"),
    ],
)
def test_wrong_definitions(definitions: dict[str, str], where: str, message: str) -> None:
    with pytest.raises(RuleError, match=message) as caught:
        Scope(world.FACTS, definitions)
    assert caught.value.where == where


def test_definitions_that_double_at_each_step_are_stopped_by_their_size() -> None:
    definitions = {"d0": "deposits > 0"} | {f"d{i}": f"d{i - 1} and d{i - 1}" for i in range(1, 25)}
    with pytest.raises(RuleError, match="more than 400 parts"):
        Scope(world.FACTS, definitions)


def test_facts_and_families_are_those_of_definitions_too() -> None:
    expr = condition("big and hours_since(kyc_step_at) > 3", SCOPE)
    assert expr.facts == {"total_deposits", "disposition", "kyc_status", "kyc_step_at"}
    assert expr.families == {"psp", "registry", "kyc"}
    assert expr.type is FactType.BOOL


def test_money_takes_the_exponent_of_the_base_currency() -> None:
    facts = {"total": Fact("total", FactType.MONEY, "psp")}
    assert "0 digits" in _refusal("total > 1.5", Scope(facts, money_exponent=0))
    for exponent, stored in ((0, 15), (2, 1_500), (3, 15_000)):
        root = condition("total > 15", Scope(facts, money_exponent=exponent)).root
        assert root.right.value == stored  # type: ignore[attr-defined]


def _refusal(text: str, scope: Scope) -> str:
    with pytest.raises(RuleError) as caught:
        condition(text, scope)
    return str(caught.value)


def test_a_field_may_not_be_elapsed_time_and_a_since_must_be_a_time() -> None:
    for text in ("days_since(registered_at)", "age", "coalesce(hours_since(kyc_step_at), 3)"):
        with pytest.raises(RuleError, match="elapsed time changes at every moment"):
            value(text, SCOPE)
    assert value("days_between(registered_at, kyc_step_at)", SCOPE).type is FactType.DURATION
    with pytest.raises(RuleError, match="what is needed here is a time"):
        instant("deposits", SCOPE)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("not (hours_since(first_deposit_at) < 24)", [6]),
        ("funded and campaign <> 'x'", [12]),
        ("not (total_deposits >= 100 or blocked_by_kyc)", [6]),
        ("not passed(first_deposit_at)", [5]),
        ("(campaign = 'x') = funded", [2]),
        ("first_deposit_at is not null and not (hours_since(first_deposit_at) < 24)", []),
        ("not (first_deposit_at is null or hours_since(first_deposit_at) < 24)", []),
        ("hours_since(first_deposit_at) >= 24", []),
        ("kyc_status <> 'approved'", []),
        ("not (not (campaign = 'x'))", []),
        ("not (coalesce(total_deposits, 0) > 5)", []),
    ],
)
def test_lint_warns_of_blanks_under_a_negation(text: str, columns: list[int]) -> None:
    warnings = lint(condition(text, SCOPE))
    assert [warning.column for warning in warnings] == columns
    assert all("blank" in warning.message for warning in warnings)


def test_lint_points_at_a_definition_where_it_is_used() -> None:
    scope = Scope(world.FACTS, {"rich": "total_deposits > 5"})
    (warning,) = lint(condition("deposits > 0 and\n  not rich", scope))
    assert (warning.line, warning.column) == (2, 7)
    assert "total_deposits" in warning.message


def test_parts_of_an_explanation() -> None:
    text = "not excluded and (big or deposits >= 2) and not (kyc_status = 'approved' or duplicate)"
    shown = [(part.depth, part.text) for part in parts(condition(text, SCOPE))]
    assert shown == [
        (0, "not excluded"),
        (1, "disposition <> 'open'"),
        (1, "kyc_status = 'rejected_final'"),
        (0, "big or deposits >= 2"),
        (1, "big"),
        (2, "total_deposits >= 10000"),
        (2, "not excluded"),
        (1, "deposits >= 2"),
        (0, "not (kyc_status = 'approved' or duplicate)"),
        (1, "kyc_status = 'approved'"),
        (1, "duplicate"),
    ]
    big = parts(condition(text, SCOPE))[4]
    assert big.definition == "big"
    assert big.facts == {"total_deposits", "disposition", "kyc_status"}


def test_a_single_comparison_is_its_own_part() -> None:
    (part,) = parts(condition("deposits > 0", SCOPE))
    assert (part.text, part.depth, part.facts) == ("deposits > 0", 0, {"deposits"})
    assert [p.text for p in parts(condition("funded", SCOPE))] == ["funded", "deposits > 0"]


@pytest.mark.parametrize(
    "declare",
    [
        lambda: Fact("and", FactType.COUNT, "x"),
        lambda: Fact("a b", FactType.COUNT, "x"),
        lambda: Fact("flag", FactType.BOOL, "x", nullable=True),
        lambda: Fact("choice", FactType.ENUM, "x"),
        lambda: Fact("n", FactType.COUNT, "x", magnitude=2**60),
        lambda: Scope({"abs": Fact("abs", FactType.COUNT, "x")}),
        lambda: Scope({"a": Fact("b", FactType.COUNT, "x")}),
    ],
)
def test_a_senseless_fact_is_a_mistake_in_code(declare: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        declare()
