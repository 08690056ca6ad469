"""The wheel holds the seven packages with their data and no more; the lock pins by hash."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("brokersync", "config", "connectors", "mapping", "simulator", "state", "sync")
DATA = (
    "config/defaults/rules.yaml",
    "connectors/cellxpert/README.md",
    "connectors/hubspot/README.md",
    "connectors/mt5_sql/README.md",
    "connectors/paymentiq/README.md",
    "connectors/paymentiq/status_codes.csv",
    "connectors/paymentiq/tx_types.csv",
    "connectors/registry/README.md",
    "connectors/sumsub/README.md",
    "connectors/sumsub/reject_labels.csv",
    "state/migrations/env.py",
    "connectors/zendesk/README.md",
    "connectors/zendesk/evidence.csv",
    "state/migrations/versions/0001_spine.py",
    "state/migrations/versions/0002_all_sources.py",
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """A wheel built from the working tree, offline, with the hatchling of the environment."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def top_level(wheel: zipfile.ZipFile) -> set[str]:
    """First folders of the wheel, without its metadata."""
    folders = {name.split("/")[0] for name in wheel.namelist()}
    return {folder for folder in folders if not folder.endswith(".dist-info")}


def test_the_top_level_is_the_seven_packages(wheel: zipfile.ZipFile) -> None:
    listed = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert top_level(wheel) == set(PACKAGES) == set(listed)


def test_the_other_tools_look_at_the_same_packages() -> None:
    assert PROJECT["tool"]["mypy"]["packages"] == list(PACKAGES)
    assert PROJECT["tool"]["importlinter"]["root_packages"] == list(PACKAGES)


def test_every_module_is_in(wheel: zipfile.ZipFile) -> None:
    modules = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert modules <= set(wheel.namelist())


@pytest.mark.parametrize("path", DATA)
def test_data_is_in(wheel: zipfile.ZipFile, path: str) -> None:
    assert wheel.read(path) == (ROOT / path).read_bytes()


def test_nothing_else_is_in(wheel: zipfile.ZipFile) -> None:
    suffixes = {Path(name).suffix for name in wheel.namelist() if ".dist-info/" not in name}
    assert suffixes <= {".py", ".yaml", ".csv", ".md"}
    assert not [n for n in wheel.namelist() if n.startswith(("tests", "benchmarks", "docs", "."))]
    assert not [n for n in wheel.namelist() if "__pycache__" in n]


def test_the_metadata(wheel: zipfile.ZipFile) -> None:
    info = next(n.split("/")[0] for n in wheel.namelist() if ".dist-info/" in n)
    entries = wheel.read(f"{info}/entry_points.txt").decode()
    assert entries.split() == ["[console_scripts]", "brokersync", "=", "brokersync.cli:main"]
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert "Requires-Python: >=3.11" in metadata
    assert "License-Expression: Apache-2.0" in metadata
    assert any(n.endswith("licenses/LICENSE") for n in wheel.namelist())


def test_it_works_away_from_the_repository(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Unpacked elsewhere, it finds its rules, its code tables and its migrations."""
    wheel.extractall(tmp_path / "installed")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import state.store, config.settings, connectors.paymentiq.tables\n"
        "from config import yaml_file\n"
        "modules = [state.store, config.settings, connectors.paymentiq.tables]\n"
        "assert all(m.__file__.startswith(sys.argv[1]) for m in modules)\n"
        "assert yaml_file.read(config.settings.DEFAULT_RULES).data['version'] == 1\n"
        "store = state.store.Store('sqlite:///hub.db')\n"
        "store.migrate()\n"
        "store.close()\n"
    )
    command = [sys.executable, "-I", "-c", program, str(tmp_path / "installed")]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "hub.db").stat().st_size > 0


# --- the lock ----------------------------------------------------------------------------------

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINNED = {
    match[1]: block
    for block in re.split(r"\n(?=[A-Za-z0-9])", LOCK)
    if (match := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==[^ ;]+", block))
}


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_line_of_the_lock_is_a_pin_a_hash_or_a_remark() -> None:
    shapes = (
        r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][A-Za-z0-9.+!-]*( ; [^\\]+)? \\",
        r"    --hash=sha256:[0-9a-f]{64}( \\)?",
        r"    # via( [A-Za-z0-9._-]+( \(pyproject\.toml\))?)?",
        r"    #   [A-Za-z0-9._-]+( \(pyproject\.toml\))?",
    )
    lines = [n for n in LOCK.splitlines() if not any(re.fullmatch(s, n) for s in shapes)]
    assert lines == []


def test_every_pin_has_a_hash() -> None:
    assert len(PINNED) > 40
    assert [name for name, block in PINNED.items() if "--hash=sha256:" not in block] == []


def test_the_lock_names_no_address() -> None:
    assert "://" not in LOCK
    assert not re.search(r"(index-url|find-links|trusted-host|@ file|^-e )", LOCK, re.MULTILINE)


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = PROJECT["project"]
    asked = [*project["dependencies"], *PROJECT["build-system"]["requires"]]
    for extra in project["optional-dependencies"].values():
        asked += extra
    names = {canonical(re.split(r"[\[<>=!~; ]", line)[0]) for line in asked}
    assert names <= {canonical(name) for name in PINNED}
