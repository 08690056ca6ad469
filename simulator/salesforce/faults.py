"""Faults to order: what the next calls meet instead of, or beside, their normal answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, used up by one matching call.

    Args:
        status: answer with this status and no effect (0: let the call work).
        code: the error's code; by default the usual one of the status.
        message: the error's words.
        after: with ``status``: the effect happens before.
        html: with an HTML body, as a proxy in front answers.
        drop: cut the connection without an answer ("before" or "after" the effect).
        slow_s: seconds the answer takes.
        path: only for calls whose path contains this.
    """

    status: int = 0
    code: str = ""
    message: str = ""
    after: bool = False
    html: bool = False
    drop: str = ""
    slow_s: float = 0.0
    path: str = ""

    @property
    def error(self) -> tuple[str, str]:
        """Code and words of the answer (recorded for 401, 403 and 503; else assumed)."""
        code, message = _USUAL.get(self.status, ("UNKNOWN_EXCEPTION", "Ordered by the test"))
        return self.code or code, self.message or message

    @classmethod
    def lost_session(cls, path: str = "") -> Fault:
        """401 once; the session is good again afterwards."""
        return cls(status=401, path=path)

    @classmethod
    def unavailable(cls, path: str = "") -> Fault:
        """503."""
        return cls(status=503, path=path)

    @classmethod
    def half_done(cls, path: str = "") -> Fault:
        """500, and yet the effect has happened."""
        return cls(status=500, after=True, path=path)

    @classmethod
    def lost_answer(cls, path: str = "") -> Fault:
        """The effect happens, the answer never arrives."""
        return cls(drop="after", path=path)


_USUAL = {
    401: ("INVALID_SESSION_ID", "Session expired or invalid"),
    403: ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
    500: (
        "UNKNOWN_EXCEPTION",
        "An unexpected error occurred. Please include this ErrorId if you contact support",
    ),
    503: ("SERVER_UNAVAILABLE", "Server temporarily unavailable"),
}
