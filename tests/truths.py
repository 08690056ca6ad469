"""The world's truth for a hub that is connected to the registry, KYC and the PSP alone."""

from __future__ import annotations

from simulator.story import Client, World
from simulator.truth import Profile
from simulator.truth import profile as of_sources
from simulator.truth.sources import BASE


def profile(world: World, client: Client, at_ms: int) -> Profile | None:
    """The client's profile while nothing else is connected."""
    return of_sources(world, client, at_ms, BASE)
