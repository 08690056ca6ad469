"""Faults to order: what the next calls meet instead of, or beside, their normal answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, used up by one matching call.

    Args:
        status: answer with this status and no effect (0: let the call work).
        html: with an HTML body, as HubSpot's edge answers.
        policy: for 429: the policy's name (documented: TEN_SECONDLY_ROLLING, DAILY, SECONDLY).
        retry_after: seconds for a Retry-After header (documented for 477 only).
        drop: cut the connection without an answer ("before" or "after" the effect).
        slow_s: seconds the answer takes.
        path: only for calls whose path contains this.
    """

    status: int = 0
    html: bool = False
    policy: str = ""
    retry_after: int | None = None
    drop: str = ""
    slow_s: float = 0.0
    path: str = ""

    @classmethod
    def rate_limited(
        cls, policy: str = "TEN_SECONDLY_ROLLING", retry_after: int | None = None
    ) -> Fault:
        """429."""
        return cls(status=429, policy=policy, retry_after=retry_after)

    @classmethod
    def lost_answer(cls, path: str = "") -> Fault:
        """The effect happens, the answer never arrives."""
        return cls(drop="after", path=path)
