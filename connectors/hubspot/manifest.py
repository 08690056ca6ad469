"""What this connector is."""

from __future__ import annotations

from connectors.base import Manifest

MANIFEST = Manifest(
    type="hubspot",
    title="HubSpot",
    family="crm",
    kinds=(),
    docs="connectors/hubspot/README.md",
    multi_brand=True,
)
