"""`crm plan` and `crm install`: the fields of the rule set against the portal as it is."""

from __future__ import annotations

from typing import Any

from brokersync.output import Output
from connectors.destination import CrmObject, CrmProperty, Destination, NoRightError
from mapping.errors import ConfigError
from mapping.fields import Field
from sync.crm_schema import SchemaPlan, plan_schema
from sync.hub import Hub
from sync.unmapped import Left, unmapped

_WIDTH = 36
OFF = "Companies are off, partners are not told to the CRM"
_STATUS = {
    "created": "to create",
    "added to": "gets options",
    "there": "there",
    "adopted": "adopted",
    "portal": "portal's own",
    "clash": "CLASH",
}


def plan(out: Output, hub: Hub) -> bool:
    """Show every field, what the portal lacks and what clashes; whether a person must decide."""
    plans = {n: plan_schema(hub, n, d) for n, d in hub.destinations.items()}
    with hub.store.reading() as connection:
        left = {n: unmapped(hub, connection, n) for n in plans}
    if out.as_json:
        out.object({n: _as_json(p, left[n]) for n, p in plans.items()})
    for name, p in plans.items():
        out.heading(name)
        _show(out, p)
        show_unmapped(out, left[name])
    return any(p.clashes for p in plans.values())


def _as_json(p: SchemaPlan, left: dict[str, Left]) -> dict[str, Any]:
    return {
        "present": p.present,
        "create": [f"{o}.{x.name}" for o, xs in p.create.items() for x in xs],
        "add_options": [f"{o}.{x.name}" for o, xs in p.options.items() for x in xs],
        "clashes": p.clashes,
        "companies_off": p.off,
        "fields": [
            {
                "property": name, "type": f.type, "value": f.origin,
                "transform": str(f.transform) if f.transform else "as is",
                "owner": f.owner.value, "blank": f.blank.value, "status": p.status[name],
            }
            for name, f in p.rows.items()
        ],
        "unmapped": {name: one.as_json() for name, one in left.items()},
        "by_hand": p.by_hand(),
        "notes": p.notes,
    }  # fmt: skip


def _show(out: Output, p: SchemaPlan) -> None:
    out.table(
        ["Property", "Type", "Value", "In portal"],
        [_row(name, f, p.status[name]) for name, f in p.rows.items()],
        "The rule set has no field.",
    )
    for obj in CrmObject:
        keys = [x for x in p.create.get(obj, []) if x.name not in p.rows]
        for x in keys:
            what = "key" if x.unique or obj is CrmObject.TASK else "property"
            out.line(f"{_named(obj, x)} is to be created: the hub's own {what}.")
        for x in p.options.get(obj, []):
            out.line(f"{_named(obj, x)} gets options: {', '.join(o.value for o in x.options)}.")
    for clash in p.clashes:
        out.line(f"Clash: {clash}")
    for note in p.notes:
        out.line(f"Note: {note}")
    if p.off:
        out.line(f"{OFF}: {p.off}.")
    for what, names in p.by_hand().items():
        out.line(f"Check by hand. {what}: {', '.join(names)}.")
    if p.complete:
        out.line("Nothing to do.")
    elif not p.clashes:
        count = sum(len(xs) for xs in p.create.values())
        out.line(f"`brokersync crm install` creates {count} properties and adds missing options.")


def _row(name: str, f: Field, status: str) -> list[str]:
    # Names must stay whole in a hundred columns: people search for them.
    value = f.origin + (f"; {f.transform}" if f.transform else "")
    value = value if len(value) <= _WIDTH else f"{value[: _WIDTH - 3]}..."
    return [name, f.type, value, _STATUS[status]]


def _named(obj: CrmObject, x: CrmProperty) -> str:
    return f"{obj}.{x.name} ({x.type}{', unique' if x.unique else ''})"


def show_unmapped(out: Output, left: dict[str, Left]) -> None:
    """Values without a line in their map, most frequent first."""
    rows: list[list[Any]] = []
    for name, one in left.items():
        rows += [[name, value, n, one.becomes] for value, n in one.values.most_common()]
        if one.hidden:
            rows.append([name, "(texts, not shown)", one.hidden, one.becomes])
    if rows:
        out.line("Values that no line of the field's map names:")
        out.table(["Property", "Our value", "Contacts", "Becomes"], rows, "")


def install(out: Output, hub: Hub) -> None:
    """Create what is missing in each portal.

    Raises:
        ConfigError: something clashes; nothing is created in that portal.
    """
    done: dict[str, list[str]] = {}
    for name, destination in hub.destinations.items():
        found = plan_schema(hub, name, destination)
        companies = found.clash.pop(CrmObject.COMPANY, [])
        if found.clashes:
            raise ConfigError("\n".join(found.clashes))
        lines: list[str] = []
        for obj in (CrmObject.CONTACT, CrmObject.TASK):
            if wanted := found.to_install(obj):
                lines += destination.install(obj, wanted)
        off = found.off or "; ".join(companies)
        done[name] = [*lines, *_companies(destination, found, off)]
    if out.as_json:
        out.object(done)
    for name, lines in done.items():
        out.heading(name)
        for line in lines or ["Nothing to do: the portal has all that is needed."]:
            out.line(f"  {line}")


def _companies(destination: Destination, found: SchemaPlan, off: str) -> list[str]:
    """What was done for companies; what stands in the way of them stands in nobody else's."""
    wanted = found.to_install(CrmObject.COMPANY)
    if wanted and not off:
        try:
            return [*destination.install(CrmObject.COMPANY, wanted)]
        except NoRightError as error:
            off = error.admin
    return [f"{OFF}: {off}"] if off else []
