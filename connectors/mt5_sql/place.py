"""How far a pull has come: the connection's cursor."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from connectors.mt5_sql.book import Mark
from mapping.errors import ConfigError

VERSION = 1


@dataclass(slots=True)
class Scan:
    """A reading of a range as a whole, and where it stands.

    ``first`` is its first server day (blank: from the beginning), ``day`` the server day it was
    begun on; days behind (``at``, ``login``) are to be read, then bookings from ``deal`` on.
    """

    first: str
    day: str
    at: str = ""
    login: int = 0
    days_done: bool = False
    deal: int | None = None


@dataclass(slots=True)
class Place:
    """The state between two pages.

    ``rules`` is the digest of the settings that records depend on; ``tz`` the measured rule.
    ``scanned`` is the server day of the last finished scan. ``balances_at`` is when balances were
    last begun to be read, ``balances_after`` the login they stand at (None: done). ``groups`` are
    the ids of the groups set aside. ``reading`` counts how often everything was read, as settings
    gave it another meaning: of two records of one deal and Timestamp, the later reading's wins.
    """

    rules: str = ""
    tz: str = ""
    users: tuple[int, int] = (0, 0)
    deals: tuple[int, int] = (0, 0)
    scan: Scan | None = None
    scanned: str = ""
    balances_at: int = 0
    balances_after: int | None = None
    groups: list[str] = field(default_factory=list)
    reading: int = 0

    @property
    def mark(self) -> Mark:
        """The place among deals."""
        return Mark(*self.deals)

    @classmethod
    def read(cls, cursor: str | None, name: str) -> Place:
        """The place of a stored cursor.

        Raises:
            ConfigError: it is of another kind of connection.
        """
        if not cursor:
            return cls()
        try:
            state = json.loads(cursor)
            version, scan = state.pop("v"), state.pop("scan")
            place = cls(**state, scan=None if scan is None else Scan(**scan))
            place.users = (int(place.users[0]), int(place.users[1]))
            place.deals = (int(place.deals[0]), int(place.deals[1]))
            known = version == VERSION
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            known = False
        if not known:
            raise ConfigError(
                f"{name}: the stored cursor is not one of this connector; give the connection"
                " another name to read the export from its beginning"
            )
        return place

    def dump(self) -> str:
        """As text."""
        return json.dumps({"v": VERSION, **asdict(self)}, separators=(",", ":"))
