"""The rule set: definitions, stages, states with their playbooks, and fields; checked as a whole.

Built from the plain data of a YAML file. Every mistake is collected with the path where it stands
(``states.CS5.due``), so that an admin sees all of them at once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from mapping.calendars import Term
from mapping.errors import ConfigError
from mapping.facts import FACTS
from mapping.rules import Expr, FactType, RuleError, Scope, condition, instant, value

VERSION = 1  # of the file's form, not of its content
TEAMS = (
    "sales",
    "onboarding",
    "payments",
    "support",
    "retention",
    "account_management",
    "affiliate_management",
    "risk",
    "compliance",
)
FIELD_TYPES = ("string", "number", "date", "datetime", "enumeration", "checkboxes", "bool")
HUB_VALUES = (
    "client.email",
    "client.first_name",
    "client.last_name",
    "client.phone",
    "profile.stage",
    "profile.stage_since",
    "profile.states",
    "tasks.next_action",
    "tasks.next_action_due",
)
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")
_ID = re.compile(r"[A-Za-z][A-Za-z0-9]{0,19}")
# Longer terms could, with a team that is hardly ever open, end after the calendar does.
_MAX_TERM_MINUTES, _MAX_TERM_DAYS = 24 * 60, 50
_DUE = re.compile(r"^(\d+) (minute|hour|day)s?$")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the path where it stands, and what is wrong.

    ``text`` is the whole value at ``path`` and ``offset`` the place in it, where that is known;
    ``rule`` is the rule language's own error, which can name a file.
    """

    path: str
    message: str
    text: str = ""
    offset: int = 0
    rule: RuleError | None = None

    def __str__(self) -> str:
        return str(self.rule) if self.rule else f"{self.path}: {self.message}"


class RuleSetError(ConfigError):
    """The rule set cannot be used; ``problems`` are all of its mistakes."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Stage:
    """One lifecycle stage; the first whose ``when`` holds is the client's."""

    id: str
    label: str
    when: Expr
    since: Expr
    team: str


@dataclass(frozen=True, slots=True)
class Sooner:
    """A shorter term where ``when`` holds."""

    when: Expr
    term: Term


@dataclass(frozen=True, slots=True)
class State:
    """One client state and its playbook."""

    id: str
    label: str
    when: Expr
    since: Expr
    owner: str
    term: Term
    action: str
    subject: str
    body: str
    sooner: Sooner | None = None
    cool_down_h: int = 24

    @property
    def context(self) -> frozenset[str]:
        """Facts the task's texts cite."""
        return frozenset(_PLACEHOLDER.findall(self.subject + self.body))


