"""A real HubSpot destination over a fake portal: in this process, or over a real socket.

In process, the fake stands where urllib3's pool does, below the whole SDK, and time is the world's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from connectors.base import Boundary, Context, no_boundary
from connectors.clock import Clock
from connectors.destination import CrmObject, CrmProperty
from connectors.hubspot import HubSpotDestination, HubSpotSettings
from simulator.loopback import HttpServer
from simulator.wire import Fake
from tests.transport import InProcessPool

TOKEN = "pat-na1-fake"
START_MS = 1_772_323_200_000  # 2026-03-01T00:00:00Z

CONTACT_KEY = CrmProperty("broker_client_id", "Client id", "string", unique=True)
TASK_KEY = CrmProperty("broker_task_key", "Task key", "string", unique=True)
COMPANY_KEY = CrmProperty("broker_partner_key", "Partner key", "string", unique=True)


class TestWorld:
    """The clock a fake runs on; also the hub's :class:`Clock`. Safe to use from threads."""

    __test__ = False

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()

    @property
    def now_ms(self) -> int:
        """The fake's view."""
        return self._now_ms

    def sleep(self, seconds: float) -> None:
        """Waiting moves time on, and nothing else does."""
        with self._lock:
            self._now_ms += max(0, round(seconds * 1000))

    @property
    def clock(self) -> WorldClock:
        """The hub's view."""
        return WorldClock(self)


class WorldClock:
    """The hub's clock on a world's time (any object with ``now_ms`` and ``sleep``)."""

    def __init__(self, world: Any) -> None:
        self._world = world

    def now_ms(self) -> int:
        """See :class:`Clock`."""
        return int(self._world.now_ms)

    def sleep(self, seconds: float) -> None:
        """See :class:`Clock`."""
        self._world.sleep(seconds)


def destination_for(
    fake: Fake,
    clock: Clock,
    *,
    name: str = "hubspot",
    boundary: Boundary = no_boundary,
    brands: Mapping[str, str] | None = None,
    **settings: Any,
) -> HubSpotDestination:
    """A real destination whose calls end in ``fake``. ``settings`` as of HubSpotSettings."""
    settings.setdefault("access_token", TOKEN)
    context = Context(name, brands or {"alpha": "Europe/Nicosia"}, clock, boundary)
    return HubSpotDestination(HubSpotSettings(**settings), context, pool=InProcessPool(fake))


def sdk_for(fake: Fake, token: str = TOKEN) -> Any:
    """The SDK's own client, models and exceptions, without any of the hub's code, over a fake."""
    from hubspot import HubSpot

    def build(package: Any, name: str, config: Any) -> Any:
        del config
        configuration = package.Configuration()
        configuration.access_token = token
        client = package.ApiClient(configuration=configuration)
        client.rest_client.pool_manager = InProcessPool(fake)
        return getattr(package, name)(api_client=client)

    return HubSpot(api_factory=build)


def prepare(
    destination: HubSpotDestination,
    contact: Sequence[CrmProperty] = (),
    task: Sequence[CrmProperty] = (),
) -> None:
    """Install the hub's keys and further properties in the portal."""
    destination.install(CrmObject.CONTACT, [CONTACT_KEY, *contact])
    destination.install(CrmObject.TASK, [TASK_KEY, *task])


@contextmanager
def served(fake: Fake) -> Iterator[str]:
    """The fake behind a real socket on loopback; yields its base URL."""
    server = HttpServer(fake)
    try:
        yield server.url
    finally:
        server.close()
