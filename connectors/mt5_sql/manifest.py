"""What the MetaTrader connector is."""

from __future__ import annotations

from connectors.base import Manifest
from mapping.words import Kind

MANIFEST = Manifest(
    type="mt5_sql",
    title="MetaTrader 5 SQL export (MetaTrader 4 as a profile)",
    family="trading",
    also=("ledger",),
    kinds=(
        Kind.TRADING_ACCOUNT,
        Kind.TRADING_DAY,
        Kind.LEDGER_ENTRY,
        Kind.BALANCE,
        Kind.PAYMENT,
    ),
    docs="connectors/mt5_sql/README.md",
    multi_brand=True,
)
