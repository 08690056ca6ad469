"""Records: what a connector yields, whatever the vendor.

A record is one *version* of a vendor object. Its key is (source, kind, external id, version time,
content hash); the newest version wins and the earliest time at which each status was reached is
kept beside it, so that the result never depends on the order of arrival.
Instants are integer milliseconds UTC.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import field
from operator import attrgetter

import orjson

from mapping.errors import RecordError
from mapping.money import Money
from mapping.payloads import PAYLOADS, Payload, value
from mapping.words import Kind

_HALF_PAIR = re.compile("[\ud800-\udfff]")


@value
class Ref:
    """How a vendor names the client.

    ``kind`` is ``client_id`` (default), ``email`` (verified), or a name that another record gives
    (``login``, ``helpdesk_user``); ``partner`` is no client at all.
    """

    value: str = field(repr=False)
    kind: str = "client_id"


@value
class Record:
    """One version of one vendor object.

    Args:
        source: name of the configured connection.
        version_at: the vendor's update time, else the pull's start (then ``polled`` is true and
            the version is journalled only if it differs from the newest known one).
        rank: decides between versions of one instant (final > review > pending > started).
        raw: the vendor's row as JSON text, kept for a short retention beside the journal.
    """

    source: str
    brand: str
    external_id: str
    version_at: int
    ref: Ref
    payload: Payload
    rank: int = 0
    polled: bool = False
    deleted: bool = False
    raw: str = field(default="", repr=False)

    @property
    def kind(self) -> Kind:
        """The payload's kind."""
        return self.payload.kind

    def content_text(self) -> str:
        """The payload as JSON (names sorted, money as ``[minor, currency]``), for the journal."""
        names, values = _READING[self.kind]
        return _encode(dict(zip(names, values(self.payload), strict=True)))

    def content_hash(self, text: str | None = None) -> str:
        """A digest of payload, reference and deletion; equal content has equal hash.

        Args:
            text: the record's :meth:`content_text`, where it is at hand.
        """
        ref, deleted = self.ref, int(self.deleted)
        head = f"{self.brand} {ref.kind} {deleted} {len(ref.value)} {ref.value} "
        body = head + (self.content_text() if text is None else text)
        return hashlib.blake2b(body.encode(), digest_size=16).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Money):
        return [value.minor, value.currency]
    raise TypeError(f"no JSON for {type(value).__name__}")


_NAMES = {p.kind: sorted(p.__match_args__) for p in PAYLOADS}
_READING = {kind: (names, attrgetter(*names)) for kind, names in _NAMES.items()}


def _encode(value: object) -> str:
    """JSON. Texts of enumerations are what they are; only money needs help."""
    return orjson.dumps(value, _plain, orjson.OPT_PASSTHROUGH_DATACLASS).decode()


def check_text(raw: Mapping[str, object], key: str, *, most: int = 500) -> str:
    """A text value of a vendor row; blank when missing or null.

    Raises:
        RecordError: not a text or number, too long, or holding what no database stores: a NUL,
            half a surrogate pair (a text that was cut within an emoji).
    """
    value = raw.get(key)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RecordError(f"field {key!r} should be a text, found {type(value).__name__}")
    text = str(value).strip()
    if "\x00" in text:
        raise RecordError(f"field {key!r} holds a NUL character")
    if not text.isascii() and _HALF_PAIR.search(text):
        raise RecordError(f"field {key!r} holds half a character (a surrogate without its pair)")
    if len(text) > most:
        raise RecordError(f"field {key!r} is longer than {most} characters ({len(text)})")
    return text
