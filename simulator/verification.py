"""A client's way through KYC: attempts, rejections, resubmissions, second thoughts.

An applicant shows three times only: its creation, the current attempt's creation and the latest
decision; the hub re-reads it often while the newest of them is young. So a step normally comes
within 40 h of that *anchor*. A rarer late step never asks for work (no retryable rejection), keeps
out of the last 36 h of the story and is followed by 31 h of quiet, so that a daily read sees it.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

from simulator.story import DAY_MS, HOUR_MS, Event

_NORMAL = 39 * HOUR_MS
_QUIET = 31 * HOUR_MS
_LAST_LATE = 36 * HOUR_MS
_MINUTE = 60_000
_RETRY_REASONS = (
    ("document_quality", "identity", "The photo is blurred; please take it in daylight."),
    ("document_quality", "proof_of_address", "A corner of the document is cut off."),
    ("proof_of_address", "proof_of_address", "The bill must not be older than three months."),
    ("document_missing", "identity", "The back of the document is missing."),
    ("document_missing", "selfie", ""),
    ("face_mismatch", "selfie", "We couldn't match the selfie – please try again 🙂"),
)
_FINAL_REASONS = ("fraud_suspected", "aml_match", "age_or_policy")


def spread(rng: Random, low: int, high: int) -> int:
    """A duration between the two, the short ones likelier, in whole seconds."""
    value = math.exp(rng.uniform(math.log(low), math.log(high)))
    return round(value / 1000) * 1000


class Case:
    """Tells one applicant's story, step by step, up to the end of the world's."""

    def __init__(self, rng: Random, registered: int, end: int) -> None:
        self.rng, self.end = rng, end
        self.events: list[Event] = []
        self.at = registered
        self.attempt = 1
        self._anchor = registered
        self._late = False

    def tell(self) -> None:
        """The whole story."""
        rng = self.rng
        if rng.random() < 0.1:
            going = self._step_late("kyc_started", rng.randrange(3 * DAY_MS, 12 * DAY_MS, 1000))
        else:
            going = self._step("kyc_started", spread(rng, _MINUTE, 30 * HOUR_MS), shows=True)
        while going and rng.random() > 0.1:
            going = self._submit() and self._review() and self._again()

    def approval(self) -> Event | None:
        """The newest step when it is an approval."""
        last = self.events[-1] if self.events else None
        return last if last and last.name == "kyc_approved" else None

    def second_thought(self) -> None:
        """Long after the approval the check is started anew."""
        gap = self.rng.randrange(3 * DAY_MS, 15 * DAY_MS, 1000)
        self.attempt += 1
        if self._step_late("kyc_reset", gap) and self.rng.random() < 0.7 and self._submit():
            self._decide("kyc_approved")

    def _submit(self) -> bool:
        rng = self.rng
        if self.events[-1].name == "kyc_submitted":
            return True  # the new attempt began with the documents
        if not self._step("kyc_submitted", spread(rng, 2 * _MINUTE, 12 * HOUR_MS)):
            return False
        if rng.random() < 0.1 and not self._late:
            # The provider asks the client for more within the same attempt.
            if not self._step("kyc_awaiting", spread(rng, _MINUTE, 4 * HOUR_MS)):
                return False
            if rng.random() < 0.3:
                return False
            return self._step("kyc_submitted", spread(rng, 5 * _MINUTE, 10 * HOUR_MS))
        return True

    def _review(self) -> bool:
        """In review, perhaps; then a decision. True when the client may try again."""
        rng = self.rng
        held = rng.random() < 0.15
        if held and not self._step("kyc_in_review", spread(rng, 5 * _MINUTE, 5 * HOUR_MS)):
            return False
        draw = rng.random()
        if draw < 0.04:
            return False
        if draw < 0.10:
            self._decide("kyc_rejected", final=True, reason=rng.choice(_FINAL_REASONS))
            return False
        if draw < 0.47 and self.attempt < 4 and not self._late:
            reason, gap, text = rng.choice(_RETRY_REASONS)
            data = {"final": False, "reason": reason, "gap": gap, "client_text": text}
            return self._decide("kyc_rejected", **data)
        self._decide("kyc_approved")
        return False

    def _decide(self, name: str, **data: Any) -> bool:
        return self._step(name, spread(self.rng, _MINUTE, 8 * HOUR_MS), shows=True, **data)

    def _again(self) -> bool:
        """After a retryable rejection: a new attempt, soon, late or never."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.25:
            return False
        self.attempt += 1
        name = "kyc_awaiting" if rng.random() < 0.25 else "kyc_submitted"
        if draw < 0.33:
            return self._step_late(name, rng.randrange(3 * DAY_MS, 9 * DAY_MS, 1000))
        return self._step(name, spread(rng, 20 * _MINUTE, 30 * HOUR_MS), shows=True)

    def _step(self, name: str, after: int, *, shows: bool = False, **data: Any) -> bool:
        """A step in time: within the anchor's 40 h, or not at all."""
        at = self.at + after
        if self._late and at < self._anchor + _QUIET:
            at = self._anchor + _QUIET + after % (2 * HOUR_MS)
        if at > self._anchor + _NORMAL or at > self.end:
            return False
        self.at = at
        if shows:
            self._anchor = at
            self._late = False
        self.events.append(Event(at, name, {"attempt": self.attempt, **data}))
        return True

    def _step_late(self, name: str, gap: int) -> bool:
        """A step nobody expects any more; it makes the applicant young again."""
        at = self.at + gap
        if at > self.end - _LAST_LATE:
            return False
        self.at = self._anchor = at
        self._late = True
        self.events.append(Event(at, name, {"attempt": self.attempt}))
        return True


def reversal(rng: Random, approval: Event, busy: list[int], end: int) -> Event | None:
    """GREEN, and days later RED FINAL when fraud is found; only at a quiet time for payments.

    The hub learns of it at the next daily read; until then it would still open tasks.
    """
    at = approval.at + rng.randrange(3 * DAY_MS, 20 * DAY_MS, 1000)
    if at > end - _LAST_LATE or any(at - 2 * HOUR_MS <= b <= at + _QUIET for b in busy):
        return None
    data = {
        "attempt": approval.data["attempt"],
        "final": True,
        "reason": rng.choice(_FINAL_REASONS),
    }
    return Event(at, "kyc_rejected", data)
