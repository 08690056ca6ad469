"""The CRM properties the rule set needs, against the portal's live schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from connectors.destination import (
    MARK,
    CrmObject,
    CrmProperty,
    Destination,
    NoRightError,
    Option,
)
from mapping.errors import ConfigError
from mapping.fields import CARD, MOST_FIELDS, TOO_MANY, Clash, Field
from mapping.ruleset import RuleSet
from mapping.transforms import ValueMap
from mapping.wall import CITED_WITH_CARE
from sync import partners
from sync.hub import Hub

KEY = CrmProperty(
    "broker_client_id", "Broker client id", "string", unique=True,
    description=f"brand:client_id of the broker; the hub finds its contacts by it. {MARK}",
)  # fmt: skip
OTHERS = CrmProperty(
    "broker_other_ids", "Other broker client ids", "string",
    description=f"Further clients of the broker with this e-mail address. {MARK}",
)  # fmt: skip
TASK_KEY = CrmProperty(
    "broker_task_key", "Broker task key", "string", unique=True,
    description=f"The reason behind the task; the hub finds its tasks by it. {MARK}",
)  # fmt: skip
_NEEDED = (CrmObject.CONTACT, CrmObject.TASK)
_NEAREST = 3
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """A property the hub wants to write, and the row that says so (none: the hub itself does).

    ``named``: it has a plain name, which a property of the portal's own may have too.
    """

    wants: CrmProperty
    row: Field | None = None
    named: bool = False

    @property
    def portals(self) -> bool:
        """Whether it must be there already."""
        return self.row is not None and self.row.native

    @property
    def adopted(self) -> bool:
        """Whether an admin said that the hub takes over the portal's property of this name."""
        return self.row is not None and self.row.clash is Clash.ADOPT

    def place(self, key: str, obj: CrmObject) -> str:
        """Where in the rule set it stands, as the beginning of a message."""
        return f"{self.row.place(key)}: " if self.row else f"{obj}: "


@dataclass(slots=True)
class SchemaPlan:
    """What ``crm install`` would do, and what it cannot do.

    ``status``: property of contacts -> created, added to, there, adopted, portal or clash.
    ``touched``: properties of the portal's own that the hub writes. ``off``: why the portal takes
    no companies although there are partners to be told of; contacts and tasks do without.
    """

    create: dict[CrmObject, list[CrmProperty]] = field(default_factory=dict)
    options: dict[CrmObject, list[CrmProperty]] = field(default_factory=dict)
    clash: dict[CrmObject, list[str]] = field(default_factory=dict)
    present: int = 0
    rows: dict[str, Field] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    off: str = ""

    @property
    def clashes(self) -> list[str]:
        """What a person must decide, one line each."""
        return [line for lines in self.clash.values() for line in lines]

    @property
    def complete(self) -> bool:
        """Whether the portal has all that is needed."""
        return not self.off and not any(self.missing(obj) for obj in CrmObject)

    def missing(self, obj: CrmObject) -> list[str]:
        """What an object lacks or where it clashes, as sentences."""
        lines = [f"{obj}: property {p.name} is missing" for p in self.create.get(obj, [])]
        lines += [
            f"{obj}: property {p.name} lacks options: {', '.join(x.value for x in p.options)}"
            for p in self.options.get(obj, [])
        ]
        return [*lines, *self.clash.get(obj, [])]

    def to_install(self, obj: CrmObject) -> list[CrmProperty]:
        """What is to be created, or to get options."""
        return [*self.create.get(obj, []), *self.options.get(obj, [])]

    def by_hand(self) -> dict[str, list[str]]:
        """What no API tells: the properties to look at in the portal, by what to look for."""
        own = [n for n in self.rows if n not in self.touched]
        computed = [n for n in own if self.rows[n].hub.startswith(("profile.", "tasks."))]
        cards = [n for n in own if self.rows[n].takes(CARD)]
        found = {
            "Workflows, forms and imports that use or set these properties": self.touched,
            "Sidebar of the contact record: these are worth showing": [*cards, *computed],
            "List views: columns for these": computed,
            "Field permissions: for the risk team only": [n for n in own if self._sensitive(n)],
        }
        return {what: names for what, names in found.items() if names}

    def _sensitive(self, name: str) -> bool:
        """Whether a property of the hub's own shows what could tip off a client under review."""
        row = self.rows[name]
        cited = row.expr.facts if row.expr is not None else frozenset[str]()
        return not isinstance(row.transform, ValueMap) and not cited.isdisjoint(CITED_WITH_CARE)


