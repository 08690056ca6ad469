"""The guarded client: one pool, one place for versions, retries, lazy SDK, a real socket."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from connectors.destination import Applied, CrmObject, Write
from connectors.hubspot.client import versioned
from mapping.errors import AmbiguousError, ConfigError, ProtocolError, RetryableError
from simulator.hubspot import Fault, HubSpotFake
from simulator.wire import Request, Response
from tests.fakes.hubspot import (
    START_MS,
    TOKEN,
    InProcessPool,
    TestWorld,
    destination_for,
    prepare,
    served,
)

ANA = [Write("alpha:C1", {"firstname": "Ana"})]


class RealTime:
    """A world that really waits."""

    @property
    def now_ms(self) -> int:
        return START_MS + time.monotonic_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def test_building_a_destination_does_not_import_the_sdk() -> None:
    code = (
        "import sys; from connectors.base import Context; from connectors.clock import SystemClock;"
        "from connectors.hubspot import *;"
        "HubSpotDestination(HubSpotSettings(access_token='x'), Context('h', {}, SystemClock()));"
        "assert 'hubspot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_api_object_each_over_one_pool() -> None:
    world = TestWorld()
    crm = destination_for(HubSpotFake(world), world.clock)._client.crm
    first, again = crm.contacts.batch_api, crm.contacts.batch_api
    assert first is again
    pools = {
        api.api_client.rest_client.pool_manager
        for api in (first, crm.owners.owners_api, crm.associations.v4.batch_api)
    }
    assert len(pools) == 1


@pytest.mark.parametrize(
    ("path", "dated"),
    [
        ("/crm/v3/objects/contacts/batch/upsert", "/crm/objects/2026-09/contacts/batch/upsert"),
        ("/crm/v3/properties/tasks/groups", "/crm/properties/2026-09/tasks/groups"),
        ("/crm/v3/owners/?limit=1", "/crm/owners/2026-09/?limit=1"),
        ("/crm/v3/owners/", "/crm/owners/2026-09"),
        (
            "/crm/v4/associations/tasks/contacts/batch/read",
            "/crm/associations/2026-09/tasks/contacts/batch/read",
        ),
    ],
)
def test_paths_are_dated_in_one_place(path: str, dated: str) -> None:
    assert versioned(f"https://api.hubapi.com{path}", "2026-09") == f"https://api.hubapi.com{dated}"
    assert versioned(f"https://api.hubapi.com{path}", "v3") == f"https://api.hubapi.com{path}"


def test_over_a_real_socket() -> None:
    """Keep-alive, timeouts, a cut connection and HTML, as urllib3 really tells them."""
    world = RealTime()
    fake = HubSpotFake(world)
    with served(fake) as url:
        hub = _real(world, url)
        prepare(hub)
        assert isinstance(hub.upsert(CrmObject.CONTACT, ANA)[0], Applied)
        fake.fail_next([Fault.lost_answer()])
        again = hub.upsert(CrmObject.CONTACT, ANA)[0]
        assert isinstance(again, Applied)
        fake.fail_next([Fault(slow_s=1.2), None])
        assert hub.owners() == []
        assert hub.check() is None
        assert len(fake.contacts()) == 1
        hub.close()
    with pytest.raises(RetryableError) as away:
        _real(world, url, max_attempts=1).check()
    assert not isinstance(away.value, AmbiguousError)
    assert "no connection" in away.value.admin


def _real(world: RealTime, url: str, **more: Any) -> Any:
    from connectors.base import Context
    from connectors.hubspot import HubSpotDestination, HubSpotSettings
    from tests.fakes.hubspot import WorldClock

    settings = HubSpotSettings(
        access_token=TOKEN,
        base_url=url,
        read_timeout_s=0.5,
        **more,
    )
    return HubSpotDestination(settings, Context("hubspot", {}, WorldClock(world)))


def test_waits_and_retries_run_on_the_given_clock() -> None:
    world = TestWorld()
    fake = HubSpotFake(world)
    hub = destination_for(fake, world.clock)
    prepare(hub)
    hub.describe(CrmObject.CONTACT)
    for faults, seconds in (
        ([Fault(status=423)], 2),
        ([Fault(status=503)], 1),
        ([Fault(status=502)] * 3, 1 + 2 + 4),
        ([Fault(status=503, retry_after=30)], 30),
        ([Fault.rate_limited()], 10),
        ([Fault.rate_limited(retry_after=3)], 3),
        ([Fault(drop="before")], 1),
    ):
        world.sleep(60)
        before = world.now_ms
        fake.fail_next(faults)
        assert isinstance(hub.upsert(CrmObject.CONTACT, ANA)[0], Applied)
        assert seconds <= (world.now_ms - before) / 1000 < seconds + 0.5


@pytest.mark.parametrize(
    ("fault", "error", "calls"),
    [
        (Fault(status=503), AmbiguousError, 5),
        (Fault.rate_limited(), RetryableError, 5),
        (Fault(status=477, retry_after=7200), RetryableError, 1),
        (Fault.rate_limited("DAILY"), RetryableError, 1),
        (Fault(status=522), AmbiguousError, 1),
        (Fault(status=401), ConfigError, 1),
        (Fault(status=405, html=True), ProtocolError, 1),
        (Fault(status=404, html=True), ProtocolError, 1),
        (Fault(status=302), ProtocolError, 1),
        (Fault(status=202), ProtocolError, 1),
    ],
)
def test_giving_up(fault: Fault, error: type[Exception], calls: int) -> None:
    world = TestWorld()
    fake = HubSpotFake(world)
    hub = destination_for(fake, world.clock)
    prepare(hub)
    hub.describe(CrmObject.CONTACT)
    before = hub.counts.calls
    fake.fail_next([fault] * 9)
    with pytest.raises(error) as given:
        hub.upsert(CrmObject.CONTACT, ANA)
    assert type(given.value) is not AmbiguousError or error is AmbiguousError
    assert hub.counts.calls - before == calls
    if fault.status == 477:
        assert getattr(given.value, "retry_after_s", 0) == 7200


class Broken:
    """The fake, but answers of one path are replaced."""

    def __init__(self, fake: HubSpotFake, path: str, body: bytes, status: int = 200) -> None:
        self.fake, self.path, self.body, self.status = fake, path, body, status

    def __call__(self, request: Request) -> Response:
        if request.path.endswith(self.path):
            return Response(self.status, self.body, {"content-type": "application/json"})
        return self.fake(request)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>a proxy's page</html>",
        b"",
        b"[]",
        b"{}",
        b'{"results": 5}',
        b'{"results": [{}]}',
        b'{"results": [{"id": "1", "properties": {}}]}',
        b'{"results": []}',
        b'{"results": [], "errors": [{"context": 5}]}',
        b'{"results": [{"id": "1", "properties": {}, "objectWriteTraceId": "77"}]}',
    ],
)
def test_an_answer_of_another_shape_is_a_protocol_error(body: bytes) -> None:
    world = TestWorld()
    fake = HubSpotFake(world)
    prepare(destination_for(fake, world.clock))
    hub = destination_for(Broken(fake, "contacts/batch/upsert", body), world.clock)
    with pytest.raises(ProtocolError, match="form this version"):
        hub.upsert(CrmObject.CONTACT, ANA)


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/properties/contacts", lambda hub: hub.describe(CrmObject.CONTACT)),
        ("/owners/", lambda hub: hub.owners()),
        ("contacts/batch/read", lambda hub: hub.read(CrmObject.CONTACT, ["k"], [])),
        ("associate/default", lambda hub: hub.associate([("1", "2")])),
    ],
)
@pytest.mark.parametrize("body", [b"{}", b"no json", b'{"results": [{"x": 1}]}'])
def test_so_is_any_other(path: str, call: Any, body: bytes) -> None:
    world = TestWorld()
    fake = HubSpotFake(world)
    prepare(destination_for(fake, world.clock))
    with pytest.raises(ProtocolError):
        call(destination_for(Broken(fake, path, body), world.clock))


def test_a_text_that_was_cut_within_an_emoji_stops_nobody() -> None:
    world = TestWorld()
    fake = HubSpotFake(world)
    prepare(destination_for(fake, world.clock))
    body = (
        b'{"results": [{"id": "7", "properties": {"broker_client_id": "alpha:C1",'
        b' "firstname": "Ana \\ud83d"}}]}'
    )
    hub = destination_for(Broken(fake, "contacts/batch/read", body), world.clock)
    found = hub.read(CrmObject.CONTACT, ["alpha:C1"], ["firstname"])
    assert found["alpha:C1"].properties == {"firstname": "Ana ?"}


def test_headers_tell_what_is_left_of_the_day() -> None:
    world = TestWorld()
    fake = HubSpotFake(world, daily_limit=1000, used_today=500)
    hub = destination_for(fake, world.clock)
    hub.owners()
    assert (hub.counts.daily_limit, hub.counts.daily_remaining) == (1000, 498)


def test_the_pool_of_tests_and_urllib3s_are_alike() -> None:
    """The in-process pool hides nothing a real one shows: status, headers of any case, body."""
    world = TestWorld()
    fake = HubSpotFake(world)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    inside = InProcessPool(fake).request("GET", "http://x/crm/v3/owners/", headers=headers)
    with served(fake) as url:
        import urllib3

        with urllib3.PoolManager() as pool:
            outside = pool.request("GET", f"{url}/crm/v3/owners/", headers=headers)
    name = "x-hubspot-ratelimit-max"
    assert (inside.status, inside.data, inside.headers[name]) == (
        outside.status,
        outside.data,
        outside.headers[name],
    )
