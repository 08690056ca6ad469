"""HubSpot as a destination. Nothing here imports the SDK before the first call is made."""

from __future__ import annotations

from connectors.hubspot.destination import HubSpotDestination
from connectors.hubspot.manifest import MANIFEST
from connectors.hubspot.settings import HubSpotSettings

__all__ = ["MANIFEST", "HubSpotDestination", "HubSpotSettings"]
