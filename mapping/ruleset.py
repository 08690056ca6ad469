"""The rule set: definitions, stages, states with their playbooks, and fields; checked as a whole.

Built from the plain data of a YAML file. Every mistake is collected with the path where it stands
(``states.CS5.due``), so that an admin sees all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mapping.calendars import Term
from mapping.facts import FACTS
from mapping.fields import Field, FieldReader, Naming
from mapping.problems import Problems, RuleSetError, near
from mapping.rules import Expr, RuleError, Scope, condition, instant, value
from mapping.structure import digest

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
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")
_ID = re.compile(r"[A-Za-z][A-Za-z0-9]{0,19}")
# Longer terms could, with a team that is hardly ever open, end after the calendar does.
_MAX_TERM_MINUTES, _MAX_TERM_DAYS = 24 * 60, 50
_OPTIONAL = {"sooner", "instead", "due_from", "cool_down_hours"}
_DUE = re.compile(r"^(\d+) (minute|hour|day)s?$")


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
class Instead:
    """Another team that owns the task where ``when`` holds."""

    when: Expr
    owner: str


@dataclass(frozen=True, slots=True)
class State:
    """One client state and its playbook.

    ``counts_from``: the instant from which the term counts, where that is not ``since``.
    """

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
    counts_from: Expr | None = None
    instead: Instead | None = None

    @property
    def expressions(self) -> Iterator[Expr]:
        """Every rule of it."""
        yield self.when
        yield self.since
        if self.sooner:
            yield self.sooner.when
        if self.counts_from:
            yield self.counts_from
        if self.instead:
            yield self.instead.when

    @property
    def dated_by(self) -> frozenset[str]:
        """The source families that say when such a reason begins, and when its term does."""
        counted = self.counts_from.families if self.counts_from else frozenset[str]()
        return self.since.families | counted

    @property
    def context(self) -> frozenset[str]:
        """Facts the task's texts cite."""
        return frozenset(_PLACEHOLDER.findall(self.subject + self.body))


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A checked rule set for the connected source families.

    ``off`` maps ids of stages, states and fields that read an unconnected source to that family.
    ``fields`` are all values to compute or to keep, inputs of joins among them; see ``mapped``.
    """

    stages: tuple[Stage, ...]
    states: tuple[State, ...]
    fields: tuple[Field, ...]
    off: Mapping[str, str]
    digest: str
    scope: Scope
    mapped: tuple[Field, ...] = ()
    """The fields that are properties of the CRM."""
    create: Expr | None = None
    """Whose contact may be created in the CRM; None: everybody's. The others' are only updated."""
    connected: frozenset[str] = frozenset()
    """The source families somebody is connected for."""

    def stage(self, stage_id: str) -> Stage:
        """A stage by id (``KeyError`` if there is none)."""
        return next(s for s in self.stages if s.id == stage_id)

    def state(self, state_id: str) -> State | None:
        """A state by id, None if the rule set has none or it is off."""
        return next((s for s in self.states if s.id == state_id), None)


def load(
    data: Mapping[str, Any],
    connected: Iterable[str],
    money_exponent: int = 2,
    naming: Naming | None = None,
    where: Callable[[str], str] | None = None,
) -> RuleSet:
    """Check plain data (from YAML) and build the rule set.

    Args:
        data: the parsed file.
        connected: source families somebody is connected for ("registry", "kyc", "psp").
        money_exponent: digits of the base currency.
        naming: how properties are named in the CRM.
        where: file and line of a path, for messages about the CRM's side of a field.

    Raises:
        RuleSetError: every problem found, each with its path.
    """
    loader = _Loader(data, frozenset(connected), money_exponent)
    return loader.load(naming or Naming(), where)


class _Loader:
    def __init__(self, data: Mapping[str, Any], connected: frozenset[str], exponent: int) -> None:
        self.data = data
        self.connected = connected
        self.exponent = exponent
        self.check = Problems()
        self.off: dict[str, str] = {}

    def load(self, naming: Naming, where: Callable[[str], str] | None) -> RuleSet:
        keys = {"version", "definitions", "create", "stages", "states", "fields"}
        self.check.keys("", self.data, keys, {"stages", "states", "fields"})
        if self.data.get("version", VERSION) != VERSION:
            self.check.say("version", f"this program reads version {VERSION} of the file's form")
        before = len(self.check.found)
        definitions = self._definitions()
        if len(self.check.found) > before:
            raise RuleSetError(self.check.found)
        try:
            self.scope = Scope(FACTS, definitions, self.exponent)
        except RuleError as error:
            where_ = error.where or "definitions"
            self.check.rule(where_, self._definition_text(error), error)
            raise RuleSetError(self.check.found) from None
        rows = {section: self._rows(section) for section in ("stages", "states", "fields")}
        stages = tuple(s for row in rows["stages"] if (s := self._stage(*row)))
        states = tuple(t for row in rows["states"] if (t := self._state(*row)))
        words = {
            f"profile.{name}": [str(row.get("id")) for _, row in rows[section]]
            for name, section in (("stage", "stages"), ("states", "states"))
        }
        reader = FieldReader(self.check, self._value, self._is_off, naming, words, where)
        fields = tuple(f for row in rows["fields"] for f in reader.read(*row))
        self._whole(stages, fields)
        create = self._create()
        if self.check.found:
            raise RuleSetError(self.check.found)
        names = {naming.name(f.property, native=f.native): f for f in fields}
        meaning = digest(stages, states, names, create, self.off, self.connected, self.exponent)
        mapped = tuple(f for f in fields if not f.input)
        return RuleSet(
            stages, states, fields, self.off, meaning, self.scope, mapped, create,
            frozenset(self.connected),
        )  # fmt: skip

    def _create(self) -> Expr | None:
        """``always``, ``never`` or a rule; None is always."""
        raw = self.data.get("create", "always")
        if raw == "always":
            return None
        expr = self._expr("create", "false" if raw == "never" else raw, "condition")
        if expr is not None and self._is_off("create", expr):
            self.check.say(
                "create",
                f"reads facts of {self.off['create']}, which is not connected: connect it, or "
                "write always, never or another rule",
            )
        return expr

    def _definitions(self) -> dict[str, str]:
        raw = self.data.get("definitions") or {}
        if not isinstance(raw, Mapping):
            self.check.say("definitions", "expected a mapping of name: expression")
            return {}
        return {str(k): self.check.rule_text(f"definitions.{k}", v) for k, v in raw.items()}

    def _definition_text(self, error: RuleError) -> str:
        raw = self.data.get("definitions") or {}
        return str(raw.get(error.where.removeprefix("definitions."), ""))

    def _rows(self, section: str) -> list[tuple[str, Mapping[str, Any]]]:
        raw = self.data.get(section) or []
        if not isinstance(raw, list):
            self.check.say(section, "expected a list")
            return []
        rows: list[tuple[str, Mapping[str, Any]]] = []
        seen: dict[str, int] = {}
        for number, row in enumerate(raw):
            if not isinstance(row, Mapping):
                self.check.say(f"{section}.{number}", "expected a mapping")
                continue
            name = str(row.get("id") or row.get("property") or number)
            if "id" in row and not (isinstance(row["id"], str) and _ID.fullmatch(row["id"])):
                self.check.say(
                    f"{section}.{name}.id",
                    "use up to 20 letters and digits, beginning with a letter",
                )
            path = f"{section}.{name}"
            if name in seen:  # two rows may name one property in two ways: see FieldReader
                seen[name] += 1
                path = f"{path}#{seen[name]}"
                if section != "fields":
                    self.check.say(path, f"{name!r} stands twice", also=f"{section}.{name}")
            seen.setdefault(name, 1)
            rows.append((path, row))
        return rows

    def _stage(self, path: str, row: Mapping[str, Any]) -> Stage | None:
        required = {"id", "label", "when", "since", "team"}
        if not self.check.keys(path, row, required, required):
            return None
        label = self.check.words(f"{path}.label", row["label"])
        self.check.one_of(f"{path}.team", row["team"], TEAMS)
        when = self._expr(f"{path}.when", row["when"], "condition")
        since = self._expr(f"{path}.since", row["since"], "instant")
        if when is None or since is None or self._is_off(row["id"], when, since):
            return None
        return Stage(row["id"], label, when, since, row["team"])

    def _state(self, path: str, row: Mapping[str, Any]) -> State | None:
        required = {"id", "label", "when", "since", "owner", "due", "action", "subject", "body"}
        if not self.check.keys(path, row, required | _OPTIONAL, required):
            return None
        self.check.one_of(f"{path}.owner", row["owner"], TEAMS)
        when = self._expr(f"{path}.when", row["when"], "condition")
        since = self._expr(f"{path}.since", row["since"], "instant")
        term = self._term(f"{path}.due", row["due"])
        sooner = self._sooner(f"{path}.sooner", row.get("sooner"))
        instead = self._instead(f"{path}.instead", row.get("instead"))
        counts_from = None
        if "due_from" in row:
            counts_from = self._expr(f"{path}.due_from", row["due_from"], "instant")
        self._texts(path, row)
        cool_down = row.get("cool_down_hours", 24)
        if isinstance(cool_down, bool) or not isinstance(cool_down, int) or cool_down < 0:
            self.check.say(f"{path}.cool_down_hours", "expected a whole number of hours")
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
            counts_from,
            instead,
        )

    def _texts(self, path: str, row: Mapping[str, Any]) -> None:
        for key in ("label", "action", "subject", "body"):
            text = self.check.words(f"{path}.{key}", row[key])
            for found in _PLACEHOLDER.finditer(text):
                name, message = found[1], ""
                if key not in ("subject", "body"):
                    message = "facts in braces are filled in `subject` and `body` only"
                elif name not in FACTS:
                    message = f"there is no fact {name!r}{near(name, FACTS)}"
                if message:
                    self.check.within(f"{path}.{key}", message, text, found.start())

    def _instead(self, path: str, raw: object) -> Instead | None:
        if raw is None:
            return None
        if not isinstance(raw, Mapping):
            self.check.say(path, "expected {when: ..., owner: ...}")
            return None
        if not self.check.keys(path, raw, {"when", "owner"}, {"when", "owner"}):
            return None
        self.check.one_of(f"{path}.owner", raw["owner"], TEAMS)
        when = self._expr(f"{path}.when", raw["when"], "condition")
        return Instead(when, str(raw["owner"])) if when is not None else None

    def _sooner(self, path: str, raw: object) -> Sooner | None:
        if raw is None:
            return None
        if not isinstance(raw, Mapping):
            self.check.say(path, "expected {when: ..., due: ...}")
            return None
        if not self.check.keys(path, raw, {"when", "due"}, {"when", "due"}):
            return None
        when = self._expr(f"{path}.when", raw["when"], "condition")
        term = self._term(f"{path}.due", raw["due"])
        return Sooner(when, term) if when is not None and term is not None else None

    def _term(self, path: str, raw: object) -> Term | None:
        text = " ".join(str(raw).split())
        if text == "same day":
            return Term(days=0)
        if text == "next day":
            return Term(days=1)
        match = _DUE.match(text)
        if match is None or int(match[1]) == 0:
            self.check.say(
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
        self.check.say(path, f"too long: at most 24 hours of open time, or {_MAX_TERM_DAYS} days")
        return None

    def _value(self, path: str, raw: object) -> Expr | None:
        return self._expr(path, raw, "value")

    def _expr(self, path: str, raw: object, want: str) -> Expr | None:
        read = {"condition": condition, "instant": instant, "value": value}[want]
        text = self.check.rule_text(path, raw)
        if not text:
            return None
        try:
            return read(text, self.scope, path)
        except RuleError as error:
            self.check.rule(path, text, error)
            return None

    def _is_off(self, name: str, *exprs: Expr) -> bool:
        missing = sorted({f for e in exprs for f in e.families} - self.connected)
        if missing:
            self.off[str(name)] = missing[0]
        return bool(missing)

    def _last(self, stages: tuple[Stage, ...]) -> None:
        """Everyone has a stage."""
        written = self.data["stages"] or [{}]
        name = str(written[-1].get("id"))
        if family := self.off.get(name):
            self.check.say(
                "stages",
                f"the last stage, {name}, takes in whoever is left, and reads {family}: no"
                f" connection of the brand is of that family. Connect one",
            )
        elif not stages or stages[-1].when.text.strip().lower() != "true":
            self.check.say(
                "stages", 'the last stage must be `when: "true"`, so that everyone has one'
            )

    def _whole(self, stages: tuple[Stage, ...], fields: tuple[Field, ...]) -> None:
        if not self.check.found:
            self._last(stages)
        if len(fields) > 500:
            self.check.say("fields", f"{len(fields)} fields; a CRM record holds at most 500")
