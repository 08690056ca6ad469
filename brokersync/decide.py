"""`crm decide`: a person's word on records and values that the hub stopped writing."""

from __future__ import annotations

from brokersync.output import Output
from connectors.destination import CrmObject
from mapping.errors import ConfigError
from mapping.ownership import HoldKind
from state import readback, sources
from sync.hub import Hub

RESUME, RECREATE = "resume", "recreate"
CHOICES = (RESUME, RECREATE)
_OBJECTS = (CrmObject.CONTACT, CrmObject.COMPANY)


def pending(out: Output, hub: Hub) -> bool:
    """List what waits for a decision.

    Returns:
        Whether there is anything.
    """
    rows = [row for name in hub.destinations for row in _of(hub, name)]
    if out.as_json:
        out.object({"decisions": rows})
        return bool(rows)
    cells = [[r["destination"], r["object"], r["key"], r["why"]] for r in rows]
    head = ["CRM", "Object", "Key", "What happened"]
    out.table(head, cells, "Nothing waits for a decision.")
    if rows:
        out.note(
            "`brokersync crm decide KEY resume` writes the record as it is now; `recreate` forgets "
            "it and looks for another, or creates one. For a company add `--company`."
        )
    return bool(rows)


def _of(hub: Hub, name: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for obj in (o.value for o in _OBJECTS):
        with hub.store.reading() as connection:
            stopped = readback.blocked(connection, name, obj)
            held = readback.all_holds(connection, name, obj, HoldKind.HELD)
        why = {key: f"{status} in the CRM; nothing is written" for key, status in stopped.items()}
        rows = [*sorted(why.items())]
        rows += [(k, f"{', '.join(sorted(names))} left as edited") for k, names in held.items()]
        found += [{"destination": name, "object": obj, "key": k, "why": w} for k, w in rows]
    return found


def decide(
    out: Output, hub: Hub, key: str, choice: str, obj: CrmObject = CrmObject.CONTACT
) -> None:  # fmt: skip
    """Let the hub write a contact (or company) again.

    Raises:
        ConfigError: no such record is known, or no such choice.
    """
    if choice not in CHOICES:
        raise ConfigError(f"{choice!r} is no choice: say {' or '.join(CHOICES)}")
    for name in hub.destinations:
        with hub.store.transaction(f"decide.{name}") as connection:
            recreate = choice == RECREATE
            found = readback.decide(connection, name, obj.value, key, recreate=recreate)
            for area in ("push", "readback"):
                sources.passed(connection, area, name, [key] if found else [], obj.value)
        if found:
            if out.as_json:
                out.object({"destination": name, "key": key, "decision": choice})
            else:
                out.line(f"{name} {key}: {choice}. The next sync writes it.")
            return
    raise ConfigError(
        f"no {obj} with the key {key}: write it as `brokersync crm decide` lists it "
        "(brand:client_id, or brand:partner with --company)"
    )
