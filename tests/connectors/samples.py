"""Public samples of vendors: they stand beside a checkout and are no part of it.

What a test expects of one is read off it by hand, and by the reference that stands beside it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

_SPECS = Path(__file__).parents[3] / "shared" / "specs"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_LOADER):
    """YAML without the value ``=``, which Zendesk's specification holds as a plain text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - how PyYAML is told
        first: [one for one in known if one[0] != "tag:yaml.org,2002:value"]
        for first, known in _LOADER.yaml_implicit_resolvers.items()
    }


def found(name: str) -> Path:
    """The path of a sample, such as ``sumsub/x.json``; skips where it is not there."""
    path = _SPECS / name
    if not path.exists():
        missing = f"sample {name} is" if _SPECS.exists() else "samples are"
        pytest.skip(f"the public {missing} not beside this checkout")
    return path


def names(folder: str) -> set[str]:
    """The names of a vendor's samples, without licences and notes."""
    files = (path.name for path in found(folder).iterdir() if path.is_file())
    return {name for name in files if not name.startswith(("LICENSE", "README"))}


def raw(name: str) -> bytes:
    """The bytes of a sample."""
    return found(name).read_bytes()


def load(name: str) -> Any:
    """A sample in JSON."""
    return json.loads(raw(name))


@cache
def _specification(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader


def specification(name: str) -> Any:
    """An OpenAPI document in YAML."""
    return _specification(found(name))
