"""What every source is: settings, a check, and pages of records with a cursor.

A connector owns URLs, names and quirks of its vendor; :mod:`connectors.http` owns transport.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field

from connectors.clock import Clock
from mapping.records import Record
from mapping.words import Kind

Boundary = Callable[[str], None]
"""Called with a name before and after each effect, so that tests can crash the hub there."""


def no_boundary(name: str) -> None:
    """The boundary of production: nothing happens."""
    del name


class ConnectorSettings(BaseModel):
    """Settings of one connection. An unknown key is an error; secrets are ``SecretStr``."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpSettings(ConnectorSettings):
    """Settings every HTTP connection has."""

    base_url: str = Field(title="API base URL", description="Scheme and host, no trailing slash.")
    timeout_s: float = Field(30.0, gt=0, le=300, title="Seconds to wait for an answer")
    max_attempts: int = Field(5, ge=1, le=20, title="Tries of one request before giving up")
    max_bytes: int = Field(10_000_000, gt=0, title="Largest answer accepted, bytes")
    max_pages: int = Field(10_000, gt=0, title="Most pages of one pull")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a connector is, for `doctor`, the docs and the fact catalogue.

    ``family`` is the kind of source (``registry``, ``kyc``, ``psp``): a rule that reads a fact of
    a family nobody is connected for is off. ``also`` names further families of the same data.
    """

    type: str
    title: str
    family: str
    kinds: tuple[str, ...]
    docs: str
    multi_brand: bool = False
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What the hub hands a connector.

    ``brands`` maps the brand ids this connection serves to their IANA time zone. Relative paths
    in settings start from ``folder``, which is the configuration's.
    """

    name: str
    brands: Mapping[str, str]
    clock: Clock
    boundary: Boundary = no_boundary
    folder: Path = Path()


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be read: kept, shown and tried again, never dropped.

    ``reason`` names field and cause and holds no personal data; ``raw`` is the row as JSON text.
    """

    external_id: str
    reason: str
    brand: str = ""
    kind: str = ""
    raw: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        # A row is set aside for being broken: what is kept of it must be storable all the same.
        for name in ("external_id", "reason", "brand", "raw"):
            object.__setattr__(self, name, storable(getattr(self, name)))


def storable(text: str) -> str:
    """``text`` as every database takes it, whatever a vendor sent.

    Half a surrogate pair becomes its escape ``\\ud83d``, which in JSON text means the same; a NUL
    (which JSON text never holds) goes.
    """
    if text.isascii():
        return text.replace("\0", "")
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "")


def as_json(raw: Mapping[str, Any]) -> str:
    """What is kept of a vendor's row, as JSON text."""
    try:
        return orjson.dumps(raw).decode()
    except TypeError:  # half a surrogate pair, or a number of more than 64 bits
        return storable(json.dumps(raw, ensure_ascii=False, separators=(",", ":")))


def row_id(row: object) -> str:
    """A row's ``id``; a digest of the row where it has none."""
    found = row.get("id") if isinstance(row, dict) else None
    if isinstance(found, int | str) and found != "":
        return str(found)[:40]
    text = json.dumps(row, sort_keys=True, ensure_ascii=False)
    return "row-" + hashlib.blake2b(storable(text).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Whole:
    """A range of which a page tells everything, for vendors whose deletions leave no trace.

    The page's records of this kind are all there are between these external ids (both included,
    compared byte by byte): what the hub has beside them is gone.
    """

    kind: Kind
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Page:
    """Records and the cursor to store with them, in one transaction.

    Args:
        cursor: opaque text; a pull resumed from it loses nothing.
        complete_until: ms; the source is known to be complete up to here (last page only).
        rereads: for re-reading sources: reference -> ms of its next read (None: never).
        forget: external ids of set-aside rows that the vendor no longer has.
        whole: ranges that the page tells completely.
    """

    records: Sequence[Record] = ()
    rejects: Sequence[Reject] = ()
    cursor: str = ""
    complete_until: int | None = None
    rereads: Mapping[str, int | None] = field(default_factory=dict)
    forget: Sequence[str] = ()
    whole: Sequence[Whole] = ()


@dataclass(frozen=True, slots=True)
class Reread:
    """One object to read again: the client reference and what the hub knows of its age.

    ``since`` is when the hub first heard of the client (ms), ``brand`` its brand.
    """

    value: str
    brand: str
    since: int


S = TypeVar("S", bound=ConnectorSettings)


class Source(ABC, Generic[S]):
    """A vendor that is read. Subclasses set ``manifest`` and ``settings_type``."""

    manifest: ClassVar[Manifest]
    settings_type: ClassVar[type[ConnectorSettings]]

    def __init__(self, settings: S, context: Context) -> None:
        self.settings = settings
        self.context = context
        self.name = context.name

    @classmethod
    def families_of(cls, settings: S) -> tuple[str, ...]:
        """The source families that a connection with these settings tells of."""
        del settings
        return (cls.manifest.family, *cls.manifest.also)

    @property
    def families(self) -> tuple[str, ...]:
        """The source families this connection tells of."""
        return self.families_of(self.settings)

    @property
    def clock(self) -> Clock:
        """The injected clock."""
        return self.context.clock

    @property
    def clock_skew_s(self) -> float | None:
        """How far our clock is ahead of the vendor's, seconds, by its last answer, if it tells."""
        return None

    @abstractmethod
    def check(self) -> None:
        """Prove that address, credentials and rights work.

        Raises:
            ConfigError: what an admin must change.
            RetryableError: the vendor is away.
        """

    @abstractmethod
    def parse(self, raw: Mapping[str, Any]) -> Record:
        """One vendor row as a record; also used to try a set-aside row again.

        Raises:
            RecordError: the row cannot be used; says which field and why.
        """

    def close(self) -> None:
        """Give back connections."""


class ListSource(Source[S]):
    """A vendor that lists what changed."""

    @abstractmethod
    def pull(self, cursor: str | None) -> Iterator[Page]:
        """Pages since ``cursor`` (None: from the beginning), in order, the last one complete.

        Raises:
            ConfigError, RetryableError, ProtocolError: see :mod:`mapping.errors`.
        """


class RereadSource(Source[S]):
    """A vendor without a list: known references are read again on an age schedule."""

    batch: ClassVar[int] = 100

    @abstractmethod
    def reread(self, due: Sequence[Reread]) -> Page:
        """Read each of ``due`` once; ``rereads`` of the page says when each is next due.

        Raises:
            ConfigError, RetryableError, ProtocolError: see :mod:`mapping.errors`.
        """


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified webhook, as a hint: the hub reads the object again before it believes.

    ``key`` is equal for repeated deliveries of one event.
    """

    key: str
    type: str
    at: int
    external_id: str
    ref: str = field(repr=False, default="")
    deleted: bool = False
