"""How many calls the portal takes: sliding 10 s window, day, and the search limit of its own."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo


class Limiter:
    """Counts calls on the world's clock (ms).

    Documented: a burst per 10 s and token; a day's allowance that ends at midnight of the
    account's zone; 5 searches a second per account, which carry no rate headers. Assumed: a
    refused call counts against nothing.
    """

    def __init__(
        self,
        *,
        burst: int,
        window_s: float,
        daily: int,
        zone: str,
        searches_per_s: int = 5,
        other_apps: int = 0,
    ) -> None:
        self.burst = burst
        self.window_ms = round(window_s * 1000)
        self.daily = daily
        self.searches_per_s = searches_per_s
        self.used_today = other_apps
        self._zone = ZoneInfo(zone)
        self._day = ""
        self._next_midnight_check = 0
        self._window: deque[int] = deque()
        self._searches: deque[int] = deque()

    def admit(self, now_ms: int, *, search: bool) -> str:
        """Count a call; "" if it may pass, else the name of the policy it breaks."""
        self._roll(now_ms)
        if self.used_today >= self.daily:
            return "DAILY"
        window, limit, length = (
            (self._searches, self.searches_per_s, 1000)
            if search
            else (self._window, self.burst, self.window_ms)
        )
        _forget(window, now_ms - length)
        if len(window) >= limit:
            return "SEARCH_SECONDLY" if search else "TEN_SECONDLY_ROLLING"
        window.append(now_ms)
        self.used_today += 1
        return ""

    def _roll(self, now_ms: int) -> None:
        if now_ms < self._next_midnight_check:
            return
        # A day begins on a full minute in every zone, so a look a minute is enough.
        self._next_midnight_check = now_ms - now_ms % 60_000 + 60_000
        day = datetime.fromtimestamp(now_ms / 1000, self._zone).date().isoformat()
        if self._day and day != self._day:
            self.used_today = 0
        self._day = day

    def headers(self, now_ms: int) -> dict[str, str]:
        """Documented rate headers of an answer."""
        _forget(self._window, now_ms - self.window_ms)
        return {
            "X-HubSpot-RateLimit-Max": str(self.burst),
            "X-HubSpot-RateLimit-Remaining": str(self.burst - len(self._window)),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(self.window_ms),
            "X-HubSpot-RateLimit-Daily": str(self.daily),
            "X-HubSpot-RateLimit-Daily-Remaining": str(max(0, self.daily - self.used_today)),
        }


def _forget(window: deque[int], until_ms: int) -> None:
    while window and window[0] <= until_ms:
        window.popleft()


def refusal(policy: str, correlation: str) -> dict[str, Any]:
    """Recorded: the 429 body has a shape of its own, without ``category``."""
    return {
        "status": "error",
        "message": f"You have reached your {policy.lower()} limit.",
        "errorType": "RATE_LIMIT",
        "correlationId": correlation,
        "policyName": policy,
        "groupName": "publicapi:private-apps:crm",
    }
