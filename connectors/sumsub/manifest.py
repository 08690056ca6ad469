"""What the Sumsub connector is."""

from __future__ import annotations

from connectors.base import Manifest
from mapping.words import Kind

MANIFEST = Manifest(
    type="sumsub",
    title="Sumsub (identity verification)",
    family="kyc",
    kinds=(Kind.KYC_CASE,),
    docs="connectors/sumsub/README.md",
    multi_brand=True,
)
