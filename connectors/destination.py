"""What every CRM destination can do. A CRM record is named by the hub's key, never by a CRM id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class CrmObject(StrEnum):
    """The objects the hub writes."""

    CONTACT = "contact"
    TASK = "task"


@dataclass(frozen=True, slots=True)
class Option:
    """One allowed value of an enumeration."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class CrmProperty:
    """A property as the CRM defines it, or as the hub wants it.

    ``type``: string, number, date, datetime, enumeration, bool. ``options`` only for enumerations.
    """

    name: str
    label: str
    type: str
    field_type: str = ""
    options: tuple[Option, ...] = ()
    unique: bool = False
    read_only: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class CrmRecord:
    """What the CRM holds: its own id and the asked properties as texts (blank is ``""``)."""

    crm_id: str
    properties: Mapping[str, str] = field(repr=False)
    associated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Write:
    """Set ``properties`` on the record with unique ``key``, creating it if the CRM has none."""

    key: str
    properties: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Applied:
    """The CRM acknowledged this input."""

    key: str
    crm_id: str
    created: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The CRM refused this input; nothing of it was written.

    ``code`` is the CRM's own (``INVALID_OPTION``); ``admin`` says what to do and holds no value
    of a client.
    """

    key: str
    code: str
    admin: str
    properties: tuple[str, ...] = ()


Outcome = Applied | Refused


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody (or a queue) who can own tasks."""

    crm_id: str
    email: str = field(repr=False)
    kind: str = "PERSON"
    active: bool = True


@dataclass(slots=True)
class CallCount:
    """Calls made so far, and what the CRM says is left of the day."""

    calls: int = 0
    rate_limited: int = 0
    daily_limit: int | None = None
    daily_remaining: int | None = None


class Destination(Protocol):
    """A CRM. Every method may raise ConfigError, RetryableError (QuotaError), ProtocolError.

    A task's properties go by the hub's names: subject, body, owner (CRM id), due (epoch ms text),
    priority (HIGH, MEDIUM), status (open, done).
    """

    name: str
    batch: int
    counts: CallCount
    daily_limit: int | None
    """Calls a day by configuration, until the CRM itself says."""

    def check(self) -> None:
        """Prove that token and scopes work."""

    def describe(self, obj: CrmObject) -> Mapping[str, CrmProperty]:
        """The portal's live schema: property name -> definition."""

    def install(self, obj: CrmObject, wanted: Sequence[CrmProperty]) -> Sequence[str]:
        """Create the missing group, properties and options; say what was done, one line each."""

    def owners(self) -> Sequence[Owner]:
        """All owners, archived ones included (``active=False``)."""

    def read(
        self, obj: CrmObject, keys: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Records by the hub's key; keys the CRM does not know are absent. At most ``batch``."""

    def upsert(self, obj: CrmObject, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write at most ``batch`` records of distinct keys; exactly one outcome an input.

        Raises:
            AmbiguousError: the answer was lost; the same upsert may be sent again.
        """

    def associate(self, pairs: Sequence[tuple[str, str]]) -> Sequence[Outcome]:
        """Link (task CRM id, contact CRM id) pairs; idempotent. ``Outcome.key`` is the task id."""

    def close(self) -> None:
        """Give back connections."""