def wanted(hub: Hub, destination: str) -> dict[CrmObject, list[CrmProperty]]:
    """All properties the hub may create for the brands of a destination."""
    return {
        obj: [_installed(w) for w in some if not w.portals]
        for obj, some in wishes(hub, destination).items()
    }


def wishes(hub: Hub, destination: str) -> dict[CrmObject, list[Wish]]:
    """All properties the brands of a destination write; options are those of all brands."""
    found: dict[str, Wish] = {p.name: Wish(p) for p in (KEY, OTHERS)}
    for brand, rules in sorted(hub.rules.items()):
        if hub.brands[brand].destination == destination:
            for f in rules.mapped:
                wish = Wish(_property(hub, rules, f), f)
                name = wish.wants.name
                found[name] = _both(found[name], wish) if name in found else wish
    want = {CrmObject.CONTACT: list(found.values()), CrmObject.TASK: [Wish(TASK_KEY)]}
    if partners.wanted(hub, destination):
        own = [Wish(p, named=True) for p in partners.properties(hub)]
        want[CrmObject.COMPANY] = [Wish(partners.KEY), *own]
    return want


def _both(one: Wish, other: Wish) -> Wish:
    """Brands whose sources differ have different stages, and so different options."""
    options = {o.value: o for o in (*one.wants.options, *other.wants.options)}
    return replace(one, wants=replace(one.wants, options=tuple(options.values())))


def _installed(wish: Wish) -> CrmProperty:
    """As `install` is to see it: options of the portal's own property are the portal's."""
    if wish.adopted and wish.row is not None and not wish.row.add_options:
        return replace(wish.wants, options=())
    return wish.wants


def _property(hub: Hub, rules: RuleSet, f: Field) -> CrmProperty:
    name = hub.property_name(f.property, native=f.native)
    options = tuple(_options(rules, f))
    if f.type == "checkboxes":
        return CrmProperty(name, f.label, "enumeration", "checkbox", options, description=MARK)
    long = "textarea" if f.type == "string" and f.takes(CARD) else ""
    return CrmProperty(name, f.label, f.type, long, options, description=MARK)


def _options(rules: RuleSet, f: Field) -> list[Option]:
    if f.type not in ("enumeration", "checkboxes"):
        return []
    if isinstance(f.transform, ValueMap):
        targets = f.transform.targets(f.source.words)
        return [Option(v, v if f.native else _label(v)) for v in targets]
    if f.constant:
        return [Option(f.constant, f.constant)]
    if f.hub == "profile.stage":
        return [Option(s.id, f"{s.id} {s.label}") for s in rules.stages]
    if f.hub == "profile.states":
        return [Option(s.id, f"{s.id} {s.label}") for s in rules.states]
    return [Option(v, v.replace("_", " ").capitalize()) for v in f.source.words or () if v]


def _label(value: str) -> str:
    """A map's value is a person's choice; one like ours is written like ours."""
    return value.replace("_", " ").capitalize() if "_" in value else value


# --- against the portal -------------------------------------------------------------------------


def compare(
    want: Mapping[CrmObject, list[Wish]],
    live: Mapping[CrmObject, Mapping[str, CrmProperty]],
) -> SchemaPlan:
    """The difference between what is needed and what the portal has."""
    plan = SchemaPlan()
    for obj, some in want.items():
        for wish in some:
            name = wish.wants.name
            if wish.row is not None:
                plan.rows[name] = wish.row
            there = live[obj].get(name)
            found = _absent(wish, obj, live[obj]) if there is None else _there(wish, obj, there)
            if found:
                plan.clash.setdefault(obj, []).extend(found)
            plan.present += there is not None
            status = _note(plan, wish, obj, there, clash=bool(found))
            if obj is CrmObject.CONTACT:
                plan.status[name] = status
    if len(plan.rows) > MOST_FIELDS:
        plan.notes.append(f"{TOO_MANY.format(len(plan.rows))}.")
    return plan


