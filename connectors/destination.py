"""What every CRM destination can do. A CRM record is named by the hub's key, never by a CRM id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from mapping.errors import ConfigError


class CrmObject(StrEnum):
    """The objects the hub writes."""

    CONTACT = "contact"
    TASK = "task"
    COMPANY = "company"


@dataclass(frozen=True, slots=True)
class Option:
    """One allowed value of an enumeration."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class CrmProperty:
    """A property as the CRM defines it, or as the hub wants it.

    ``type``: string, number, date, datetime, enumeration, bool. ``options`` only for enumerations.
    ``ours``: the hub created it. ``calculated``: the CRM computes it. ``max_length``: characters
    the CRM takes in one value, where it has a limit.
    """

    name: str
    label: str
    type: str
    field_type: str = ""
    options: tuple[Option, ...] = ()
    unique: bool = False
    read_only: bool = False
    description: str = ""
    ours: bool = False
    calculated: bool = False
    max_length: int | None = None


MARK = "Kept by brokersync."
"""In the description of each property the hub creates: it knows its own by it."""


def unusable(
    obj: CrmObject, wanted: Iterable[CrmProperty], present: Mapping[str, CrmProperty]
) -> list[str]:
    """What is there in a form the hub cannot use: type and uniqueness do not change any more."""
    wrong = []
    for prop in wanted:
        have = present.get(prop.name)
        if have is None:
            continue
        if have.type != prop.type:
            wrong.append(f"{prop.name} is of type {have.type}, needed is {prop.type}")
        elif prop.unique and not have.unique and obj is not CrmObject.TASK:
            wrong.append(f"{prop.name} does not require unique values, which it must")
    return wrong


@dataclass(frozen=True, slots=True)
class CrmRecord:
    """What the CRM holds: its own id and the asked properties as texts (blank is ``""``).

    ``key`` is the hub's key as the CRM has it, ``owner`` the CRM id of the record's owner,
    ``merged`` the ids of records that were merged into this one, ``emails`` all addresses of a
    contact that was read by its id, in lower case.

    ``successor``: the record took the place of the one that was asked for, as a converted lead's
    contact does. It is the same client's (``key`` is then the asked record's, if it has none), and
    what is blank in it was never written there; nobody cleared it.
    """

    crm_id: str
    properties: Mapping[str, str] = field(repr=False)
    associated: frozenset[str] = frozenset()
    key: str = ""
    owner: str = ""
    merged: frozenset[str] = frozenset()
    emails: frozenset[str] = field(default=frozenset(), repr=False)
    successor: bool = False


@dataclass(frozen=True, slots=True)
class Addressed:
    """A contact of the CRM with all its e-mail addresses, in lower case."""

    crm_id: str
    emails: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Changed:
    """Ids of records that changed up to ``until`` (ms since 1970 UTC, the CRM's clock)."""

    crm_ids: Sequence[str]
    until: int


def bounded(keys: Sequence[str], most: int) -> None:
    """Raises ValueError for too many keys in one call, or one twice: mistakes of the caller."""
    if len(keys) > most:
        raise ValueError(f"{len(keys)} records in one call, at most {most} are allowed")
    if len(set(keys)) != len(keys):
        raise ValueError("a key occurs twice in one call")


@dataclass(slots=True)
class Write:
    """Set ``properties`` on the record ``crm_id``, which is never created anew.

    Without ``crm_id``: on the record with unique ``key``, creating it if the CRM has none.
    """

    key: str
    properties: Mapping[str, str] = field(repr=False)
    crm_id: str = ""


@dataclass(slots=True)
class Applied:
    """The CRM acknowledged this input.

    Another ``crm_id`` than asked for: the record was merged, or has a successor, which was not
    told yet what the record was told before.
    """

    key: str
    crm_id: str
    created: bool = False
    successor: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The CRM refused this input; nothing of it was written.

    ``code`` is the CRM's own (``INVALID_OPTION``) or :data:`GONE`; ``admin`` says what to do and
    holds no value of a client.
    """

    key: str
    code: str
    admin: str
    properties: tuple[str, ...] = ()


Outcome = Applied | Refused


class NoRightError(ConfigError):
    """The CRM does not let the token do this: an admin has to give it the right."""


GONE = "GONE"
"""Code of a refusal: the CRM has no record with this id (any more)."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody (or a queue) who can own tasks."""

    crm_id: str
    email: str = field(repr=False)
    kind: str = "PERSON"
    active: bool = True


@dataclass(frozen=True, slots=True)
class Work:
    """What a push will do with the records of one batch.

    Args:
        read: keys of records that are looked for; ``read_names`` the properties asked of them.
        look: CRM ids of records that are read before they are written; ``look_names`` likewise.
        created, updated, linked: how many records.
    """

    read: Sequence[str] = ()
    read_names: Sequence[str] = ()
    look: Sequence[str] = ()
    look_names: Sequence[str] = ()
    created: int = 0
    updated: int = 0
    linked: int = 0

    @property
    def kinds(self) -> int:
        """How many kinds of work there are in it."""
        found = (self.created, self.updated, self.linked, self.read, self.look)
        return sum(bool(kind) for kind in found)


