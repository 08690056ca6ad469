"""What the registry connector is."""

from __future__ import annotations

from connectors.base import Manifest
from mapping.records import Kind

MANIFEST = Manifest(
    type="registry",
    title="Client registry (SQL table or view)",
    family="registry",
    kinds=(Kind.PROFILE,),
    docs="connectors/registry/README.md",
    multi_brand=True,
)