def _note(
    plan: SchemaPlan, wish: Wish, obj: CrmObject, there: CrmProperty | None, *, clash: bool
) -> str:  # fmt: skip
    """Put a property where `install` and people look for it; how it stands."""
    if there is not None and _theirs(wish, there):
        plan.touched.append(wish.wants.name)
    if clash:
        return "clash"
    if there is None:
        plan.create.setdefault(obj, []).append(wish.wants)
        return "created"
    lacking = tuple(_lacking(wish, there))
    if lacking:
        plan.options.setdefault(obj, []).append(replace(wish.wants, options=lacking))
        return "added to"
    return "portal" if wish.portals else "adopted" if _theirs(wish, there) else "there"


def _theirs(wish: Wish, there: CrmProperty) -> bool:
    """Whether it is the portal's own property, which the hub is told to write."""
    return wish.portals or (wish.adopted and not there.ours)


def _lacking(wish: Wish, there: CrmProperty) -> list[Option]:
    if there.type != "enumeration":
        return []
    have = {o.value for o in there.options}
    return [o for o in wish.wants.options if o.value not in have]


def _absent(wish: Wish, obj: CrmObject, live: Mapping[str, CrmProperty]) -> list[str]:
    """A property that is to be the portal's is not there."""
    if not wish.portals:
        return []
    name = wish.wants.name
    by_label = {p.label.lower(): n for n, p in live.items()}
    close = get_close_matches(name, sorted(live), n=_NEAREST)
    close += [by_label[m] for m in get_close_matches(name.replace("_", " "), sorted(by_label), n=1)]
    near = ", ".join(dict.fromkeys(close))
    return [
        f"{wish.place('property', obj)}the portal has no {obj} property {name}"
        + (f". Nearest: {near}" if near else "")
    ]


def _there(wish: Wish, obj: CrmObject, there: CrmProperty) -> list[str]:
    """What stands in the way of writing a property that is there, as sentences."""
    if wish.row is not None and not (_theirs(wish, there) or there.ours):
        return [_undecided(wish, obj, there)]
    if line := _wrong_type(wish, there):
        return [wish.place("type", obj) + line]
    found = []
    name = wish.wants.name
    if wish.named and not there.ours:
        line = (
            f"{obj}: the portal has a property {name} ({there.type}) that the hub did not create: "
            "archive it in the portal, or choose another property_prefix in brokersync.yaml"
        )
        return [line]
    # Tasks have another path where the portal takes no unique key on them.
    if wish.wants.unique and not there.unique and obj is not CrmObject.TASK:
        found.append(
            f"{obj}: property {name} exists without unique values; uniqueness can only be set at "
            "creation: archive it in the portal, then run `brokersync crm install`"
        )
    if there.calculated or there.read_only:
        why = "calculated by the portal" if there.calculated else "read-only in the portal"
        found.append(f"{wish.place('property', obj)}{name} is {why}: name another property")
    return [*found, *_unfit_options(wish, obj, there), *_too_long(wish, obj, there)]


def _undecided(wish: Wish, obj: CrmObject, there: CrmProperty) -> str:
    name = wish.wants.name
    kind = there.type if there.type == wish.wants.type else f"{there.type}, not ours"
    renamed = wish.row is not None and wish.row.clash is Clash.RENAME
    decide = "name another property in the row" if renamed else (
        f"decide in brokersync.yaml: `property_clashes: {{{name}: adopt}}` (the hub writes this "
        f"property from now on) or `{name}: rename` (the hub creates {name}_hub beside it)"
    )  # fmt: skip
    return (
        f"{wish.place('property', obj)}the portal has a {obj} property {name} ({kind}, "
        f'"{there.label}") that the hub did not create: {decide}'
    )


def _wrong_type(wish: Wish, there: CrmProperty) -> str:
    ours, theirs, name = wish.wants, there.type, wish.wants.name
    ticked = {o.value for o in there.options} >= {"true", "false"}
    alike = (
        ours.type == theirs
        or (ours.type == "string" and theirs == "phone_number")
        or (ours.type == "bool" and theirs == "enumeration" and ticked)
    )
    if not alike:
        shown = "checkboxes" if ours.field_type == "checkbox" else ours.type
        return (
            f"{name} is of type {theirs} in the portal, not {shown}: write `type: {theirs}` with "
            "a value or transform that fits it, or name another property"
        )
    if ours.field_type == "checkbox" and there.field_type != "checkbox":
        return f"{name} takes one value in the portal ({there.field_type}), not several checkboxes"
    return ""


