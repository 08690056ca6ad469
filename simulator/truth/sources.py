"""The families of sources, and what is off or blank while one of them is not connected."""

from __future__ import annotations

from collections.abc import Mapping

BASE = frozenset({"registry", "kyc", "psp"})
"""Always connected."""
SOURCES = BASE | {"trading", "ledger", "affiliate", "helpdesk"}

_TRADING = frozenset({"trading"})
_LEDGER = frozenset({"ledger"})
_AFFILIATE = frozenset({"affiliate"})
_HELPDESK = frozenset({"helpdesk"})

NEEDS: Mapping[str, frozenset[str]] = {
    "LS6": _TRADING,
    "LS7": _TRADING,
    "LS10": _TRADING,
    "LS11": _TRADING,
    "CS6": _TRADING,
    "CS7": _TRADING,
    "CS10": _TRADING,
    "CS11": _TRADING,
    "CS12": _TRADING | _LEDGER,
    "CS13": _AFFILIATE,
    "CS15": _TRADING | _LEDGER,
    "CS16": _HELPDESK,
    "affiliate_id": _AFFILIATE,
    "sub_id": _AFFILIATE,
    "partner_payout_category": _AFFILIATE,
    "first_trade_date": _TRADING,
    # The latest of whatever is connected; without trades it would call active traders inactive.
    "last_activity_date": _TRADING,
    "bonus_used": _LEDGER,
    "net_revenue": _TRADING | _LEDGER | _AFFILIATE,
    "ticket_count": _HELPDESK,
    "unresolved_ticket": _HELPDESK,
    # No source of flags is connected: nobody knows of none.
    "suspicious_behavior": _AFFILIATE,
}
"""Stage, state or field -> what it needs beside :data:`BASE`."""


def checked(sources: frozenset[str]) -> frozenset[str]:
    """The same families.

    Raises:
        ValueError: one is unknown, or one that is always connected is missing.
    """
    if not BASE <= sources <= SOURCES:
        raise ValueError(
            f"families {sorted(sources)}: at least {sorted(BASE)} of {sorted(SOURCES)}"
        )
    return sources
