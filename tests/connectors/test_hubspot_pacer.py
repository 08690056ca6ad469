"""The pacer keeps below the limit, and not far below it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from connectors.destination import CrmObject
from connectors.hubspot.pacer import Pacer
from simulator.hubspot import HubSpotFake
from tests.fakes.hubspot import START_MS, TestWorld, destination_for


def _times(world: TestWorld, pacer: Pacer, calls: int) -> list[int]:
    out = []
    for _ in range(calls):
        pacer.take()
        out.append(world.now_ms)
    return out


def _busiest(times: list[int], window_ms: int = 10_000) -> int:
    """The most calls any window holds, counted the slow way."""
    return max(sum(start <= t < start + window_ms for t in times) for start in times)


@pytest.mark.parametrize("limit", [100, 190, 250])
def test_no_window_holds_more_than_the_limit_less_headroom(limit: int) -> None:
    world = TestWorld()
    times = _times(world, Pacer(world.clock, limit=limit), 600)
    assert _busiest(times) <= limit - 4
    seconds = (times[-1] - times[0]) / 1000
    assert 600 / seconds >= 0.90 * limit / 10


def test_a_share_is_a_share() -> None:
    world = TestWorld()
    assert _busiest(_times(world, Pacer(world.clock, limit=190, share=0.5), 300)) <= 95 - 4


def test_the_first_calls_do_not_wait() -> None:
    world = TestWorld()
    times = _times(world, Pacer(world.clock, limit=190, burst=4), 5)
    assert times[3] == times[0] < times[4]


def test_eight_threads_meet_no_429_and_take_nine_tenths_of_the_limit() -> None:
    world = TestWorld()
    fake = HubSpotFake(world, daily_limit=10**6)
    hub = destination_for(fake, world.clock)
    hub.owners()
    started, before = world.now_ms, hub.counts.calls
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hub.owners(), range(250)))  # two calls each
    calls, seconds = hub.counts.calls - before, (world.now_ms - started) / 1000
    assert calls == 500
    assert fake.rate_limited == hub.counts.rate_limited == 0
    assert calls / seconds >= 0.90 * 19


def test_a_lower_limit_of_the_portal_is_obeyed() -> None:
    """A Starter portal takes 100; the setting says 190."""
    world = TestWorld()
    fake = HubSpotFake(world, burst=100)
    hub = destination_for(fake, world.clock)
    for _ in range(150):
        hub.owners()
    assert fake.rate_limited == 0


class SharedWorld(TestWorld):
    """A world in which another program calls the same portal ``rate`` times a second."""

    rate = 0.0
    fake: HubSpotFake

    def __init__(self) -> None:
        super().__init__()
        self._start_ms, self.others = self.now_ms, 0

    def sleep(self, seconds: float) -> None:
        end = self._now_ms + round(seconds * 1000)
        while (at := self._start_ms + (self.others + 1) * 1000 / self.rate) <= end:
            self._now_ms = max(self._now_ms, round(at))
            self.others += 1
            self.fake.limiter.admit(self._now_ms, search=False)
        self._now_ms = end


@pytest.mark.parametrize("rate", [2, 5, 9.5, 14])
def test_what_others_use_is_left_to_them(rate: float) -> None:
    """Nobody told the hub that it is not alone: the remaining-header does."""
    world = SharedWorld()
    world.rate = rate
    world.fake = HubSpotFake(world, daily_limit=10**6)
    hub = destination_for(world.fake, world.clock)
    taken = 0
    while world.now_ms < START_MS + 120_000:
        hub.describe(CrmObject.CONTACT)
        taken += 1
    # The others are noticed only after they called, so the first window may run over once.
    assert world.fake.rate_limited <= 1
    assert taken / 120 >= 0.85 * (19 - rate)


def test_after_a_refusal_nobody_calls_and_nobody_bursts() -> None:
    world = TestWorld()
    pacer = Pacer(world.clock, limit=190)
    pacer.take()
    now = world.now_ms
    pacer.hold(10)
    times = _times(world, pacer, 3)
    assert times[0] >= now + 10_000
    assert times[1] > times[0]
    assert times[2] > times[1]


def test_a_clock_set_back_does_not_stop_the_hub() -> None:
    world = TestWorld()
    pacer = Pacer(world.clock, limit=190)
    _times(world, pacer, 10)
    earlier = TestWorld(world.now_ms - 3_600_000)
    pacer._clock = earlier.clock
    start = earlier.now_ms
    pacer.take()
    assert earlier.now_ms - start < 1000
