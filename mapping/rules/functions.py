"""The closed list of functions and operators. Nothing outside it can be written in a rule."""

from __future__ import annotations

from dataclasses import dataclass

from mapping.rules.types import DAY, HOUR, MINUTE

MAX_ARGUMENTS = 20


@dataclass(frozen=True, slots=True)
class Function:
    """One function: how it is written, how many arguments it takes, the unit of its result."""

    signature: str
    least: int
    most: int
    unit: int = 0


FUNCTIONS = {
    "minutes_since": Function("minutes_since(time)", 1, 1, MINUTE),
    "hours_since": Function("hours_since(time)", 1, 1, HOUR),
    "days_since": Function("days_since(time)", 1, 1, DAY),
    "hours_until": Function("hours_until(time)", 1, 1, HOUR),
    "days_until": Function("days_until(time)", 1, 1, DAY),
    "hours_between": Function("hours_between(from, to)", 2, 2, HOUR),
    "days_between": Function("days_between(from, to)", 2, 2, DAY),
    "minutes_after": Function("minutes_after(time, number)", 2, 2, MINUTE),
    "hours_after": Function("hours_after(time, number)", 2, 2, HOUR),
    "days_after": Function("days_after(time, number)", 2, 2, DAY),
    "passed": Function("passed(time)", 1, 1),
    "earliest": Function("earliest(time, time, ...)", 2, MAX_ARGUMENTS),
    "latest": Function("latest(time, time, ...)", 2, MAX_ARGUMENTS),
    "coalesce": Function("coalesce(value, value, ...)", 2, MAX_ARGUMENTS),
    "greatest": Function("greatest(value, value, ...)", 2, MAX_ARGUMENTS),
    "least": Function("least(value, value, ...)", 2, MAX_ARGUMENTS),
    "abs": Function("abs(number)", 1, 1),
    "starts_with": Function("starts_with(text, 'literal')", 2, 2),
    "contains": Function("contains(text, 'literal')", 2, 2),
}

OPERATORS = (
    *("and", "or", "not", "=", "<>", "!=", "<", "<=", ">", ">="),
    *("between", "in", "is null", "is not null", "+", "-", "*", "/", "case"),
)

# Words people try, and what to write instead.
INSTEAD = {
    "like": "Use starts_with(text, 'x') or contains(text, 'x').",
    "ilike": "Use starts_with(text, 'x') or contains(text, 'x').",
    "now": "Use hours_since(time), hours_until(time) or passed(time).",
    "today": "Use days_since(time): the calendar is the business of service levels, not of rules.",
    "current_date": "Use days_since(time).",
    "current_timestamp": "Use hours_since(time).",
    "interval": "Use hours_after(time, number) or hours_since(time).",
    "min": "Use least(...) for numbers or earliest(...) for times.",
    "max": "Use greatest(...) for numbers or latest(...) for times.",
    "ifnull": "Use coalesce(value, value).",
    "nvl": "Use coalesce(value, value).",
    "if": "Use case when ... then ... else ... end.",
    "iif": "Use case when ... then ... else ... end.",
    "date": "Write a date as text beside a time: registered_at >= '2026-01-31'.",
    "blank": "Write 'is null'.",
    "empty": "Write 'is null'.",
    "none": "Write 'is null', or '...' in quotes for a word of a list.",
    "yes": "Write true.",
    "no": "Write false.",
    "minutes_until": "Use hours_until(time); parts of an hour are allowed.",
    "minutes_between": "Use hours_between(from, to); parts of an hour are allowed.",
}
