"""A world in real time, for hubs that run on the machine's own clock (``brokersync simulate``)."""

from __future__ import annotations

import time

from simulator.story import DAY_MS, World


class LiveWorld(World):
    """The same world, whose clock is the machine's; nobody's sleep moves it."""

    @classmethod
    def of(cls, world: World) -> LiveWorld:
        """A grown world with its clock tied to the machine's."""
        cast = world.clients.values()
        return cls(cast, world.brands, world.start_ms, world.rates, world.partners)

    @staticmethod
    def today() -> int:
        """The last midnight UTC, ms."""
        now = time.time_ns() // 1_000_000
        return now - now % DAY_MS

    @property
    def now_ms(self) -> int:
        """The machine's clock."""
        return time.time_ns() // 1_000_000

    @now_ms.setter
    def now_ms(self, value: int) -> None:
        """Real time is not set."""

    def sleep(self, seconds: float) -> None:
        """Vendor latency is real here, so it is not added."""
