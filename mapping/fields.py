"""Fields: what a CRM property shows, as rows of the rule set.

Each row names one property of the CRM, one source of its value and at most one transform.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mapping.calendars import local_date
from mapping.ownership import Policy
from mapping.problems import Problems, near
from mapping.rules import Expr, FactType
from mapping.structure import words_of
from mapping.texts import plain
from mapping.transforms import (
    DATE_FORMS,
    FIELD_TYPES,
    MAX_DIGITS,
    NUMBERS,
    WORDS,
    Dated,
    Rounded,
    Source,
    Transform,
    Unmapped,
    ValueMap,
    fixed_misfit,
    is_number,
    misfit,
)

HUB_SOURCES: Mapping[str, Source] = {
    "client.email": Source(FactType.TEXT, personal=True),
    "client.first_name": Source(FactType.TEXT, personal=True),
    "client.last_name": Source(FactType.TEXT, personal=True),
    "client.phone": Source(FactType.TEXT, personal=True),
    "profile.stage": Source(FactType.ENUM, shown=True),
    "profile.stage_since": Source(FactType.TIME),
    "profile.states": Source(FactType.ENUM, several=True, shown=True),
    "tasks.next_action": Source(FactType.TEXT),
    "tasks.next_action_due": Source(FactType.TIME),
    "card.text": Source(FactType.TEXT, personal=True),
    "card.brief": Source(FactType.TEXT, personal=True),
}
"""Values that the hub keeps itself, for ``from``. The words of stages and states are the rules'."""
CARD = "card."
"""What sources of the client card begin with: long texts, made only where a row asks for them."""

KEYS = frozenset({"broker_client_id", "broker_other_ids", "broker_task_key"})
"""Properties of the hub's own: they take no prefix, and no row may write them."""

MOST_FIELDS = 40
TOO_MANY = (
    "{} fields are more than staff can read; 25 to 40 are enough. Leave out those that no list, "
    "rule or workflow uses"
)

# Texts that are codes of a system, not something a person may have written.
_CODES = frozenset({
    "entity", "country", "language", "zone", "device", "source_type", "first_deposit_method",
    "last_attempt_method", "last_attempt_psp", "kyc_reason_code",
})  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")
_MAX_NAME = 100  # HubSpot's limit
_SOURCES, _TRANSFORMS = ("value", "from", "constant", "join"), ("map", "number", "date")
_ROW = {
    "property", "label", "type", "owner", "native", "existing", "blank", "add_options", "unmapped",
    "separator", *_SOURCES, *_TRANSFORMS,
}  # fmt: skip


_FIXED = Source(FactType.TEXT)


class Blank(StrEnum):
    """What a blank of ours does: clear the CRM's value, or leave what is there."""

    WRITE = "write"
    KEEP = "keep"


class Clash(StrEnum):
    """Decision on a property of the portal that has the name of one of ours."""

    ADOPT = "adopt"
    RENAME = "rename"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a join: a computed value by its ``key``, or one the hub keeps."""

    key: str
    hub: str
    kind: FactType


@dataclass(frozen=True, slots=True)
class Field:
    """One CRM property and how its value is made.

    ``native``: a property of the portal, used as it is: never prefixed, never created. ``input``:
    no property at all but a value computed for a join.
    ``origin``: the source as it stands in the row. ``places``: path in the rule set -> file and
    line, for messages.
    """

    property: str
    label: str
    type: str
    native: bool
    expr: Expr | None = None
    hub: str = ""
    owner: Policy = Policy.HUB
    constant: str = ""
    parts: tuple[Part, ...] = ()
    separator: str = " "
    transform: Transform | None = None
    blank: Blank = Blank.WRITE
    source: Source = _FIXED
    clash: Clash | None = None
    add_options: bool = False
    input: bool = False
    origin: str = field(default="", compare=False)
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def written(
        self, values: Mapping[str, Any], kept: Mapping[str, str], zone: str, digits: int
    ) -> str | None:
        """The property's value as a canonical text; None leaves what the CRM holds.

        Args:
            values: what the rules computed, by property.
            kept: what the hub keeps, by its name (``client.email``).
            digits: digits of the brand's base currency.
        """
        if self.hub:
            found = kept[self.hub]
        elif self.expr is not None:
            found = plain(values[self.property], self.expr.type, digits)
        else:
            found = self._joined(values, kept, digits) if self.parts else self.constant
        if found:
            if self.transform is not None:
                return self._transformed(self.transform, found, zone)
            if self.type == "date" and self.source.kind is FactType.TIME:
                return local_date(int(found), zone).isoformat()
            return found
        return None if self.blank is Blank.KEEP else ""

    def _transformed(self, transform: Transform, ours: str, zone: str) -> str | None:
        found = transform.written(ours, zone)
        return None if found == "" and self.blank is Blank.KEEP else found

    def _joined(self, values: Mapping[str, Any], kept: Mapping[str, str], digits: int) -> str:
        texts = (kept[p.hub] if p.hub else plain(values[p.key], p.kind, digits) for p in self.parts)
        return self.separator.join(t for t in texts if t)

    def takes(self, source: str) -> bool:
        """Whether the value is made of something that the hub keeps under such a name."""
        return any(name.startswith(source) for name in (self.hub, *(p.hub for p in self.parts)))

    def place(self, key: str = "") -> str:
        """Where a key of the row stands, for a message: its own place or the row's."""
        row = self.places.get("", f"fields.{self.property}")
        path = f"{row}.{key}" if key else row
        at = self.places.get(path) or self.places.get(row)
        return f"{at}: {path}" if at else path


