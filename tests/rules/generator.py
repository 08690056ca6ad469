"""Random well-typed rules as text, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from mapping.rules import Expr, Fact, FactType, RuleError
from tests.rules.world import FACTS

F = FactType
DEFINITIONS: Mapping[str, str] = {
    "excluded": "disposition <> 'open' or kyc_status = 'rejected_final'",
    "funded": "deposits > 0",
    "big": "total_deposits >= 10000 and not excluded",
    "threshold": "500.5",
    "rejected": "'rejected_retry'",
    "intent_at": "case when source_type in ('call_request', 'referral') then registered_at"
    " when hours_between(registered_at, first_attempt_at) <= 1 then first_attempt_at end",
    "age": "days_since(registered_at)",
    "recent": "age < 30 and (passed(intent_at) or not funded)",
}
_LITERALS = {
    F.COUNT: ("0", "1", "2", "3", "7", "-1", "2 + 1"),
    F.MONEY: ("0", "0.01", "100", "500.00", "10000", "-3.5", "threshold", "99.99 + 0.01"),
    F.LOTS: ("0", "1", "1.25", "40.0001"),
    F.DURATION: ("0", "1", "24", "0.25", "7", "-2", "24 * 3", "1.5"),
    F.RATIO: ("0", "0.5", "1", "0.3", "2.5", "-1"),
}
_TEXTS = (
    "''",
    "'call_request'",
    "'CALL'",
    "'Ünïcode ''quoted'''",
    "'%'",
    "'_'",
    "'再'",
    "'referral'",
)
_DATES = ("'2026-01-31'", "'2026-09-20'", "'2026-09-21'", "'1970-01-01'", "'2030-12-31'")


def accepted(read: Callable[[], Expr]) -> Expr:
    """What ``read`` makes of its next text; drawn anew where only its depth is refused."""
    while True:
        try:
            return read()
        except RuleError as error:
            if "nested too deeply" not in error.message:
                raise


class Generator:
    """Draws rules of every form; ``timely`` leans to elapsed time."""

    def __init__(self, seed: int, timely: bool = False) -> None:
        self.rng = random.Random(seed)
        self.timely = timely
        self._of: dict[FactType, list[Fact]] = {}
        for fact in FACTS.values():
            self._of.setdefault(fact.type, []).append(fact)

    def condition(self, depth: int = 3) -> str:
        """A yes/no rule."""
        rng = self.rng
        if depth <= 0 or rng.random() < 0.25:
            return self._leaf(depth)
        roll = rng.random()
        if roll < 0.62:
            word = rng.choice((" and ", " or "))
            count = rng.choice((2, 2, 3))
            return word.join(f"({self.condition(depth - 1)})" for _ in range(count))
        if roll < 0.80:
            return f"not ({self.condition(depth - 1)})"
        if roll < 0.86:
            sign = rng.choice(("=", "<>", "!="))
            return f"({self.condition(depth - 1)}) {sign} ({self.condition(depth - 1)})"
        if roll < 0.91:
            whens = " ".join(
                f"when {self.condition(depth - 2)} then {self.condition(depth - 2)}"
                for _ in range(rng.choice((1, 2)))
            )
            return f"case {whens} else {self.condition(depth - 2)} end"
        return self._leaf(depth)

    def time(self, depth: int = 2) -> str:
        """A rule that is an instant."""
        rng = self.rng
        if depth <= 0 or rng.random() < 0.4:
            return rng.choice([fact.name for fact in self._of[F.TIME]] + ["intent_at"])
        roll = rng.random()
        if roll < 0.3:
            unit, n = rng.choice(
                (("minutes", "10"), ("hours", "1.5"), ("days", "7"), ("days", "0"))
            )
            return f"{unit}_after({self.time(depth - 1)}, {n})"
        if roll < 0.6:
            name = rng.choice(("earliest", "latest", "earliest", "latest", "greatest", "least"))
            return f"{name}({self._several(lambda: self.time(depth - 1))})"
        if roll < 0.75:
            return f"coalesce({self._several(lambda: self.time(depth - 1))})"
        otherwise = f" else {self.time(depth - 1)}" if rng.random() < 0.5 else ""
        return f"case when {self.condition(depth - 1)} then {self.time(depth - 1)}{otherwise} end"

    def value(self) -> str:
        """A rule of any type that is no elapsed time."""
        kind = self.rng.choice((F.COUNT, F.MONEY, F.LOTS, F.RATIO, F.TEXT, F.ENUM, F.BOOL))
        if kind is F.TEXT:
            return f"case when {self.condition(1)} then {self._name(F.TEXT)} else 'none' end"
        if kind is F.ENUM:
            return f"case when {self.condition(1)} then kyc_status end"
        return self.condition(2) if kind is F.BOOL else self._number(kind, 2)

    # -- pieces -----------------------------------------------------------------------------------

    def _several(self, draw: Callable[[], str]) -> str:
        return ", ".join(draw() for _ in range(self.rng.choice((2, 2, 3))))

    def _name(self, kind: FactType) -> str:
        return self.rng.choice(self._of[kind]).name

    def _leaf(self, depth: int) -> str:
        rng = self.rng
        if self.timely and rng.random() < 0.7:
            return self._passing() if rng.random() < 0.2 else self._numeric(F.DURATION, depth)
        kind = rng.choice((F.BOOL, F.ENUM, F.ENUM, F.TEXT, F.TIME, F.TIME, F.COUNT, F.MONEY,
                           F.LOTS, F.DURATION, F.DURATION, F.DURATION, F.RATIO))  # fmt: skip
        match kind:
            case F.BOOL:
                named = [fact.name for fact in self._of[F.BOOL]]
                return rng.choice([*named, "funded", "excluded", "big", "recent", "true", "false"])
            case F.ENUM:
                return self._enum()
            case F.TEXT:
                return self._text()
            case F.TIME:
                return self._timed(depth)
        return self._numeric(kind, depth)

    def _enum(self) -> str:
        fact, rng = self.rng.choice(self._of[F.ENUM]), self.rng
        if rng.random() < 0.5:
            words = ", ".join(f"'{w}'" for w in rng.sample(fact.values, rng.choice((1, 2, 3))))
            return f"{fact.name} {rng.choice(('in', 'not in'))} ({words})"
        if fact.name == "kyc_status" and rng.random() < 0.3:
            return "kyc_status = rejected"
        side = f"'{rng.choice(fact.values)}'"
        if rng.random() < 0.2:
            side = f"coalesce({fact.name}, {side})"
        return f"{fact.name} {rng.choice(('=', '<>'))} {side}"

    def _text(self) -> str:
        name, rng = self._name(F.TEXT), self.rng
        roll = rng.random()
        if roll < 0.35:
            return f"{name} {rng.choice(('=', '<>'))} {rng.choice((*_TEXTS, 'campaign'))}"
        if roll < 0.55:
            return f"{rng.choice(('starts_with', 'contains'))}({name}, {rng.choice(_TEXTS)})"
        if roll < 0.8:
            return f"{name} {rng.choice(('in', 'not in'))} ({', '.join(rng.sample(_TEXTS, 2))})"
        return f"{name} is {rng.choice(('', 'not '))}null"

    def _timed(self, depth: int) -> str:
        rng, one = self.rng, self.time(depth - 1)
        roll = rng.random()
        if roll < 0.3:
            return f"{one} is {rng.choice(('', 'not '))}null"
        if roll < 0.5:
            return self._passing()
        if roll < 0.6:
            word = rng.choice(("between", "not between"))
            return f"{one} {word} {rng.choice(_DATES)} and {self.time(0)}"
        other = rng.choice(_DATES) if rng.random() < 0.4 else self.time(depth - 1)
        return f"{one} {rng.choice(('<', '<=', '>', '>=', '=', '<>'))} {other}"

    def _passing(self) -> str:
        return f"passed({self.time(2)})"

    def _numeric(self, kind: FactType, depth: int) -> str:
        rng, one = self.rng, self._number(kind, depth)
        signs = ["<", "<=", ">", ">="]
        exact = kind not in (F.RATIO, F.DURATION)
        roll = rng.random()
        if roll < 0.15:
            low, high = rng.choice(_LITERALS[kind]), self._number(kind, 0)
            return f"{one} {rng.choice(('between', 'not between'))} {low} and {high}"
        if roll < 0.22 and exact:
            words = ", ".join(rng.sample(_LITERALS[kind], 2))
            return f"{one} {rng.choice(('in', 'not in'))} ({words})"
        if roll < 0.28:
            return f"{one} is {rng.choice(('', 'not '))}null"
        other = rng.choice(_LITERALS[kind]) if rng.random() < 0.7 else self._number(kind, depth - 1)
        return f"{one} {rng.choice(signs + (['=', '<>'] if exact else []))} {other}"

    def _number(self, kind: FactType, depth: int) -> str:
        rng = self.rng
        if kind is F.RATIO:
            return self._ratio(depth)
        if depth <= 0 or rng.random() < 0.5:
            return self._atom(kind)
        roll = rng.random()
        one, two = self._number(kind, depth - 1), self._number(kind, depth - 1)
        if roll < 0.25:
            return f"({one} {rng.choice('+-')} {two})"
        if roll < 0.35:
            return f"{rng.choice(('2', '-1', '3', '0'))} * ({one})"
        if roll < 0.45:
            return f"-({one})"
        if roll < 0.55:
            return f"abs({one})"
        if roll < 0.85:
            literal = rng.choice(_LITERALS[kind])
            name = rng.choice(("coalesce", "greatest", "least"))
            return f"{name}({one}, {rng.choice((two, literal))})"
        otherwise = f" else {two}" if rng.random() < 0.6 else ""
        return f"case when {self.condition(depth - 2)} then {one}{otherwise} end"

    def _atom(self, kind: FactType) -> str:
        if kind is not F.DURATION:
            return self._name(kind)
        # One unit throughout: hours against days is refused.
        roll = self.rng.random()
        if roll < 0.55:
            return f"hours_since({self.time(1)})"
        if roll < 0.75:
            return f"hours_until({self.time(1)})"
        return "answered_in" if roll < 0.85 else f"hours_between({self.time(0)}, {self.time(0)})"

    def _ratio(self, depth: int) -> str:
        rng = self.rng
        over, under = (rng.choice((F.COUNT, F.MONEY, F.LOTS)) for _ in range(2))
        one = f"({self._name(over)} + {self._name(over)}) / {self._name(under)}"
        if depth <= 0 or rng.random() < 0.5:
            return rng.choice((one, f"{self._name(over)} / 3", f"{self._name(over)} / -0.25"))
        if rng.random() < 0.5:
            return f"2.5 * ({one}) - {self._name(under)} / {self._name(over)}"
        return f"{rng.choice(('greatest', 'least', 'coalesce'))}({one}, 0.5)"
