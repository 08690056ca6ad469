"""What the PaymentIQ connector is."""

from __future__ import annotations

from connectors.base import Manifest
from mapping.words import Kind

MANIFEST = Manifest(
    type="paymentiq",
    title="PaymentIQ (payment orchestration)",
    family="psp",
    kinds=(Kind.PAYMENT, Kind.MOVEMENT),
    docs="connectors/paymentiq/README.md",
    multi_brand=True,
)