@dataclass(slots=True)
class Cost:
    """What work takes. ``jobs`` of the CRM's own are waited for; those looks are not counted."""

    calls: int = 0
    jobs: int = 0


@dataclass(slots=True)
class CallCount:
    """Calls made so far, and what the CRM says is left of the day.

    ``clock_skew_s``: how far our clock is ahead of the CRM's by its last answer, seconds.
    """

    calls: int = 0
    rate_limited: int = 0
    daily_limit: int | None = None
    daily_remaining: int | None = None
    clock_skew_s: float | None = None


@dataclass(frozen=True, slots=True)
class Scopes:
    """Rights of the token: what a sync lacks, what ``crm install`` lacks, what nobody needs.

    ``companies``: what it lacks for companies, which only brokers with partners need.
    """

    missing: tuple[str, ...] = ()
    to_install: tuple[str, ...] = ()
    excess: tuple[str, ...] = ()
    companies: tuple[str, ...] = ()


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
    schema_calls: int
    """Calls that describing contacts and tasks takes."""
    last_name_needed: bool
    """Whether no contact can be without a last name, even if it has an address."""

    def check(self) -> None:
        """Prove that token and scopes work."""

    def scopes(self) -> Scopes | None:
        """What the token may do beyond and short of what is needed; None: the CRM does not tell."""

    def lacks(self, obj: CrmObject) -> str:
        """Why the token may not read and write such records, as a sentence; blank: it may.

        Found by asking; nothing is written.
        """

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

    def read_ids(
        self, obj: CrmObject, crm_ids: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Records by the CRM's own ids, at most ``batch``; archived and deleted ones are absent.

        An id that was merged into another gives the survivor, whose ``crm_id`` differs; one with
        a successor gives that.
        """

    def changed(self, obj: CrmObject, since: int) -> Iterator[Changed]:
        """Records with one of the hub's keys that changed since ``since`` (ms), oldest first.

        What the CRM's index has not seen yet is missing: ask again with an overlap.
        """

    def batch_of(self, obj: CrmObject, pending: int) -> int:
        """How many records one ``upsert`` should hold when so many are pending.

        ``batch``, or more where the CRM has another way for many. Everything but ``upsert`` stays
        bounded by ``batch``.
        """

    def cost(self, obj: CrmObject, work: Work, once: set[str]) -> Cost:
        """What a batch will take, for a forecast; nothing is asked of the CRM.

        Args:
            once: names what was counted before of the calls that a process makes once.
        """

    def upsert(self, obj: CrmObject, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write records of distinct keys, at most the largest ``batch_of``; one outcome an input.

        Raises:
            AmbiguousError: the answer was lost; the same upsert may be sent again.
        """

    def associate(self, pairs: Sequence[tuple[str, str]]) -> Sequence[Outcome]:
        """Link (task CRM id, contact CRM id) pairs; idempotent. ``Outcome.key`` is the task id."""

    def by_email(self, emails: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Address (lower case, at most ``batch``) -> ids of the contacts that have it."""

    def contacts(self) -> Iterator[Sequence[Addressed]]:
        """All contacts of the CRM, the hub's and others, a page at a time."""

    def keyed(self, obj: CrmObject) -> bool:
        """Whether the CRM itself keeps the hub's key unique, so that ``upsert`` is idempotent.

        Where it does not (tasks of some portals), new records go by :meth:`create_tasks`.
        """

    def find_tasks(
        self, contacts: Mapping[str, str], properties: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Tasks by the hub's key where that is not unique; at most ``batch``.

        Args:
            contacts: task key -> CRM id of the contact it is put on (blank: not known).
        """

    def create_tasks(
        self, writes: Sequence[Write], contacts: Mapping[str, str]
    ) -> Sequence[Outcome]:
        """Create tasks, each linked to its contact; never sent twice. Args as ``find_tasks``.

        Raises:
            AmbiguousError: the answer was lost. Wait longer than the CRM's index lags, look the
                tasks up, and only then decide.
        """

    def close(self) -> None:
        """Give back connections."""


class OneWay:
    """The forecasts of a CRM that has one way to write, however many records."""

    batch: int

    def batch_of(self, obj: CrmObject, pending: int) -> int:
        """Always the same."""
        del obj, pending
        return self.batch

    def cost(self, obj: CrmObject, work: Work, once: set[str]) -> Cost:
        """A call for each kind of work: a batch is no larger than such a CRM takes at once."""
        del obj, once
        return Cost(work.kinds)
