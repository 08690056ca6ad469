"""What this connector is."""

from __future__ import annotations

from connectors.base import Manifest

MANIFEST = Manifest(
    type="salesforce",
    title="Salesforce",
    family="crm",
    kinds=(),
    docs="connectors/salesforce/README.md",
    multi_brand=True,
)
