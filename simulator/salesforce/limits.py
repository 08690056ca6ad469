"""How many calls the organisation takes.

Documented: all users of an organisation share an allowance for rolling 24 hours; every answer but
the versions list says how much of it is used; 25 calls (5 in a developer's organisation) may take
longer than 20 s at a time. Assumed: the 24 hours roll by hours, and a refused call does not count.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from simulator.salesforce.problems import SalesforceError

_HOUR_MS = 3_600_000
LONG_S = 20


class Quota:
    """Counts calls on the world's clock.

    Args:
        daily: the allowance; ``used`` are spent already, by others, in the hour that begins now.
        long_calls: how many calls over 20 s may run at a time.
    """

    def __init__(self, daily: int, used: int, long_calls: int) -> None:
        self.daily = daily
        self.long_calls = long_calls
        self._hours: deque[list[int]] = deque()
        self._first = used
        self._running: list[int] = []

    def used(self, now_ms: int) -> int:
        """Calls of the last 24 hours."""
        if self._first:
            self._hours.append([now_ms // _HOUR_MS, self._first])
            self._first = 0
        while self._hours and self._hours[0][0] <= now_ms // _HOUR_MS - 24:
            self._hours.popleft()
        return sum(count for _, count in self._hours)

    def admit(self, now_ms: int) -> None:
        """Count a call.

        Raises:
            SalesforceError: none is left (recorded).
        """
        if self.used(now_ms) >= self.daily:
            raise _exceeded("TotalRequests Limit exceeded.")
        hour = now_ms // _HOUR_MS
        if not self._hours or self._hours[-1][0] != hour:
            self._hours.append([hour, 0])
        self._hours[-1][1] += 1

    def start_long(self, now_ms: int, takes_s: float) -> None:
        """A call that will take so long begins.

        Raises:
            SalesforceError: too many are running (documented; the text's name is recorded).
        """
        if takes_s <= LONG_S:
            return
        self._running = [end for end in self._running if end > now_ms]
        if len(self._running) >= self.long_calls:
            raise _exceeded("ConcurrentPerOrgLongTxn Limit exceeded.")
        self._running.append(now_ms + round(takes_s * 1000))

    def header(self, now_ms: int) -> dict[str, str]:
        """What every answer tells."""
        return {"Sforce-Limit-Info": f"api-usage={self.used(now_ms)}/{self.daily}"}

    def shown(self, now_ms: int) -> dict[str, Any]:
        """``GET limits`` (recorded: some 70 names; here those a client of ours may ask for)."""
        left = max(0, self.daily - self.used(now_ms))
        return {
            "DailyApiRequests": {"Max": self.daily, "Remaining": left},
            "DailyBulkApiBatches": {"Max": 15_000, "Remaining": 15_000},
            "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 10_000},
            "DailyBulkV2QueryFileStorageMB": {"Max": 976_562, "Remaining": 976_562},

            "DataStorageMB": {"Max": 10_240, "Remaining": 10_240},
            "PermissionSets": {"CreateCustom": {"Max": 1500, "Remaining": 1499},
                               "Max": 1500, "Remaining": 1499},
        }  # fmt: skip


def _exceeded(message: str) -> SalesforceError:
    return SalesforceError("REQUEST_LIMIT_EXCEEDED", message, status=403)
