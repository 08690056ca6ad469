"""A fake organisation on a port of its own, simple-salesforce in front of it, and plain HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceError

from simulator.loopback import HttpServer
from simulator.salesforce import Choice, FakeQueue, Field, SalesforceFake
from tests.fakes.hubspot import TestWorld

V = "/services/data/v60.0"
QUEUES = (FakeQueue("Retention"), FakeQueue("Leads_Only", sobjects=("Lead",)))
KEY = {"length": 64, "external_id": True, "id_lookup": True, "unique": True}


class ToLocal(HTTPAdapter):
    """Sends what is meant for https://... to the server on loopback."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        super().__init__()

    def send(self, request: Any, *args: Any, **kw: Any) -> Any:
        parts = urlsplit(request.url)
        request.url = self.origin + parts.path + (f"?{parts.query}" if parts.query else "")
        return super().send(request, *args, **kw)


class Rig:
    """An organisation with one custom field of each kind, and its clients."""

    def __init__(self, **options: Any) -> None:
        self.world = TestWorld()
        self.fake = SalesforceFake(self.world, **({"queues": QUEUES} | options))
        for sobject in ("Contact", "Lead"):
            self.define(sobject, "Hub_Key__c", "string", **KEY)
        self.define(
            "Contact", "Loose_Key__c", "string", length=64, external_id=True, id_lookup=True
        )
        self.define("Contact", "Stage__c", "picklist", length=255, restricted=True,
                    values=(Choice("Registered"), Choice("Funded")))  # fmt: skip
        self.define("Contact", "Source__c", "picklist", length=255, values=(Choice("Web"),))
        self.define("Contact", "Tags__c", "multipicklist", length=4099, restricted=True,
                    values=(Choice("a"), Choice("b")))  # fmt: skip
        self.define("Contact", "Deposits__c", "double", precision=18, scale=2)
        self.define("Contact", "Seen__c", "datetime")
        self.define("Contact", "Vip__c", "boolean", nillable=False, default=False, defaulted=True)
        self.define("Contact", "Code__c", "string", length=10)
        self.server = HttpServer(self.fake)
        self.http = httpx.Client(base_url=self.server.url, timeout=60)
        self.session = requests.Session()
        self.session.mount("https://", ToLocal(self.server.url))
        self.session.trust_env = False
        self.login()

    def define(self, sobject: str, name: str, kind: str, **more: Any) -> None:
        granted = more.pop("granted", True)
        label = name.removesuffix("__c").replace("_", " ")
        field = Field(name, kind, **({"label": label} | more))
        self.fake.define(sobject, field, granted=granted)

    def login(self) -> None:
        """A new session for both clients."""
        token = self.fake.open_session()
        self.http.headers["authorization"] = f"Bearer {token}"
        self.sf = Salesforce(
            session_id=token, instance="broker.my.salesforce.com", version="60.0",
            session=self.session,
        )  # fmt: skip

    def close(self) -> None:
        self.http.close()
        self.session.close()
        self.server.close()

    # Plain calls

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """A call; ``path`` is behind the version unless it begins with a slash."""
        where = path if path.startswith("/") else f"{V}/{path}"
        return self.http.request(method, where, **({} if body is None else {"json": body}), **more)

    def refused(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Status and first error of a call that is refused."""
        answer = self.call(method, path, body, **more)
        assert answer.status_code >= 400, answer.text
        (error,) = answer.json()
        return answer.status_code, error

    def contact(self, key: str = "C1", **values: Any) -> str:
        """A contact by its key; its id."""
        answer = self.call(
            "PATCH", f"sobjects/Contact/Hub_Key__c/{key}", {"LastName": "Berg"} | values
        )
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    def create(self, sobject: str, **values: Any) -> str:
        """A record; its id."""
        answer = self.call("POST", f"sobjects/{sobject}", values)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def upsert(self, *rows: dict[str, Any], key: str = "Hub_Key__c", **more: Any) -> Any:
        """Results of a collection upsert of contacts, through simple-salesforce."""
        records = [{"attributes": {"type": "Contact"}} | row for row in rows]
        body = {"allOrNone": False, "records": records} | more
        return self.sf.restful(f"composite/sobjects/Contact/{key}", method="PATCH", json=body)

    def soql(self, text: str) -> list[dict[str, Any]]:
        """All records of a query, without attributes."""
        rows = self.sf.query_all(text)["records"]
        return [{n: v for n, v in row.items() if n != "attributes"} for row in rows]

    def read(self, row_id: str, sobject: str = "Contact") -> dict[str, Any]:
        """A record with its blanks left out."""
        whole = self.call("GET", f"sobjects/{sobject}/{row_id}").json()
        return {n: v for n, v in whole.items() if v is not None}


def error_of(row: dict[str, Any]) -> tuple[str, str, list[str]]:
    """Code, words and fields of a row that failed."""
    assert row["success"] is False
    assert "id" not in row
    (error,) = row["errors"]
    return error["statusCode"], error["message"], error["fields"]


def sdk_refused(call: Any, *args: Any, **kw: Any) -> tuple[int, Any]:
    """Status and content of simple-salesforce's exception."""
    with pytest.raises(SalesforceError) as caught:
        call(*args, **kw)
    return caught.value.status, caught.value.content
