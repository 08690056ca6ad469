"""The MetaTrader connector keeps the contract of listing sources, on every engine and profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.metatrader.tables import Shape
from tests.connectors.mt5_rig import Mt5Rig
from tests.contracts.source import ListSourceContract


def url_of(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of the engine that a fixture's parameter names."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'export.db'}"
    return str(request.getfixturevalue(request.param))


class TestMt5(ListSourceContract):
    """See the contract."""

    @pytest.fixture(params=["sqlite", "postgres_url", "mariadb_database"])
    def rig(self, request: pytest.FixtureRequest, tmp_path: Path) -> Mt5Rig:
        return Mt5Rig(url_of(request, tmp_path))


class TestMt5Of2019(ListSourceContract):
    """An old export: no index on Timestamp, no yearly tables, no clients, coarse volumes."""

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Mt5Rig:
        shape = Shape(indexed=False, yearly=(), clients=False, extended=False)
        return Mt5Rig(f"sqlite:///{tmp_path / 'export.db'}", shape=shape)


class TestMt4(ListSourceContract):
    """See the contract."""

    @pytest.fixture(params=["sqlite", "postgres_url", "mariadb_database"])
    def rig(self, request: pytest.FixtureRequest, tmp_path: Path) -> Mt5Rig:
        return Mt5Rig(url_of(request, tmp_path), shape=Shape(profile="mt4"))