@dataclass(frozen=True, slots=True)
class Naming:
    """How properties are named in a CRM.

    Args:
        prefix: before every name that is neither the portal's nor has it already.
        clashes: decisions by property, as the portal names it.
    """

    prefix: str = "brokerage_"
    clashes: Mapping[str, Clash] = field(default_factory=dict)

    def name(self, name: str, *, native: bool = False) -> str:
        """The property's name in the CRM."""
        return property_name(self.prefix, name, native=native)


def property_name(prefix: str, name: str, *, native: bool = False) -> str:
    """A field's property in the CRM: prefixed, unless native, the hub's own key, or prefixed."""
    if native or name in KEYS or name.startswith(prefix):
        return name
    return f"{prefix}{name}"


class FieldReader:
    """Reads the rows of ``fields``.

    Args:
        expr: reads the rule at a path; None if it is none (noted already).
        off: whether a field of this name reads a source that is not connected (noted).
        words: the words of ``profile.stage`` and ``profile.states``.
        where: file and line of a path.
    """

    def __init__(
        self,
        problems: Problems,
        expr: Callable[[str, object], Expr | None],
        off: Callable[..., bool],
        naming: Naming,
        words: Mapping[str, Sequence[str]],
        where: Callable[[str], str] | None,
    ) -> None:
        self.problems, self.expr, self.off = problems, expr, off
        self.naming, self.words, self.where = naming, words, where
        self._taken: dict[str, str] = {}

    def read(self, path: str, row: Mapping[str, Any]) -> list[Field]:
        """The field of a row and the inputs it needs; nothing where the row is wrong or off."""
        say = self.problems.say
        if not self.problems.keys(path, row, _ROW, {"property", "label", "type"}):
            return []
        before = len(self.problems.found)
        made = self._common(path, row)
        given = [key for key in _SOURCES if key in row]
        if len(given) != 1:
            names = "'value' (an expression), 'from', 'constant' and 'join'"
            say(path, f"needs exactly one of {names}")
            return []
        changing = [key for key in _TRANSFORMS if key in row]
        if len(changing) > 1 or (changing and given[0] in ("constant", "join")):
            named = ", ".join(f"`{k}`" for k in [*changing, *given])
            say(f"{path}.{changing[0]}", f"one transform a field: {named} do not go together")
            return []
        for key, needs in (("unmapped", "map"), ("separator", "join")):
            if key in row and needs not in row:
                say(f"{path}.{key}", f"means something beside `{needs}` only")
        made["origin"] = _origin(row, given[0])
        read = {"value": self._value, "from": self._kept, "join": self._join}
        inputs: list[Field] = []
        if given[0] == "constant":
            made |= {"constant": self._constant(path, row)}
        else:
            found = read[given[0]](path, row, made["property"])
            if found is None:
                return []
            more, inputs = found
            made |= more
            made |= {"transform": self._transform(path, row, made["source"])}
            self._fits(path, row, made)
        if len(self.problems.found) > before or self._is_off(made, inputs):
            return []
        return [Field(**made), *inputs]

    def _common(self, path: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """What every row has."""
        check = self.problems
        check.one_of(f"{path}.type", row["type"], FIELD_TYPES)
        check.words(f"{path}.label", row["label"])
        owner, blank = row.get("owner", Policy.HUB.value), row.get("blank", Blank.WRITE.value)
        owned = check.one_of(f"{path}.owner", owner, tuple(Policy))
        known = check.one_of(f"{path}.blank", blank, tuple(Blank))
        native = False
        for key in ("native", "existing"):
            native |= check.flag(f"{path}.{key}", row.get(key, False))
        adding = check.flag(f"{path}.add_options", row.get("add_options", False))
        if adding and row["type"] not in ("enumeration", "checkboxes"):
            check.say(f"{path}.add_options", "only an enumeration or checkboxes have options")
        name, clash = self._named(path, row, native=native)
        return {
            "property": name,
            "label": str(row["label"]),
            "type": str(row["type"]),
            "native": native,
            "owner": Policy(owner) if owned else Policy.HUB,
            "blank": Blank(blank) if known else Blank.WRITE,
            "add_options": adding,
            "clash": clash,
            "places": self._places(path, row),
        }

    def _named(
        self, path: str, row: Mapping[str, Any], *, native: bool
    ) -> tuple[str, Clash | None]:
        """The property's name before the prefix, by what was decided on it."""
        name, say = str(row["property"]), self.problems.say
        if not _NAME.fullmatch(name):
            say(f"{path}.property", "use lower-case letters, digits and underscores")
            return name, None
        full = self.naming.name(name, native=native)
        clash = None if native else self.naming.clashes.get(full)
        if clash is Clash.RENAME:
            name += "_hub"
            full = self.naming.name(name)
        if len(full) > _MAX_NAME:
            say(f"{path}.property", f"{full} has {len(full)} characters; at most {_MAX_NAME}")
        if full in KEYS:
            say(f"{path}.property", f"{full} is kept by the hub itself: choose another name")
        elif full in self._taken:
            message = f"the property {full} stands twice: remove one row, or name another property"
            say(f"{path}.property", message, also=self._taken[full])
        else:
            self._taken[full] = f"{path}.property"
        return name, clash

    def _places(self, path: str, row: Mapping[str, Any]) -> dict[str, str]:
        if self.where is None:
            return {"": path}
        paths = [path, *(f"{path}.{key}" for key in row)]
        if isinstance(row.get("map"), Mapping):
            paths += [f"{path}.map.{key}" for key in row["map"]]
        return {"": path} | {p: self.where(p) for p in paths}

    # --- sources -------------------------------------------------------------------------------

    def _value(
        self, path: str, row: Mapping[str, Any], name: str
    ) -> tuple[dict[str, Any], list[Field]] | None:
        del name
        expr = self.expr(f"{path}.value", row["value"])
        return None if expr is None else ({"expr": expr, "source": source_of(expr)}, [])

    def _kept(
        self, path: str, row: Mapping[str, Any], name: str
    ) -> tuple[dict[str, Any], list[Field]] | None:
        del name
        if not self.problems.one_of(f"{path}.from", row["from"], HUB_SOURCES):
            return None
        hub = str(row["from"])
        source = HUB_SOURCES[hub]
        if hub in self.words:
            words = tuple(self.words[hub])
            source = Source(source.kind, words, source.several, shown=True)
        return {"hub": hub, "source": source}, []

    def _join(
        self, path: str, row: Mapping[str, Any], name: str
    ) -> tuple[dict[str, Any], list[Field]] | None:
        raw, say = row["join"], self.problems.say
        if not isinstance(raw, list) or len(raw) < 2:
            say(f"{path}.join", "expected a list of two or more sources, such as [country, device]")
            return None
        separator = row.get("separator", " ")
        if not isinstance(separator, str):
            say(f"{path}.separator", 'expected a text: put it in quotes, such as " / "')
            return None
        parts: list[Part] = []
        inputs: list[Field] = []
        personal = False
        for number, item in enumerate(raw):
            at = f"{path}.join.{number}"
            if isinstance(item, str) and item in HUB_SOURCES:
                source, key, hub = HUB_SOURCES[item], "", item
            else:
                expr = self.expr(at, item)
                if expr is None:
                    return None
                # No property can have this name: a hyphen is not allowed in one.
                source, key, hub = source_of(expr), f"{name}-{number}", ""
                inputs.append(Field(key, key, "string", native=True, expr=expr, input=True))
            if source.several or source.kind not in WORDS | NUMBERS:
                say(at, f"a {source.named} cannot be joined: join takes texts and numbers")
            personal |= source.personal
            parts.append(Part(key, hub, source.kind))
        joined = Source(FactType.TEXT, personal=personal)
        return {"parts": tuple(parts), "separator": separator, "source": joined}, inputs

    def _constant(self, path: str, row: Mapping[str, Any]) -> str:
        text = self._fixed(f"{path}.constant", row["constant"])
        if text == "" and not any(p.path == f"{path}.constant" for p in self.problems.found):
            self.problems.say(f"{path}.constant", "expected a text, a number, true or false")
        if message := fixed_misfit(str(row["type"]), text):
            self.problems.say(f"{path}.constant", message)
        return text

    def _fixed(self, path: str, raw: object) -> str:
        """A text of the file; YAML reads ``true``, ``5`` and a day as something else."""
        if isinstance(raw, bool):
            return str(raw).lower()
        if raw is None or isinstance(raw, list | dict):
            self.problems.say(path, 'expected a text, a number, true or false ("" is no value)')
            return ""
        return str(raw)

    # --- transforms ----------------------------------------------------------------------------

    def _transform(
        self, path: str, row: Mapping[str, Any], source: Source
    ) -> Transform | None:  # fmt: skip
        if "map" in row:
            return self._map(path, row, source)
        if "number" in row:
            return self._number(f"{path}.number", row["number"])
        if "date" in row and self.problems.one_of(f"{path}.date", row["date"], DATE_FORMS):
            return Dated(str(row["date"]))
        return None

    def _map(self, path: str, row: Mapping[str, Any], source: Source) -> ValueMap | None:
        raw, say = row["map"], self.problems.say
        if not isinstance(raw, Mapping) or not raw:
            say(f"{path}.map", "expected `our value: the portal's value` lines under it")
            return None
        rest = row.get("unmapped", Unmapped.BLANK.value)
        if not self.problems.one_of(f"{path}.unmapped", rest, tuple(Unmapped)):
            return None
        for key in raw:
            if source.words is not None and key not in source.words:
                say(f"{path}.map.{key}", f"{key!r} is none of our values{near(key, source.words)}")
            if source.kind is FactType.COUNT and not str(key).isdecimal():
                say(f"{path}.map.{key}", f"{key!r} is no whole number")
        values = {str(k): self._fixed(f"{path}.map.{k}", v) for k, v in raw.items()}
        for key, text in values.items():
            if message := fixed_misfit(str(row["type"]), text):
                say(f"{path}.map.{key}", message)
        missing = [w for w in source.words or () if w not in values]
        if missing and rest == Unmapped.REFUSE:
            say(f"{path}.map", f"with `unmapped: refuse` each value needs a line; missing: "
                f"{', '.join(missing)}")  # fmt: skip
        if rest == Unmapped.KEEP and row["type"] in ("number", "bool"):
            say(
                f"{path}.unmapped", f"our own words cannot fill a {row['type']} property: use blank"
            )
        return ValueMap(values, Unmapped(str(rest)))

    def _number(self, path: str, raw: object) -> Rounded | None:
        if not isinstance(raw, Mapping) or not raw:
            self.problems.say(path, "expected {scale: 0.001, digits: 0}, or one of the two")
            return None
        if not self.problems.keys(path, raw, {"scale", "digits"}, set()):
            return None
        scale, digits = str(raw.get("scale", 1)), raw.get("digits")
        if isinstance(raw.get("scale"), bool) or not is_number(scale) or not Decimal(scale):
            self.problems.say(f"{path}.scale", "expected a number that is not 0, such as 0.001")
            scale = "1"
        whole = isinstance(digits, int) and not isinstance(digits, bool)
        if digits is not None and not (whole and 0 <= int(str(digits)) <= MAX_DIGITS):
            self.problems.say(f"{path}.digits", f"expected a whole number from 0 to {MAX_DIGITS}")
            digits = None
        return Rounded(Decimal(scale), digits)

    # --- together ------------------------------------------------------------------------------

    def _fits(self, path: str, row: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        type_, source, transform = made["type"], made["source"], made["transform"]
        changing = next((key for key in _TRANSFORMS if key in row), "type")
        if type_ not in FIELD_TYPES or (transform is None and changing != "type"):
            return  # said already
        if message := misfit(type_, source, transform):
            self.problems.say(f"{path}.{changing}", message)
            return
        closed = source.words is not None or (
            isinstance(transform, ValueMap) and transform.unmapped is not Unmapped.KEEP
        )
        if type_ == "enumeration" and not closed and not made["native"]:
            self.problems.say(
                f"{path}.type",
                "an enumeration needs a closed list of values, and this is an open text: use "
                "`type: string`, or a `map` that names the values",
            )

    def _is_off(self, made: Mapping[str, Any], inputs: Sequence[Field]) -> bool:
        exprs = [e for e in (made.get("expr"), *(f.expr for f in inputs)) if e is not None]
        return bool(exprs) and self.off(made["property"], *exprs)


def _origin(row: Mapping[str, Any], key: str) -> str:
    raw = row[key]
    if key == "join":
        return f"join of {', '.join(str(i) for i in raw) if isinstance(raw, list) else raw}"
    return f"always {raw}" if key == "constant" else " ".join(str(raw).split())


def source_of(expr: Expr) -> Source:
    """What kind of value a rule gives."""
    words = ("true", "false") if expr.type is FactType.BOOL else words_of(expr.root)
    shown = words is not None or expr.type not in WORDS or expr.facts <= _CODES
    return Source(expr.type, words, shown=shown)
