"""SQLite's log, carried over into the file by a thread of its own.

SQLite does so in the commit that finds the log long, while everybody waits: of records for clients
all over a large file, nearly each is another page to be written to its place. While page upon page
is stored, another thread does it beside. After several commits: what all of them write to (the ends
of the journal and of what vendors count) is then carried over once.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

_LONGEST = 64_000  # pages of the log (256 MB): then whoever writes waits until it is carried over
_COMMITS = 8
_WAIT_S = 30


class Carrier:
    """A thread that carries the log of a database file over whenever it is told of a commit.

    It ends by itself if the file cannot be written: ``alive`` is false, and commits do as ever.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._told = threading.Event()
        self._room = threading.Event()
        self._room.set()
        self._ending = False
        self._commits = 0
        self.alive = True
        self._thread = threading.Thread(target=self._work, name="carrier", daemon=True)
        self._thread.start()

    def tell(self) -> None:
        """Something was committed. Waits while the log is too long to be added to."""
        self._commits += 1
        if self._commits % _COMMITS == 0:
            self._told.set()
        self._room.wait(_WAIT_S)

    def end(self) -> None:
        """Carry over what is left, and end."""
        self._ending = True
        self._told.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            connection = sqlite3.connect(self._file, timeout=_WAIT_S, isolation_level=None)
            try:
                last = False
                while not last:
                    self._told.wait()
                    self._told.clear()
                    last = self._ending
                    self._carry_over(connection)
            finally:
                connection.close()
        except sqlite3.Error:
            self.alive = False  # who commits meets the same, and says it
        finally:
            self._room.set()

    def _carry_over(self, connection: sqlite3.Connection) -> None:
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > _LONGEST:
            # The log is begun anew only when all of it is carried over and nobody adds to it: one
            # who writes all the time would never leave the moment for that.
            self._room.clear()
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
            self._room.set()
