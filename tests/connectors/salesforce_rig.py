"""The real Salesforce destination over a real socket to a simulated org, on the world's time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from connectors.base import Boundary, Context, no_boundary
from connectors.destination import CrmObject, CrmProperty
from connectors.salesforce.client import SalesforceClient
from connectors.salesforce.destination import SalesforceDestination
from connectors.salesforce.settings import SalesforceSettings
from simulator.loopback import HttpServer
from simulator.salesforce import FakeApp, FakeQueue, SalesforceFake
from simulator.wire import Fake, Request, Response
from tests.certificates import key_pair
from tests.fakes.hubspot import TestWorld

T = TypeVar("T")
USER = "hub@broker.test"
KEY = CrmProperty("broker_client_id", "Broker client id", "string", unique=True)
TASK_KEY = CrmProperty("broker_task_key", "Broker task key", "string", unique=True)
STAGE = CrmProperty("brokerage_stage", "Stage", "string")


class SalesforceRig:
    """An org, and a hub's destination pointed at it. ``settings`` change the hub's."""

    def __init__(self, boundary: Boundary = no_boundary, **org: Any) -> None:
        self.world = TestWorld()
        app = FakeApp("consumer", "secret", key_pair()[1], approved=(USER,), run_as=USER)
        queues = (FakeQueue("Retention"),)
        options = {"apps": (app,), "queues": queues, "keep_writes": True}
        self.fake = SalesforceFake(self.world, **(options | org))
        self.answer: Fake = self.fake
        """Who answers: the org, unless a test puts something between."""
        self.server = HttpServer(self._answered)
        self.boundary = boundary
        self.crm = self.destination()

    def _answered(self, request: Request) -> Response:
        return self.answer(request)

    def settings(self, **changed: Any) -> SalesforceSettings:
        """Client credentials, unless told otherwise."""
        usual = {
            "base_url": self.server.url, "auth": "client_credentials", "consumer_key": "consumer",
            "consumer_secret": "secret", "username": USER, "api_version": "60.0",
        }  # fmt: skip
        return SalesforceSettings(**(usual | changed))

    def destination(self, **changed: Any) -> SalesforceDestination:
        """A hub's end; several may look at one org."""
        zones = {"alpha": "Europe/Nicosia", "beta": "Europe/London"}
        context = Context("crm", zones, self.world.clock, self.boundary)
        return SalesforceDestination(self.settings(**changed), context)

    def install(self) -> list[str]:
        """What a hub needs of contacts and tasks."""
        done = [*self.crm.install(CrmObject.CONTACT, [KEY, STAGE])]
        return [*done, *self.crm.install(CrmObject.TASK, [TASK_KEY])]

    def close(self) -> None:
        """Free the port."""
        self.crm.close()
        self.server.close()


def client(crm: SalesforceDestination) -> SalesforceClient:
    """What a destination speaks through."""
    return crm._client


def limits(crm: SalesforceDestination) -> Any:
    """Any counted call."""
    return client(crm).call("GET", "limits")


def seen(org: SalesforceRig, shown: Callable[[Request], T]) -> list[T]:
    """Requests from now on, as they arrive and as ``shown`` tells them."""
    found: list[T] = []
    answer = org.answer

    def handle(request: Request) -> Response:
        found.append(shown(request))
        return answer(request)

    org.answer = handle
    return found
