"""When a call to a CRM is sent again, and after how long; what both destinations agree on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tenacity import RetryCallState

from mapping.errors import AmbiguousError, QuotaError, RetryableError

PATIENCE_S = 60.0
"""A longer wait than this is not slept out inside a call."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0


def again(error: BaseException) -> bool:
    """Whether the same request may be sent again at once (that is, within a minute)."""
    return (
        isinstance(error, RetryableError)
        and not isinstance(error, QuotaError)
        and (error.retry_after_s or 0) <= PATIENCE_S
    )


def surely_not_applied(error: BaseException) -> bool:
    """The same for a request that must not be applied twice."""
    return again(error) and not isinstance(error, AmbiguousError)


def backoff(state: RetryCallState) -> float:
    """Seconds before the next try: what the other side asked for, else 1, 2, 4 ... 30."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RetryableError) and error.retry_after_s:
        return error.retry_after_s
    return float(min(_FIRST_WAIT_S * 2 ** (state.attempt_number - 1), _LONGEST_WAIT_S))


def telling(log: logging.Logger) -> Callable[[RetryCallState], None]:
    """Notes each try that failed."""

    def told(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RetryableError):
            log.info("%s; try %d failed, trying again", error.log, state.attempt_number)

    return told
