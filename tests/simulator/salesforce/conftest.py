"""The fake organisation, new for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.simulator.salesforce.rig import Rig


@pytest.fixture
def rigs() -> Iterator[Callable[..., Rig]]:
    """Makes organisations with options, and closes them."""
    made: list[Rig] = []

    def make(**options: Any) -> Rig:
        made.append(Rig(**options))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def rig(rigs: Callable[..., Rig]) -> Rig:
    """An organisation with one custom field of each kind."""
    return rigs()
