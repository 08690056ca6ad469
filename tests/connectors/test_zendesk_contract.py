"""Zendesk keeps the contract of listing HTTP sources."""

from __future__ import annotations

import pytest

from tests.connectors.zendesk_rig import ZendeskRig
from tests.contracts.source import HttpContract, ListSourceContract


class TestZendesk(ListSourceContract, HttpContract):
    """See the contract."""

    withheld_ms = 60_000

    @pytest.fixture
    def rig(self) -> ZendeskRig:
        return ZendeskRig()
