"""The fake portal with one property of each kind, seen through HubSpot's own SDK."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from simulator.hubspot import FakeOwner, HubSpotFake
from tests.fakes.hubspot import TestWorld, sdk_for

MIDNIGHT_MS = "1772323200000"  # 2026-03-01T00:00:00Z


class Rig:
    """A portal with one property of each kind, and the SDK."""

    def __init__(self, **options: Any) -> None:
        self.world = TestWorld()
        owners = [FakeOwner(str(n), f"o{n}@b.test", archived=n > 105) for n in range(101, 108)]
        self.fake = HubSpotFake(self.world, **({"owners": owners} | options))
        self.crm = sdk_for(self.fake).crm
        self.crm.properties.groups_api.create("contacts", {"name": "broker", "label": "Broker"})
        self.define("broker_client_id", "string", "text", hasUniqueValue=True)
        self.define("status", "enumeration", "select", options=options_of("open", "shut"))
        self.define("tags", "enumeration", "checkbox", options=options_of("a", "b", "c"))
        self.define("day", "date", "date")
        self.define("moment", "datetime", "date")
        self.define("amount", "number", "number")
        self.define("flag", "bool", "booleancheckbox", options=options_of("true", "false"))

    def define(self, name: str, kind: str, field: str, **more: Any) -> Any:
        body = {"name": name, "label": name, "type": kind, "fieldType": field}
        return self.crm.properties.core_api.create(
            "contacts", body | {"groupName": "broker"} | more
        )

    def upsert(self, *rows: tuple[str, Mapping[str, Any]], trace: bool = True) -> Any:
        inputs = [
            {"idProperty": "broker_client_id", "id": key, "properties": dict(values)}
            | ({"objectWriteTraceId": f"t-{key}"} if trace else {})
            for key, values in rows
        ]
        return self.crm.contacts.batch_api.upsert({"inputs": inputs})

    def by_keys(self) -> list[tuple[str, dict[str, str]]]:
        return list(self.fake.contacts("broker_client_id").items())

    def by_key(self, key: str) -> dict[str, str]:
        return self.fake.contacts("broker_client_id")[key]


def options_of(*values: str) -> list[dict[str, Any]]:
    return [{"label": v, "value": v, "hidden": False} for v in values]


def refused(call: Any, *args: Any, **kw: Any) -> tuple[int, dict[str, Any]]:
    """Status and body of the SDK's exception."""
    with pytest.raises(Exception, match="Reason") as caught:
        call(*args, **kw)
    body = getattr(caught.value, "body", "")
    status: int = getattr(caught.value, "status", 0)
    return status, json.loads(body) if body.startswith("{") else {"html": body}
