"""Salesforce as a destination. Nothing here imports the SDK before the first call is made."""

from __future__ import annotations

from connectors.salesforce.destination import SalesforceDestination
from connectors.salesforce.manifest import MANIFEST
from connectors.salesforce.settings import SalesforceSettings

__all__ = ["MANIFEST", "SalesforceDestination", "SalesforceSettings"]
