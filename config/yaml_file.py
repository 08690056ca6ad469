"""YAML files that remember where each value stands, so that an error can say the line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mapping.errors import ConfigError

_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A parsed file: plain data, and the line of each path (``stages.LS0.when``, ``brands.a``)."""

    name: str
    data: dict[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)

    def where(self, path: str) -> str:
        """``file, line n`` of a path or its nearest parent."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        line = self.lines.get(path)
        return f"{self.name}, line {line}" if line else self.name


def read(path: Path) -> YamlFile:
    """Read a YAML file whose top is a mapping.

    Raises:
        ConfigError: missing, unreadable, not YAML, a key twice, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}") from None
    return parse(text, path.name)


def parse(text: str, name: str) -> YamlFile:
    """The same from a text."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{name}{where}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ConfigError(f"{name}: not valid YAML") from None
    lines: dict[str, int] = {}
    loader = yaml.SafeLoader("")
    data = _build(node, "", lines, name, loader) if node is not None else {}
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: expected `key: value` lines at the top")
    return YamlFile(name, data, lines)


def _build(
    node: yaml.Node, path: str, lines: dict[str, int], name: str, loader: yaml.SafeLoader
) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, name, loader)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for number, child in enumerate(node.value):
            items.append(_build(child, _join(path, _label(child, number)), lines, name, loader))
        return items
    return loader.construct_object(node, deep=True)


def _mapping(
    node: yaml.MappingNode, path: str, lines: dict[str, int], name: str, loader: yaml.SafeLoader
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, child in node.value:
        key = str(loader.construct_object(key_node))
        line = key_node.start_mark.line + 1
        if key in found:
            raise ConfigError(f"{name}, line {line}: the key {key!r} stands twice")
        lines[_join(path, key)] = line
        found[key] = _build(child, _join(path, key), lines, name, loader)
    return found


def _label(node: yaml.Node, number: int) -> str:
    """Items of a list are named by their id (or property), as error paths name them."""
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            if key.value in {"id", "property"} and isinstance(child, yaml.ScalarNode):
                return str(child.value)
    return str(number)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def with_secrets(file: YamlFile) -> YamlFile:
    """The file with ``${NAME}`` replaced from the environment, or from the file ``NAME_FILE`` names.

    Raises:
        ConfigError: neither variable is set, or the file cannot be read.
    """

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {k: walk(v, _join(path, k)) for k, v in value.items()}
        if isinstance(value, list):
            return [walk(v, path) for v in value]
        if isinstance(value, str):
            return _VARIABLE.sub(lambda m: _variable(m[1], file.where(path)), value)
        return value

    return YamlFile(file.name, walk(file.data, ""), file.lines)


def _variable(name: str, where: str) -> str:
    if name in os.environ:
        return os.environ[name]
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        raise ConfigError(f"{where}: set the environment variable {name} (or {name}_FILE)")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(
            f"{where}: the file {name}_FILE names cannot be read: {type(error).__name__}"
        ) from None
