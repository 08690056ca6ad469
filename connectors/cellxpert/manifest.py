"""What the Cellxpert connector is."""

from __future__ import annotations

from connectors.base import Manifest
from mapping.words import Kind

MANIFEST = Manifest(
    type="cellxpert",
    title="Cellxpert (affiliate system)",
    family="affiliate",
    kinds=(Kind.ATTRIBUTION, Kind.PAYOUT, Kind.RISK_FLAG, Kind.PARTNER),
    docs="connectors/cellxpert/README.md",
    multi_brand=True,
)
