"""PaymentIQ keeps the contract of listing HTTP sources."""

from __future__ import annotations

import pytest

from tests.connectors.paymentiq_rig import PaymentIqRig
from tests.contracts.source import HttpContract, ListSourceContract


class TestPaymentIq(ListSourceContract, HttpContract):
    """See the contract."""

    @pytest.fixture
    def rig(self) -> PaymentIqRig:
        return PaymentIqRig()
