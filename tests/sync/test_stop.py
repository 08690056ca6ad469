"""A wish to stop reaches whoever sleeps: in a pacer, in a retry, in a long wait."""

from __future__ import annotations

import threading

import httpx
import pytest

from connectors.base import Context, HttpSettings
from connectors.clock import SystemClock
from connectors.http import Api
from connectors.hubspot.pacer import Pacer
from mapping.errors import StoppingError
from sync import stop as stop_module
from sync.stop import Stop, StoppableClock

HOUR = 3600.0


class Noted:
    """A clock that stands still, and notes how long it was asked to sleep."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now_ms(self) -> int:
        """Always the same."""
        return 1_772_442_000_000

    def sleep(self, seconds: float) -> None:
        """Only noted."""
        self.slept.append(seconds)


@pytest.fixture
def stop() -> Stop:
    """Nobody has asked yet."""
    return Stop()


@pytest.fixture
def clock(stop: Stop) -> StoppableClock:
    """The real one."""
    return StoppableClock(SystemClock(), stop)


def asked_in(seconds: float, stop: Stop) -> None:
    """Ask for a stop a little later."""
    threading.Timer(seconds, stop.request).start()


def test_a_long_sleep_is_broken_off(stop: Stop, clock: StoppableClock) -> None:
    asked_in(0.1, stop)
    with pytest.raises(StoppingError):
        clock.sleep(HOUR)  # the test's time limit is shorter
    with pytest.raises(StoppingError):
        clock.sleep(HOUR)


def test_a_short_one_gets_to_its_end(stop: Stop) -> None:
    noted = Noted()
    stop.request()
    StoppableClock(noted, stop).sleep(0.4)
    assert noted.slept == [0.4]


def test_but_not_for_ever(
    stop: Stop, clock: StoppableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_module, "GRACE_S", 0.3)
    stop.request()
    clock.sleep(0.2)
    with pytest.raises(StoppingError):
        clock.sleep(0.2)


def test_nobody_asked(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(stop, "wait", lambda seconds: waited.append(seconds) or False)
    noted = Noted()
    StoppableClock(noted, stop).sleep(0.05)
    assert (waited, noted.slept) == ([0.05], [])  # the wait for a request is the sleep


def test_a_pacer_that_holds_everybody_lets_them_go(stop: Stop, clock: StoppableClock) -> None:
    pacer = Pacer(clock, limit=100)
    pacer.hold(60)
    asked_in(0.1, stop)
    with pytest.raises(StoppingError):
        pacer.take()
    with pytest.raises(StoppingError):
        pacer.take()  # and its turn is free for the next


def test_a_retry_is_given_up(stop: Stop, clock: StoppableClock) -> None:
    asked: list[str] = []

    def busy(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(503, headers={"retry-after": "60"})

    settings = HttpSettings(base_url="https://api.vendor.example")
    context = Context("vendor", {"alpha": "UTC"}, clock)
    one = Api(settings, context, transport=httpx.MockTransport(busy))
    asked_in(0.1, stop)
    with pytest.raises(StoppingError):
        one.get("/things")
    assert len(asked) == 1
