"""A hub in a process of its own that pushes many contacts to a Salesforce: what it takes to.

``python -m tests.sync.bulk_push URL DATABASE CONTACTS`` prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from config import yaml_file
from config.settings import DEFAULT_RULES
from connectors.base import Boundary, Context, no_boundary
from connectors.destination import CrmObject, CrmProperty
from connectors.salesforce.destination import SalesforceDestination
from connectors.salesforce.settings import SalesforceSettings
from mapping.money import Rates
from mapping.policy import BrandPolicy
from mapping.ruleset import load
from state import engine, outbox
from state.store import Store
from sync.crm_schema import wanted, wishes
from sync.hub import Hub
from sync.push import Pushed, Pusher

CRM, BRAND, ZONE = "crm", "alpha", "Europe/Nicosia"
NOW_MS = 1_772_442_000_000
BAD_EVERY = 25
FAMILIES = ("registry", "kyc", "psp")


class Clock:
    """Stands still: the org of this test is done with a job at once."""

    def now_ms(self) -> int:
        """See :class:`connectors.clock.Clock`."""
        return NOW_MS

    def sleep(self, seconds: float) -> None:
        """See :class:`connectors.clock.Clock`."""


def hub(url: str, database: str, boundary: Boundary = no_boundary, in_flight: int = 4, **crm: Any
        ) -> Hub:  # fmt: skip
    """A hub with the shipped rules. ``crm`` are settings of its destination."""
    store = Store(database, boundary)
    store.migrate()
    settings = SalesforceSettings.model_validate({
        "base_url": url, "auth": "client_credentials", "consumer_key": "consumer",
        "consumer_secret": "secret", "api_version": "60.0", **crm,
    })  # fmt: skip
    context = Context(CRM, {BRAND: ZONE}, Clock(), boundary)
    return Hub(
        store=store, clock=Clock(), sources=[],
        brands={BRAND: BrandPolicy(BRAND, ZONE, "EUR", CRM, {"*": NOW_MS}, {"*": "tasks"}, {})},
        destinations={CRM: SalesforceDestination(settings, context)},
        rules={BRAND: load(yaml_file.read(DEFAULT_RULES).data, FAMILIES, 2)},
        rates={BRAND: Rates("EUR", {}, {})}, in_flight=in_flight,
    )  # fmt: skip


def install(found: Hub) -> None:
    """Create the fields."""
    for obj, properties in wanted(found, CRM).items():
        found.destinations[CRM].install(obj, properties)


def body(number: int, properties: list[CrmProperty]) -> dict[str, str]:
    """A contact with a value in each field; of one in 25 the org takes none."""
    found = {p.name: _value(number, p) for p in properties}
    found["broker_client_id"] = key(number)
    if number % BAD_EVERY == 0:
        found["lastname"] = ""
    return found


def key(number: int) -> str:
    """A contact's key."""
    return f"{BRAND}:C{number}"


def _value(number: int, prop: CrmProperty) -> str:
    match prop.type:
        case "number":
            return f"{number}.25"
        case "date":
            return "2026-02-27"
        case "datetime":
            return str(NOW_MS + number)
        case "bool":
            return "true"
        case "enumeration":
            return prop.options[number % len(prop.options)].value if prop.options else ""
    if prop.name == "email":
        return f"c{number}@example.com"
    long = f"Line {number}, as long as a card.\n" * 40
    return long if prop.field_type == "textarea" else f"{prop.label} of {number}"


def want(found: Hub, count: int) -> None:
    """Let so many contacts be wanted."""
    properties = [w.wants for w in wishes(found, CRM)[CrmObject.CONTACT]]

    def rows() -> Iterator[outbox.Desired]:
        for number in range(count):
            yield outbox.Desired("contact", key(number), body(number, properties))

    waiting = rows()
    while part := list(islice(waiting, 250)):
        with found.store.transaction("test.want") as connection:
            outbox.want(connection, CRM, part, NOW_MS)


def push(found: Hub) -> Pushed:
    """Push all that is wanted."""
    with found.store.transaction("test.role") as connection:
        fence = engine.take_role(connection, NOW_MS)
    guard = partial(_holding, fence)
    return Pusher(found, CRM, found.destinations[CRM], fence, guard).push()


def _holding(fence: int, connection: Connection) -> None:
    engine.hold(connection, fence)


def peak_mb() -> float:
    """Peak resident memory of this process, MB."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def main(url: str, database: str, contacts: int) -> None:
    """Push, and say what came of it."""
    found = hub(url, database)
    install(found)
    want(found, contacts)
    before_mb = peak_mb()
    done = push(found)
    error = done.stopped
    told = {
        "stopped": error and f"{error.admin} ({error.log})", "written": done.contacts_written,
        "created": done.contacts_created, "refused": done.refused,
        "before_mb": before_mb, "peak_mb": peak_mb(),
    }  # fmt: skip
    sys.stdout.write(json.dumps(told))
    found.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
