"""Errors, grouped by what must happen next, not by where they came from.

BrokersyncError
├── ConfigError      stop; an admin must change something
├── RetryableError   back off and try again, obeying ``retry_after_s``
│   ├── AmbiguousError  the request may have been applied: look before writing again
│   ├── QuotaError      a daily allowance is used up: stop this run cleanly
│   └── RoleError       another engine has this database: this one commits and sends nothing more
├── StoppingError    we were asked to stop: go no further, keep what is done
├── RecordError      set this one record aside with its reason; go on with the rest
└── ProtocolError    the vendor changed shape: stop this connector and name it

Each carries two texts: ``admin`` says what was wrong, where and what to do; ``log`` says what a
log needs. Neither may hold a secret or personal data.
"""

from __future__ import annotations


class BrokersyncError(Exception):
    """Base of all errors the hub raises on purpose.

    Args:
        admin: a sentence for the person who runs the hub: what, where, what to do.
        log: the same for the log; defaults to ``admin``.
    """

    def __init__(self, admin: str, log: str = "") -> None:
        super().__init__(admin)
        self.admin = admin
        self.log = log or admin


class ConfigError(BrokersyncError):
    """Stop: nothing goes on until an admin changes a setting, a right or the portal."""


class RetryableError(BrokersyncError):
    """The other side is busy or away: try again later.

    Args:
        retry_after_s: seconds the other side asked us to wait, if it did.
    """

    def __init__(self, admin: str, log: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(admin, log)
        self.retry_after_s = retry_after_s


class AmbiguousError(RetryableError):
    """A write ended without an answer: it may or may not have been applied."""


class QuotaError(RetryableError):
    """A daily allowance is used up; what is pending stays pending."""


class RoleError(RetryableError):
    """Another engine has, or has taken, the engine role of this database."""


class StoppingError(BrokersyncError):
    """The hub was asked to stop. Nothing failed, and nothing is lost: it is no reason to retry."""


class RecordError(BrokersyncError):
    """One record cannot be used: set it aside, go on with the rest."""


class ProtocolError(BrokersyncError):
    """An answer no longer has the documented shape: stop this connector, name it."""
