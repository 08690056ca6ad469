"""A poor poller sees enough: reading applicants at the hub's rhythm misses nothing that matters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from simulator.grow import grow
from simulator.story import DAY_MS, HOUR_MS, Client
from simulator.sumsub import SumsubFake

_STATUS = {
    "init": "started", "awaitingUser": "started", "pending": "submitted", "onHold": "in_review",
}  # fmt: skip
_TRUE = {
    "kyc_started": "started", "kyc_reset": "started", "kyc_awaiting": "started",
    "kyc_submitted": "submitted", "kyc_in_review": "in_review", "kyc_approved": "approved",
}  # fmt: skip


@pytest.mark.parametrize("seed", [7, 11])
def test_reading_by_age_sees_every_retryable_rejection_in_its_hour(seed: int) -> None:
    """Hourly while young (under 48 h), every 6 h to 7 days, then daily; decided ones daily."""
    world = grow(seed)
    fake = SumsubFake(world, "any", "token", "secret")
    end = world.start_ms + 60 * DAY_MS
    known = {key: _Known(client) for key, client in world.clients.items()}
    rejections = 0
    for at in range(world.start_ms + 46 * DAY_MS, end + 1, HOUR_MS):
        world.advance_to(at)
        for key, client in world.clients.items():
            if client.events[0].visible_at > at:
                continue
            case = known[key]
            if case.due(at):
                case.read(at, fake.applicant(client))
            truly = case.truly(at)
            if case.status != truly:
                # A late step may go unseen for a day, but it never asks for work.
                assert truly != "rejected_retry", (key, at)
                assert at - case.last_step(at) <= DAY_MS, (key, at)
            rejections += case.status == "rejected_retry"
            if at == end:
                assert case.status == truly, key
    assert rejections > 100


class _Known:
    """One applicant: what the poller knows, and what is true."""

    def __init__(self, client: Client) -> None:
        self.status = "not_started"
        self._steps = [e for e in client.events if e.name.startswith("kyc_")]
        self._newest = client.events[0].at
        self._read_at: int | None = None

    def last_step(self, at: int) -> int:
        return max(e.visible_at for e in self._steps if e.visible_at <= at)

    def truly(self, at: int) -> str:
        seen = [e for e in self._steps if e.visible_at <= at]
        if not seen:
            return "not_started"
        if seen[-1].name == "kyc_rejected":
            return "rejected_final" if seen[-1].data["final"] else "rejected_retry"
        return _TRUE[seen[-1].name]

    def due(self, at: int) -> bool:
        if self._read_at is None:
            return True
        age = at - self._newest
        decided = self.status in ("approved", "rejected_final")
        wait = HOUR_MS if age < 2 * DAY_MS else 6 * HOUR_MS if age < 7 * DAY_MS else DAY_MS
        return at - self._read_at >= (DAY_MS if decided else wait)

    def read(self, at: int, applicant: dict[str, Any] | None) -> None:
        self._read_at = at
        if applicant is None:
            return
        review = applicant["review"]
        shown = [applicant["createdAt"], review["createDate"], review.get("reviewDate")]
        self._newest = max(_ms(text) for text in shown if text)
        result = review.get("reviewResult")
        if result is None:
            self.status = _STATUS[review["reviewStatus"]]
        elif result["reviewAnswer"] == "GREEN":
            self.status = "approved"
        else:
            self.status = f"rejected_{result['reviewRejectType'].lower()}"


def _ms(text: str) -> int:
    return round(datetime.strptime(text, "%Y-%m-%d %H:%M:%S%z").timestamp() * 1000)
