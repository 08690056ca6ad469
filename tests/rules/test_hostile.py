"""Whatever the text: a RuleError that points at its place, or a rule both engines agree on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import sqlalchemy as sa

from mapping.rules import Expr, Fact, FactType, RuleError, Scope, condition, instant, lint, parts
from mapping.rules.functions import FUNCTIONS, OPERATORS
from tests.rules import world
from tests.rules.agreement import compare
from tests.rules.generator import DEFINITIONS, Generator

SCOPE = Scope(world.FACTS, DEFINITIONS)

HOSTILE = (
    # statements, comments, subqueries, casts, engine functions
    "true; drop table facts", "true -- comment", "true /* comment */", "/* x */ true", "# true",
    "(select 1)", "deposits in (select 1)", "exists (select 1)", "deposits = any(array[1])",
    "deposits union select 1", "deposits::text = '1'", "cast(deposits as text) = '1'",
    "pg_sleep(10) is null", "load_extension('x') is null", "sqlite_version() = '3'",
    "current_setting('x') = ''", "lo_import('/etc/passwd') > 0", "readfile('/etc/passwd') = ''",
    "row_number() over () > 1", "count(*) > 0", "sum(deposits) > 0", "deposits filter (where true)",
    "deposits @> 1", "deposits -> 'a' = 1", "deposits ->> 'a' = 1", "deposits[1] = 1",
    "facts.deposits > 1", "public.facts.deposits > 1", "\"deposits\" > 1", "`deposits` > 1",
    "[deposits] > 1", "$1 > 0", ":now > 0", "? > 0", "%s > 0", "%(now)s > 0", "{{ 1 }}", "${x}",
    "{deposits} > 0", "__import__('os')", "lambda: 0", "deposits.__class__", "@deposits > 0",
    "deposits glob '*'", "deposits like '%'", "source_type similar to 'a'", "source_type ~ 'a'",
    "source_type regexp '(a+)+$'", "source_type collate nocase = 'a'", "deposits is true",
    "deposits is distinct from 1", "deposits isnull", "deposits notnull", "not", "and", "()", "( )",
    "(", ")", ",", "'", "''", "'''", "\"", "\\", "\\'", "'\\'", "1", "-1", "--1", "1.", ".5", "1e5",
    "1e400", "0x10", "1_000", "1.2.3", "1a", "99999999999999999999", "0.00001", "1/0", "0/0",
    "deposits / 0 > 1", "deposits / (1 - 1) > 1", "deposits % 2 = 0", "deposits ^ 2 = 0",
    "deposits || 'a' = 'b'", "deposits && true", "!true", "~deposits > 1", "deposits == 1",
    "deposits <=> 1", "deposits = = 1", "deposits > > 1", "deposits >", "> deposits", "in (1)",
    "deposits in ()", "deposits in (1,)", "deposits in 1", "deposits in (deposits)",
    "deposits in (null)", "null", "null = null", "deposits = null", "deposits is", "is null",
    "deposits between 1", "deposits between 1 or 2", "between 1 and 2", "case", "case end",
    "case when true then 1", "case true when true then true else true end", "case when true end",
    "case else true end", "when true then true", "true true", "deposits deposits", "not not",
    "passed()", "passed(registered_at, registered_at)", "passed registered_at", "passed(",
    "passed('2026-02-30')", "passed('2026-13-01')", "passed('0000-00-00')", "passed('9999-12-31')",
    "passed('2026-1-1')", "passed('now')", "passed('２０２６-01-01')", "passed(5)", "now() > 1",
    "today() > '2026-01-01'", "coalesce() = 1", "coalesce(1) = 1", "greatest(true, false)",
    "coalesce(blocked_by_kyc, true)", "least('a', 'b') = 'a'", "abs('a') = 1", "starts_with('a')",
    "starts_with(source_type, campaign)", "contains(source_type, 5)", "contains(deposits, '1')",
    "days_after(registered_at, deposits) = '2026-01-01'", "passed(days_after(registered_at, -1))",
    "passed(days_after(registered_at, 99999999999999))", "passed(days_after(registered_at, 'x'))",
    "deposits * 99999999999999999 > 1", "deposits * deposits * deposits * deposits > 1",
    "total_deposits * total_deposits > 1", "total_deposits * 1.5 > 1", "hours_since(registered_at)",
    "hours_since(registered_at) / 2 > 1", "hours_since(registered_at) * deposits > 1",
    "hours_since(registered_at) = 1", "hours_since(registered_at) > days_since(registered_at)",
    "registered_at + 1 > '2026-01-01'", "registered_at > 5", "kyc_status > 'approved'",
    "kyc_status = 'aproved'", "kyc_status = disposition", "kyc_status = source_type",
    "blocked_by_kyc < true", "blocked_by_kyc = 1", "blocked_by_kyc in (true)", "-blocked_by_kyc",
    "deposits and true", "not deposits", "deposits + 'a' > 1", "'a' + 'b' = 'ab'", "-'a' = 'b'",
    # characters
    "", " ", "\n\n", "\t", "\x00", "true\x00", "'a\x00b' = source_type", "'\ud800' = source_type",
    "source_type = '\x1b[31m'", "ｄeposits > 0", "dеposits > 0", "deposits\u00a0> 0",
    "deposits > ０", "deposits ＞ 0", "deposits\u2028> 0", "“x” = source_type", "true\ufeff", "😀",
    # size and depth
    "(" * 5_000 + "true" + ")" * 5_000, "not " * 900 + "true", "-" * 500 + "1 > 0",
    "- " * 290 + "deposits > 0", "(" * 290 + "true" + ")" * 290, "a" * 4_001, "a" * 3_999,
    "true and " * 1_000 + "true", "deposits + " * 290 + "1 > 0", "'" + "x" * 5_000 + "'",
    "coalesce(" * 290 + "1", "case when " * 290, "deposits in (" + "1, " * 590 + "1)",
    "1" * 18 + " = deposits", "greatest(" + "deposits, " * 25 + "1) > 0",
    "recent and " * 40 + "true", "(((deposits = 1) = true) = true) = (true = false)",
)  # fmt: skip

_WORDS = (
    *(operator for operator in OPERATORS if operator.isalpha()), "is", "null", "when", "then",
    "else", "end", "true", "false", "(", ")", "(", ")", ",", "=", "<>", "<", ">=", "+", "-", "*",
    "/", "0", "1", "7", "1.5", "'approved'", "'2026-01-31'", "''", "funded", "recent", "intent_at",
    "deposits", "total_deposits", "registered_at", "kyc_status", "kyc_step_at", "source_type",
    "campaign", "blocked_by_kyc", "volume", *FUNCTIONS,
)  # fmt: skip
_CHARACTERS = "abdeisnot_ 019.,()'\"=<>!+-*/%;:&|\\\n\t\x00é٣😀"


def read(text: str) -> Expr | None:
    """The rule, or None if it was refused in the only way allowed."""
    try:
        found = condition(text, SCOPE, "states.X.when")
    except RuleError as error:
        assert_points_into(error, text)
        return None
    assert lint(found) is not None
    assert parts(found)
    return found


def assert_points_into(error: RuleError, text: str) -> None:
    lines = text.split("\n")
    assert 1 <= error.line <= len(lines)
    assert error.source_line == lines[error.line - 1]
    assert 1 <= error.column <= len(error.source_line) + 1
    assert error.column < error.end <= len(error.source_line) + 2
    assert error.where == "states.X.when"
    assert f"line {error.line}, column {error.column}" in str(error)
    assert "^" in str(error)
    assert error.message


def mangled(rng: random.Random) -> str:
    """Random words, random characters, or a good rule with a wound."""
    kind = rng.randrange(5)
    if kind < 2:
        return " ".join(rng.choice(_WORDS) for _ in range(rng.randrange(1, 9)))
    if kind == 2:
        return "".join(rng.choice(_CHARACTERS) for _ in range(rng.randrange(1, 40)))
    text = Generator(rng.randrange(10**9)).condition(1)
    at = rng.randrange(len(text))
    if kind == 3:
        return text[:at] + text[at + rng.randrange(1, 4) :]
    words = text.split(" ")
    words[rng.randrange(len(words))] = rng.choice(_WORDS)
    return " ".join(words)


def agree_on(exprs: list[Expr], tmp_path: Path, postgres_url: str) -> None:
    clients = world.random_rows(random.Random(3), 40)
    engines = sa.create_engine(f"sqlite:///{tmp_path / 'h.db'}"), sa.create_engine(postgres_url)
    for engine in engines:
        world.fill(engine, clients)
    horizons = dict.fromkeys(world.FAMILIES, world.NOW)
    tally = compare(exprs, clients, *engines, world.NOW, horizons)
    for engine in engines:
        engine.dispose()
    assert not tally.examples, "\n".join(tally.examples)
    assert tally.engines_differ == tally.oracle_differs == tally.due_differs == 0


def test_hostile_texts_are_refused_or_harmless(tmp_path: Path, postgres_url: str) -> None:
    assert len(HOSTILE) >= 100
    accepted = [found for text in HOSTILE if (found := read(text)) is not None]
    # What is accepted is known: nothing else may slip in.
    assert [expr.text for expr in accepted if len(expr.text) < 300] == [
        "(((deposits = 1) = true) = true) = (true = false)"
    ]
    agree_on(accepted, tmp_path, postgres_url)


def test_random_strings_raise_nothing_but_the_rule_error(tmp_path: Path, postgres_url: str) -> None:
    rng = random.Random(77)
    texts = [mangled(rng) for _ in range(5_000)]
    accepted = [found for text in texts if (found := read(text)) is not None]
    assert 50 < len(accepted) < 4_000
    agree_on(accepted[:400], tmp_path, postgres_url)


def test_hostile_instants_and_definitions() -> None:
    places = set()
    for text in HOSTILE:
        for attempt in (
            lambda text=text: instant(text, SCOPE, "x"),
            lambda text=text: Scope(world.FACTS, {"x": text}),
        ):
            try:
                attempt()
            except RuleError as error:
                places.add((error.line >= 1, error.where))
    assert places == {(True, "x"), (True, "definitions.x")}


@pytest.mark.parametrize("given", [True, 5, None, 1.5, ["a"], {"a": 1}])
def test_what_yaml_reads_as_no_text_is_refused(given: object) -> None:
    with pytest.raises(RuleError, match="a rule is text"):
        condition(given, SCOPE, "x")  # type: ignore[arg-type]


def test_a_refused_rule_names_its_limit() -> None:
    wide = Scope({"n": Fact("n", FactType.COUNT, "psp")}, {"d": "n > 0 and n < 9 and n <> 5"})
    with pytest.raises(RuleError, match="more than 400 parts"):
        condition(" or ".join(["d"] * 60), wide)
    with pytest.raises(RuleError, match="at most 4000 characters"):
        condition("n > 0".ljust(4_001), wide)
    with pytest.raises(RuleError, match="at most 600 words"):
        condition("n > 0 and " * 200 + "n > 0", wide)
    with pytest.raises(RuleError, match="nested more than 32 deep"):
        condition("not " * 40 + "d", wide)
