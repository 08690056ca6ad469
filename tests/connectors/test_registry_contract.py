"""The registry keeps the contract of listing sources, on every engine a broker may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.connectors.file_rig import FileRig
from tests.connectors.registry_rig import RegistryRig
from tests.contracts.source import ListSourceContract


class TestRegistry(ListSourceContract):
    """See the contract."""

    @pytest.fixture(params=["sqlite", "postgres_url", "mariadb_database"])
    def rig(self, request: pytest.FixtureRequest, tmp_path: Path) -> RegistryRig:
        if request.param == "sqlite":
            return RegistryRig(f"sqlite:///{tmp_path / 'crm.db'}").filled()
        return RegistryRig(request.getfixturevalue(request.param)).filled()


class TestRegistryFile(ListSourceContract):
    """See the contract."""

    @pytest.fixture(params=["csv", "jsonl"])
    def rig(self, request: pytest.FixtureRequest, tmp_path: Path) -> FileRig:
        return FileRig(tmp_path, request.param).filled()
