"""Sumsub keeps the contract of re-reading HTTP sources."""

from __future__ import annotations

import pytest

from tests.connectors.sumsub_rig import SumsubRig
from tests.contracts.source import HttpContract, RereadSourceContract


class TestSumsub(RereadSourceContract, HttpContract):
    """See the contract."""

    @pytest.fixture
    def rig(self) -> SumsubRig:
        return SumsubRig()
