"""Cellxpert keeps the contract of listing HTTP sources."""

from __future__ import annotations

import pytest

from tests.connectors.cellxpert_rig import CellxpertRig
from tests.contracts.source import HttpContract, ListSourceContract


class TestCellxpert(ListSourceContract, HttpContract):
    """See the contract."""

    @pytest.fixture
    def rig(self) -> CellxpertRig:
        return CellxpertRig()
