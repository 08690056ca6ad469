"""The CRM properties the rule set needs, against the portal's live schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.destination import CrmObject, CrmProperty, Destination, Option
from mapping.errors import ConfigError
from mapping.rules import FactType
from mapping.ruleset import Field, RuleSet
from sync.hub import Hub

KEY = CrmProperty(
    "broker_client_id", "Broker client id", "string", unique=True,
    description="brand:client_id of the broker; the hub finds its contacts by it.",
)  # fmt: skip
OTHERS = CrmProperty(
    "broker_other_ids", "Other broker client ids", "string",
    description="Further clients of the broker with this e-mail address.",
)  # fmt: skip
TASK_KEY = CrmProperty(
    "broker_task_key", "Broker task key", "string", unique=True,
    description="The reason behind the task; the hub finds its tasks by it.",
)  # fmt: skip


@dataclass(slots=True)
class SchemaPlan:
    """What ``crm install`` would do, and what it cannot do."""

    create: dict[CrmObject, list[CrmProperty]] = field(default_factory=dict)
    options: dict[CrmObject, list[CrmProperty]] = field(default_factory=dict)
    clash: dict[CrmObject, list[str]] = field(default_factory=dict)
    present: int = 0

    @property
    def clashes(self) -> list[str]:
        """What a person must decide, one line each."""
        return [line for lines in self.clash.values() for line in lines]

    @property
    def complete(self) -> bool:
        """Whether the portal has all that is needed."""
        return not any(self.missing(obj) for obj in CrmObject)

    def missing(self, obj: CrmObject) -> list[str]:
        """What an object lacks or where it clashes, as sentences."""
        lines = [f"{obj}: property {p.name} is missing" for p in self.create.get(obj, [])]
        lines += [
            f"{obj}: property {p.name} lacks options: {', '.join(x.value for x in p.options)}"
            for p in self.options.get(obj, [])
        ]
        return [*lines, *self.clash.get(obj, [])]


def wanted(hub: Hub, destination: str) -> dict[CrmObject, list[CrmProperty]]:
    """All properties the brands of a destination need (native ones are the CRM's own)."""
    found: dict[str, CrmProperty] = {KEY.name: KEY, OTHERS.name: OTHERS}
    for name, rules in sorted(hub.rules.items()):
        if hub.brands[name].destination == destination:
            for f in rules.fields:
                if not f.native:
                    wish = _property(hub, rules, f)
                    found[wish.name] = wish
    return {CrmObject.CONTACT: list(found.values()), CrmObject.TASK: [TASK_KEY]}


def _property(hub: Hub, rules: RuleSet, f: Field) -> CrmProperty:
    name, options = hub.property_name(f.property), tuple(_options(rules, f))
    if f.type == "checkboxes":
        return CrmProperty(name, f.label, "enumeration", "checkbox", options)
    return CrmProperty(name, f.label, f.type, options=options)


def _options(rules: RuleSet, f: Field) -> list[Option]:
    if f.hub == "profile.stage":
        return [Option(s.id, f"{s.id} {s.label}") for s in rules.stages]
    if f.hub == "profile.states":
        return [Option(s.id, f"{s.id} {s.label}") for s in rules.states]
    if f.type == "enumeration" and f.expr is not None and f.expr.type is FactType.ENUM:
        words = f.expr.root.type.values
        return [Option(v, v.replace("_", " ").capitalize()) for v in words]
    return []


def compare(
    want: Mapping[CrmObject, list[CrmProperty]],
    live: Mapping[CrmObject, Mapping[str, CrmProperty]],
) -> SchemaPlan:
    """The difference between what is needed and what the portal has."""
    plan = SchemaPlan()
    for obj, properties in want.items():
        for wish in properties:
            there = live[obj].get(wish.name)
            if there is None:
                plan.create.setdefault(obj, []).append(wish)
                continue
            plan.present += 1
            _compare_one(plan, obj, wish, there)
    return plan


def _compare_one(plan: SchemaPlan, obj: CrmObject, wish: CrmProperty, there: CrmProperty) -> None:
    where = f"{obj}: property {wish.name}"
    if there.type != wish.type:
        plan.clash.setdefault(obj, []).append(
            f"{where} is a {there.type} in the portal, the rule set needs a {wish.type}: rename "
            "one of them or set another property_prefix"
        )
        return
    if wish.unique and not there.unique:
        plan.clash.setdefault(obj, []).append(
            f"{where} exists without unique values; uniqueness can only be set at creation: "
            "archive it in the portal, then run `brokersync crm install`"
        )
    if there.read_only:
        plan.clash.setdefault(obj, []).append(f"{where} is read-only in the portal")
    have = {o.value for o in there.options}
    lacking = tuple(o for o in wish.options if o.value not in have)
    if lacking:
        short = CrmProperty(wish.name, wish.label, wish.type, wish.field_type, lacking)
        plan.options.setdefault(obj, []).append(short)


def plan_schema(hub: Hub, name: str, destination: Destination) -> SchemaPlan:
    """Read the portal's live schema and compare."""
    live = {obj: destination.describe(obj) for obj in CrmObject}
    return compare(wanted(hub, name), live)


def ready(
    hub: Hub, name: str, destination: Destination
) -> tuple[frozenset[CrmObject], ConfigError | None]:
    """The objects the portal is ready for, and what is missing for the others.

    A portal that takes contacts but no unique task key still gets its contacts; tasks wait. Without
    the contacts' properties nothing is written.
    """
    plan = plan_schema(hub, name, destination)
    lacking = [line for obj in CrmObject for line in plan.missing(obj)]
    if not lacking:
        return frozenset(CrmObject), None
    error = ConfigError(
        f"{name}: the portal is not ready; run `brokersync crm install`, or mend by hand:\n  "
        + "\n  ".join(lacking)
    )
    if plan.missing(CrmObject.CONTACT):
        return frozenset(), error
    return frozenset({CrmObject.CONTACT}), error