@dataclass(frozen=True, slots=True)
class Field:
    """One CRM property: an expression over facts, or a value the hub keeps (``hub``)."""

    property: str
    label: str
    type: str
    native: bool
    expr: Expr | None = None
    hub: str = ""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A checked rule set for the connected source families.

    ``off`` maps ids of stages, states and fields that read an unconnected source to that family.
    """

    stages: tuple[Stage, ...]
    states: tuple[State, ...]
    fields: tuple[Field, ...]
    off: Mapping[str, str]
    digest: str
    scope: Scope

    def stage(self, stage_id: str) -> Stage:
        """A stage by id (``KeyError`` if there is none)."""
        return next(s for s in self.stages if s.id == stage_id)

    def state(self, state_id: str) -> State | None:
        """A state by id, None if the rule set has none or it is off."""
        return next((s for s in self.states if s.id == state_id), None)


def load(data: Mapping[str, Any], connected: Iterable[str], money_exponent: int = 2) -> RuleSet:
    """Check plain data (from YAML) and build the rule set.

    Args:
        data: the parsed file.
        connected: source families somebody is connected for ("registry", "kyc", "psp").
        money_exponent: digits of the base currency.

    Raises:
        RuleSetError: every problem found, each with its path.
    """
    return _Loader(data, frozenset(connected), money_exponent).load()


class _Loader:
    def __init__(self, data: Mapping[str, Any], connected: frozenset[str], exponent: int) -> None:
        self.data = data
        self.connected = connected
        self.exponent = exponent
        self.problems: list[Problem] = []
        self.off: dict[str, str] = {}

    def load(self) -> RuleSet:
        keys = {"version", "definitions", "stages", "states", "fields"}
        self._keys("", self.data, keys, {"stages", "states", "fields"})
        if self.data.get("version", VERSION) != VERSION:
            self._say("version", f"this program reads version {VERSION} of the file's form")
        before = len(self.problems)
        definitions = self._definitions()
        if len(self.problems) > before:
            raise RuleSetError(self.problems)
        try:
            self.scope = Scope(FACTS, definitions, self.exponent)
        except RuleError as error:
            self._rule_error(error.where or "definitions", self._definition_text(error), error)
            raise RuleSetError(self.problems) from None
        stages = [s for row in self._rows("stages") if (s := self._stage(*row))]
        states = [t for row in self._rows("states") if (t := self._state(*row))]
        fields = [f for row in self._rows("fields") if (f := self._field(*row))]
        self._whole(stages, fields)
        if self.problems:
            raise RuleSetError(self.problems)
        text = json.dumps(
            [self.data, sorted(self.connected), self.exponent], sort_keys=True, default=str
        )
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return RuleSet(tuple(stages), tuple(states), tuple(fields), self.off, digest, self.scope)

    def _definitions(self) -> dict[str, str]:
        raw = self.data.get("definitions") or {}
        if not isinstance(raw, Mapping):
            self._say("definitions", "expected a mapping of name: expression")
            return {}
        return {str(k): self._text(f"definitions.{k}", v) for k, v in raw.items()}

    def _definition_text(self, error: RuleError) -> str:
        raw = self.data.get("definitions") or {}
        return str(raw.get(error.where.removeprefix("definitions."), ""))

    def _rows(self, section: str) -> list[tuple[str, Mapping[str, Any]]]:
        raw = self.data.get(section) or []
        if not isinstance(raw, list):
            self._say(section, "expected a list")
            return []
        rows: list[tuple[str, Mapping[str, Any]]] = []
        seen: set[str] = set()
        for number, row in enumerate(raw):
            if not isinstance(row, Mapping):
                self._say(f"{section}.{number}", "expected a mapping")
                continue
            name = str(row.get("id") or row.get("property") or number)
            if "id" in row and not (isinstance(row["id"], str) and _ID.fullmatch(row["id"])):
                self._say(
                    f"{section}.{name}.id",
                    "use up to 20 letters and digits, beginning with a letter",
                )
            if name in seen:
                self._say(f"{section}.{name}", f"{name!r} stands twice")
            seen.add(name)
            rows.append((f"{section}.{name}", row))
        return rows

    def _stage(self, path: str, row: Mapping[str, Any]) -> Stage | None:
        required = {"id", "label", "when", "since", "team"}
        if not self._keys(path, row, required, required):
            return None
        label = self._words(f"{path}.label", row["label"])
        self._one_of(f"{path}.team", row["team"], TEAMS)
        when = self._expr(f"{path}.when", row["when"], "condition")
        since = self._expr(f"{path}.since", row["since"], "instant")
        if when is None or since is None or self._is_off(row["id"], when, since):
            return None
        return Stage(row["id"], label, when, since, row["team"])

    def _state(self, path: str, row: Mapping[str, Any]) -> State | None:
        required = {"id", "label", "when", "since", "owner", "due", "action", "subject", "body"}
        if not self._keys(path, row, required | {"sooner", "cool_down_hours"}, required):
            return None
        self._one_of(f"{path}.owner", row["owner"], TEAMS)
        when = self._expr(f"{path}.when", row["when"], "condition")
        since = self._expr(f"{path}.since", row["since"], "instant")
        term = self._term(f"{path}.due", row["due"])
        sooner = self._sooner(f"{path}.sooner", row.get("sooner"))
        self._texts(path, row)
        cool_down = row.get("cool_down_hours", 24)
        if isinstance(cool_down, bool) or not isinstance(cool_down, int) or cool_down < 0:
            self._say(f"{path}.cool_down_hours", "expected a whole number of hours")
            cool_down = 24
        if when is None or since is None or term is None or self._is_off(row["id"], when, since):
            return None
        return State(
            row["id"],
            str(row["label"]),
            when,
            since,
            row["owner"],
            term,
            str(row["action"]),
            str(row["subject"]),
            str(row["body"]),
            sooner,
            cool_down,
        )

    def _texts(self, path: str, row: Mapping[str, Any]) -> None:
        for key in ("label", "action", "subject", "body"):
            text = self._words(f"{path}.{key}", row[key])
            for found in _PLACEHOLDER.finditer(text):
                name, message = found[1], ""
                if key not in ("subject", "body"):
                    message = "facts in braces are filled in `subject` and `body` only"
                elif name not in FACTS:
                    message = f"there is no fact {name!r}{_near(name, FACTS)}"
                if message:
                    self.problems.append(Problem(f"{path}.{key}", message, text, found.start()))

    def _sooner(self, path: str, raw: object) -> Sooner | None:
        if raw is None:
            return None
        if not isinstance(raw, Mapping):
            self._say(path, "expected {when: ..., due: ...}")
            return None
        if not self._keys(path, raw, {"when", "due"}, {"when", "due"}):
            return None
        when = self._expr(f"{path}.when", raw["when"], "condition")
        term = self._term(f"{path}.due", raw["due"])
        return Sooner(when, term) if when is not None and term is not None else None

    def _field(self, path: str, row: Mapping[str, Any]) -> Field | None:
        allowed = {"property", "label", "type", "value", "from", "native"}
        if not self._keys(path, row, allowed, {"property", "label", "type"}):
            return None
        self._one_of(f"{path}.type", row["type"], FIELD_TYPES)
        name, label, native = str(row["property"]), row["label"], row.get("native", False)
        self._words(f"{path}.label", label)
        if not isinstance(native, bool):
            self._say(f"{path}.native", "expected true or false")
            native = False
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,79}", name):
            self._say(f"{path}.property", "use lower-case letters, digits and underscores")
        if ("value" in row) == ("from" in row):
            self._say(path, "needs exactly one of 'value' (an expression) and 'from'")
            return None
        if "from" in row:
            self._one_of(f"{path}.from", row["from"], HUB_VALUES)
            return Field(name, str(label), row["type"], native, hub=str(row["from"]))
        expr = self._expr(f"{path}.value", row["value"], "value")
        if expr is None or self._is_off(name, expr):
            return None
        self._field_type(path, row["type"], expr)
        return Field(name, str(label), row["type"], native, expr=expr)

    def _field_type(self, path: str, type_: str, expr: Expr) -> None:
        fits = {
            "string": {FactType.TEXT, FactType.ENUM},
            "enumeration": {FactType.ENUM, FactType.TEXT},
            "number": {FactType.COUNT, FactType.MONEY, FactType.LOTS, FactType.RATIO},
            "date": {FactType.TIME},
            "datetime": {FactType.TIME},
            "bool": {FactType.BOOL},
            "checkboxes": set[FactType](),
        }
        if type_ in fits and expr.type not in fits[type_]:
            self._say(
                f"{path}.type",
                f"a {expr.type.value} cannot fill a {type_} property; "
                f"fitting types: {', '.join(t for t, facts in fits.items() if expr.type in facts)}",
            )

    def _term(self, path: str, raw: object) -> Term | None:
        text = " ".join(str(raw).split())
        if text == "same day":
            return Term(days=0)
        if text == "next day":
            return Term(days=1)
        match = _DUE.match(text)
        if match is None or int(match[1]) == 0:
            self._say(
                path,
                f"{text[:40]!r} is no due time: write '5 minutes', '1 hour', 'same day', "
                "'next day' or '2 days'",
            )
            return None
        number = int(match[1])
        minutes = number * (60 if match[2] == "hour" else 1)
        if match[2] == "day" and number <= _MAX_TERM_DAYS:
            return Term(days=number)
        if match[2] != "day" and minutes <= _MAX_TERM_MINUTES:
            return Term(minutes=minutes)
        self._say(path, f"too long: at most 24 hours of open time, or {_MAX_TERM_DAYS} days")
        return None

    def _expr(self, path: str, raw: object, want: str) -> Expr | None:
        read = {"condition": condition, "instant": instant, "value": value}[want]
        text = self._text(path, raw)
        if not text:
            return None
        try:
            return read(text, self.scope, path)
        except RuleError as error:
            self._rule_error(path, text, error)
            return None

    def _rule_error(self, path: str, text: str, error: RuleError) -> None:
        before = text.split("\n")[: error.line - 1]
        offset = sum(len(line) + 1 for line in before) + error.column - 1
        self.problems.append(Problem(path, error.message, text, offset, error))

    def _text(self, path: str, raw: object) -> str:
        """A rule as text; YAML reads ``true`` and ``5`` as something else."""
        if isinstance(raw, bool):
            return str(raw).lower()
        if isinstance(raw, str | int | float) and str(raw).strip():
            return str(raw)
        self._say(path, "expected a rule such as deposits > 0; put it in quotes")
        return ""

    def _is_off(self, name: str, *exprs: Expr) -> bool:
        missing = sorted({f for e in exprs for f in e.families} - self.connected)
        if missing:
            self.off[str(name)] = missing[0]
        return bool(missing)

    def _whole(self, stages: list[Stage], fields: list[Field]) -> None:
        if not self.problems and (not stages or stages[-1].when.text.strip().lower() != "true"):
            self._say("stages", 'the last stage must be `when: "true"`, so that everyone has one')
        if len(fields) > 500:
            self._say("fields", f"{len(fields)} fields; a CRM record holds at most 500")

    def _keys(
        self, path: str, row: Mapping[str, Any], allowed: set[str], required: set[str]
    ) -> bool:
        prefix = f"{path}." if path else ""
        for key in row:
            if key not in allowed:
                self._say(f"{prefix}{key}", f"unknown key{_near(str(key), allowed)}")
        missing = sorted(required - set(row))
        for key in missing:
            self._say(path or key, f"{key!r} is missing")
        return not missing

    def _one_of(self, path: str, raw: object, valid: Iterable[str]) -> None:
        names = ", ".join(valid)
        if raw not in tuple(valid):
            self._say(path, f"{str(raw)[:40]!r} is not one of: {names}")

    def _words(self, path: str, raw: object) -> str:
        if isinstance(raw, str) and raw.strip():
            return raw
        self._say(path, "expected a text that is not blank")
        return ""

    def _say(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))


def _near(name: str, names: Iterable[str]) -> str:
    close = get_close_matches(name, sorted(names), n=1)
    return f". Did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(names)[:40])}"
