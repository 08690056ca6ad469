"""What the Zendesk connector is."""

from __future__ import annotations

from connectors.base import Manifest
from mapping.words import Kind

MANIFEST = Manifest(
    type="zendesk",
    title="Zendesk Support (tickets)",
    family="helpdesk",
    kinds=(Kind.LINK, Kind.TICKET),
    docs="connectors/zendesk/README.md",
    multi_brand=True,
)
