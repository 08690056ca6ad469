"""MetaTrader's export in an empty database: of each engine, or of SQLite alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.connectors.mt5_rig import ENGINES, Make, Mt5Rig


@pytest.fixture(name="make", params=ENGINES)
def _make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    url = f"sqlite:///{tmp_path / 'export.db'}"
    if request.param != "sqlite":
        url = str(request.getfixturevalue(request.param))
    return lambda *clients, **more: Mt5Rig(url, *clients, **more)


@pytest.fixture(name="lite")
def _lite(tmp_path: Path) -> Make:
    return lambda *clients, **more: Mt5Rig(f"sqlite:///{tmp_path / 'lite.db'}", *clients, **more)
