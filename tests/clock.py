"""A clock for tests: the simulated world's."""

from __future__ import annotations

from simulator.story import World


class WorldClock:
    """Tells the world's time; sleeping moves it on."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.slept: list[float] = []

    def now_ms(self) -> int:
        """See :class:`connectors.clock.Clock`."""
        return self.world.now_ms

    def sleep(self, seconds: float) -> None:
        """See :class:`connectors.clock.Clock`."""
        self.slept.append(seconds)
        self.world.sleep(seconds)
