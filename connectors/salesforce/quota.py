"""The org's daily calls: what Salesforce says on each answer, and when the hub pauses."""

from __future__ import annotations

import re
import threading

from connectors.clock import Clock
from connectors.destination import CallCount
from mapping.errors import QuotaError

_USAGE = re.compile(r"(?:^|[;,\s])api-usage=(\d{1,12})/(\d{1,12})")
_ASK_AGAIN_S = 900.0


def usage(header: str | None) -> tuple[int, int] | None:
    """Used and allowed calls of ``Sforce-Limit-Info`` (documented: ``api-usage=10018/100000``,
    maybe among others)."""
    found = _USAGE.search(header or "")
    return (int(found[1]), int(found[2])) if found else None


class Quota:
    """The day's allowance, which all programs of the org share.

    Args:
        share: the used part at which the hub pauses.
    """

    def __init__(self, counts: CallCount, share: float, clock: Clock) -> None:
        self._counts = counts
        self._share = share
        self._clock = clock
        self._lock = threading.Lock()
        self._used = 0
        self._looked_at = 0

    def observe(self, header: str | None) -> None:
        """Take notice of an answer's header, if it has one."""
        found = usage(header)
        if found is None:
            return
        used, allowed = found
        with self._lock:
            self._used, self._looked_at = used, self._clock.now_ms()
            self._counts.daily_limit = allowed
            self._counts.daily_remaining = max(0, allowed - used)

    def check(self) -> None:
        """Whether one more call may be made.

        Raises:
            QuotaError: the hub's share of the day is used up. The window is 24 h and rolls, so a
                look is worth while every quarter of an hour.
        """
        with self._lock:
            allowed = self._counts.daily_limit
            if allowed is None or self._used < allowed * self._share:
                return
            used, now = self._used, self._clock.now_ms()
            if now - self._looked_at >= _ASK_AGAIN_S * 1000:
                self._looked_at = now  # this one call may find that the window has rolled on
                return
        raise QuotaError(
            f"Salesforce counts {used:,} of {allowed:,} calls in the last 24 hours: the hub pauses "
            f"at {self._share:.0%}. What is pending stays pending and goes on by itself. If this "
            f"happens often, buy API calls, sync less often, or raise `share` of this destination.",
            retry_after_s=_ASK_AGAIN_S,
        )
