"""The fake portal, new for each test."""

from __future__ import annotations

import pytest

from tests.simulator.hubspot_rig import Rig


@pytest.fixture
def rig() -> Rig:
    """A portal with one property of each kind."""
    return Rig()
