"""The compliance wall: what could tip off a client under review is read by risk teams only.

Everybody else reads "compliance hold, do not discuss". Tipping off is an offence in most places, so
the wall errs towards silence: a reason that only may be sensitive counts as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HOLD = "compliance hold, do not discuss"
RISK_TEAMS = frozenset({"risk", "compliance"})
"""Teams that see through the wall."""
UNDER_REVIEW = "risk"
"""The team whose stage (LS12) says by itself that a client is under review."""
SENSITIVE_REASONS = frozenset({"aml_match", "fraud_suspected", "duplicate"})
"""Reasons of a rejected check that are not to be named."""
SENSITIVE_DECLINES = frozenset({"fraud_suspected", "lost_stolen", "account_blocked"})
"""Reasons of a failed payment that are the issuer's to tell."""

_OF_KYC = frozenset({"kyc_rejection_reason", "kyc_reason_code", "kyc_gap", "kyc_client_text"})
_OF_RISK = frozenset({
    "open_risk_flags", "risk_flag_at", "suspicious", "duplicate_flag", "possible_duplicates",
})  # fmt: skip
_OF_DISPUTES = frozenset({
    "chargebacks", "chargebacks_open", "chargeback_open_at", "disputes_amount",
    "refunds_chargebacks",
})  # fmt: skip


CITED_WITH_CARE = _OF_RISK | _OF_KYC | {"chargebacks", "chargebacks_open", "chargeback_open_at"}
"""Facts that a property should show to risk teams only: who reads which is the CRM's to settle."""


def held(facts: Mapping[str, Any], stage_team: str) -> bool:
    """Whether there is something about the client that must not be discussed with it.

    Args:
        stage_team: who is accountable for the client's stage.
    """
    if facts["kyc_rejection_reason"] in SENSITIVE_REASONS or stage_team == UNDER_REVIEW:
        return True
    # Asked of every client: no loop.
    return bool(
        facts["open_risk_flags"] or facts["chargebacks_open"] or facts["duplicate_flag"]
        or facts["possible_duplicates"]
    )  # fmt: skip


def hidden(facts: Mapping[str, Any]) -> frozenset[str]:
    """The facts that a text for other than risk teams must not cite of this client.

    Those of flags always: a text that names them only when there are none would tell, too.
    """
    found = _OF_RISK
    if facts.get("kyc_rejection_reason") in SENSITIVE_REASONS:
        found |= _OF_KYC
    if facts.get("chargebacks_open"):
        found |= _OF_DISPUTES
    return found
