"""A file of clients, and sources pointed at it."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from connectors.base import Context
from connectors.registry.settings import COLUMNS, RegistrySettings
from connectors.registry.source import RegistrySource
from tests.clock import WorldClock
from tests.connectors.registry_rig import BRANDS, row
from tests.contracts.source import Rig
from tests.contracts.world import world


class FileRig(Rig[RegistrySource]):
    """The clients of a broker as a CSV or JSONL file, last written now."""

    def __init__(self, folder: Path, form: str, **settings: Any) -> None:
        self.world = world()
        self.clock = WorldClock(self.world)
        self.folder, self.form, self.settings = folder, form, settings
        self.path = folder / f"clients.{form}"
        self.rows: list[dict[str, Any]] = []

    def filled(self) -> FileRig:
        """With the contract's clients."""
        rows = [row(f"C-{n:02}", f"2026-03-{2 + n // 4:02} 10:00:00") for n in range(16)]
        rows += [row(i, "2026-03-04 10:00:00") for i in ("x", "X", "x é", "É", "客", "O'Neil")]
        self.write(*rows)
        return self

    def write(self, *rows: dict[str, Any]) -> None:
        """Replace the file by these rows."""
        self.rows = list(rows)
        if self.form == "jsonl":
            lines = [json.dumps(r, ensure_ascii=False) + "\n" for r in rows]
            self.put("".join(lines))
            return
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
        self.put(out.getvalue())

    def put(self, text: str | bytes) -> None:
        """Replace the file by a text, as a careful export does: written apart, then renamed."""
        apart = self.path.with_suffix(".part")
        apart.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.touch(apart)
        apart.rename(self.path)

    def touch(self, path: Path | None = None) -> None:
        """The file is last written now, by the world's clock."""
        seconds = self.world.now_ms / 1000
        os.utime(path or self.path, (seconds, seconds))

    def make(self, **settings: Any) -> RegistrySource:
        values = {"file": self.path.name, "format": self.form, "page_size": 5}
        context = Context("crm-db", BRANDS, self.clock, folder=self.folder)
        return RegistrySource(RegistrySettings(**{**values, **self.settings, **settings}), context)

    def truth(self) -> set[str]:
        return {r["client_id"] for r in self.rows}

    def spoil(self) -> str:
        self.write(*({**r, "email": "x"} if r["client_id"] == "C-03" else r for r in self.rows))
        return "C-03"

    def tie(self) -> None:
        more = [row(f"tie {n}", "2026-03-03 10:00:00") for n in range(23)]
        self.write(*self.rows, *more)