def _unfit_options(wish: Wish, obj: CrmObject, there: CrmProperty) -> list[str]:
    """Options of the portal's own property are not added unless the row says so."""
    row = wish.row
    lacking = _lacking(wish, there)
    if row is None or not _theirs(wish, there) or row.add_options or not lacking:
        return []
    have = ", ".join(o.value for o in there.options[:_SHOWN])
    have += ", ..." if len(there.options) > _SHOWN else ""
    sources: dict[str, str] = {}
    if isinstance(row.transform, ValueMap):
        sources = {v: f"map.{k}" for k, v in row.transform.values.items()}
    key = "constant" if row.constant else "map" if row.transform is not None else "type"
    return [
        f"{wish.place(sources.get(o.value, key), obj)}{o.value!r} is no option of the portal's "
        f"property {wish.wants.name}, which has: {have or 'none'}. Map to one of these, or let "
        "`brokersync crm install` add it with `add_options: true`"
        for o in lacking
    ]


def _too_long(wish: Wish, obj: CrmObject, there: CrmProperty) -> list[str]:
    """Of fixed texts only: how long an open text gets is known when it is written."""
    row, most = wish.row, there.max_length
    if row is None or most is None:
        return []
    texts = {"constant": row.constant}
    if isinstance(row.transform, ValueMap):
        texts |= {f"map.{k}": v for k, v in row.transform.values.items()}
    return [
        f"{wish.place(key, obj)}{len(text)} characters; {wish.wants.name} takes {most:,}"
        for key, text in texts.items()
        if len(text) > most
    ]


def plan_schema(hub: Hub, name: str, destination: Destination) -> SchemaPlan:
    """Read the portal's live schema and compare."""
    want = wishes(hub, name)
    off = ""
    live: dict[CrmObject, Mapping[str, CrmProperty]] = {
        obj: destination.describe(obj) for obj in _NEEDED
    }
    if CrmObject.COMPANY in want:
        off, live[CrmObject.COMPANY] = _companies(destination)
        if off:
            del want[CrmObject.COMPANY]
    plan = compare(want, live)
    plan.off = off
    return plan


def _companies(destination: Destination) -> tuple[str, Mapping[str, CrmProperty]]:
    """Why the portal takes no companies (blank: it does), and their properties."""
    off = destination.lacks(CrmObject.COMPANY)
    if not off:
        try:
            return "", destination.describe(CrmObject.COMPANY)
        except NoRightError as error:
            off = error.admin
    return off, {}


@dataclass(frozen=True, slots=True)
class Ready:
    """The objects a portal is ready for, what is missing for the others, and why it takes no
    companies although somebody wants them."""

    objects: frozenset[CrmObject]
    error: ConfigError | None = None
    off: str = ""


def ready(hub: Hub, name: str, destination: Destination) -> Ready:
    """What may be written to the portal now.

    A portal that takes contacts but no unique task key still gets its contacts; tasks wait. Without
    the contacts' properties nothing is written. Companies are for later use: whatever they lack
    turns them off and is no error.
    """
    plan = plan_schema(hub, name, destination)
    off, companies = plan.off, plan.missing(CrmObject.COMPANY)
    if companies:
        off = f"run `brokersync crm install`, or mend by hand: {'; '.join(companies)}"
    lacking = [line for obj in _NEEDED for line in plan.missing(obj)]
    objects = set(_NEEDED)
    if not off and partners.wanted(hub, name):
        objects.add(CrmObject.COMPANY)
    if not lacking:
        return Ready(frozenset(objects), None, off)
    error = ConfigError(
        f"{name}: the portal is not ready; run `brokersync crm install`, or mend by hand:\n  "
        + "\n  ".join(lacking)
    )
    if plan.missing(CrmObject.CONTACT):
        return Ready(frozenset(), error, off)
    return Ready(frozenset(objects - {CrmObject.TASK}), error, off)
