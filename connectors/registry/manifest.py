"""What the registry connector is."""

from __future__ import annotations

from connectors.base import Manifest
from mapping.words import Kind

MANIFEST = Manifest(
    type="registry",
    title="Client registry (SQL table, CSV or JSONL)",
    family="registry",
    kinds=(Kind.PROFILE,),
    docs="connectors/registry/README.md",
    multi_brand=True,
)
