"""The one module that reads the wall clock and sleeps."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where the hub takes time from. Production: :class:`SystemClock`; tests inject their own."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """See :class:`Clock`."""
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """See :class:`Clock`."""
        time.sleep(seconds)
