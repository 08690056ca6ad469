"""YAML files that remember where each value stands, so that an error can say the line.

Read more strictly than YAML 1.1 does: ``no`` and ``9:00`` stay texts (Norway, a time of day), a key
may not stand twice, and there are no tags, merge keys or endless aliases.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mapping.errors import ConfigError

MAX_NODES = 100_000
MAX_DEPTH = 40
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_VARIABLE_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A parsed file: plain data, and where each path (``stages.LS0.when``, ``brands.a``) stands."""

    name: str
    data: dict[str, Any] = field(repr=False)  # secrets may be in it
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)
    pieces: Mapping[str, tuple[str, int]] = field(default_factory=dict, repr=False)

    def where(self, path: str) -> str:
        """``file, line n`` of a path or its nearest parent."""
        line = self.lines.get(self._nearest(path))
        return f"{self.name}, line {line}" if line else self.name

    def line_of(self, path: str, offset: int, value: str) -> int:
        """The line on which character ``offset`` of the text ``value`` at ``path`` stands.

        A text over several lines is folded into one, so lines are found by counting what folding
        leaves alone: the characters that are no space.
        """
        piece, line = self.pieces.get(path, ("", self.lines.get(self._nearest(path), 1)))
        if _solid(piece) != _solid(value):
            return line  # a quoted text with escapes, or not a text at all
        left = len(_solid(value[:offset]))
        for character in piece:
            if not character.isspace():
                if left == 0:
                    break
                left -= 1
            line += character == "\n"
        return line

    def _nearest(self, path: str) -> str:
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return path


def read(path: Path) -> YamlFile:
    """Read a YAML file whose top is a mapping.

    Raises:
        ConfigError: missing, unreadable, not YAML, a key twice, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist: name another file, or let `brokersync init` write a"
            " configuration and its rules"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror or type(error).__name__}"
        ) from None
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
        raise ConfigError(f"{name}: not valid YAML: a character that no text file holds") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None
    builder = _Builder(name, text)
    data = builder.build(node, "", 0) if node is not None else {}
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: expected `key: value` lines at the top")
    return YamlFile(name, data, builder.lines, builder.pieces)


class _Builder:
    """Plain data from nodes, noting where each path stands."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.lines: dict[str, int] = {}
        self.pieces: dict[str, tuple[str, int]] = {}
        self._nodes = 0
        self._loader = yaml.SafeLoader("")

    def build(self, node: yaml.Node, path: str, depth: int) -> Any:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise self._error(node, "too large, nested too deeply, or an alias that holds itself")
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            self._plain(node, "seq")
            return [
                self.build(child, _join(path, label), depth + 1)
                for label, child in zip(_labels(node.value), node.value, strict=True)
            ]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        self._plain(node, "map")
        found: dict[str, Any] = {}
        for key_node, child in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, "a key must be a word")
            if key_node.tag == f"{_TAG}merge":
                raise self._error(key_node, "merge keys (<<) are not supported: write the keys out")
            key = str(key_node.value)
            if key in found:
                raise self._error(key_node, f"the key {key!r} stands twice: remove one")
            self.lines[_join(path, key)] = key_node.start_mark.line + 1
            found[key] = self.build(child, _join(path, key), depth + 1)
        return found

    def _scalar(self, node: yaml.Node, path: str) -> Any:
        tag, value = node.tag.removeprefix(_TAG), str(node.value)
        if tag == "str":
            self._note_piece(node, path)
            return value
        if tag in ("int", "float") and ":" in value:
            return value
        if tag == "bool" and value.lower() not in ("true", "false"):
            return value
        if tag not in ("bool", "int", "float", "null", "timestamp"):
            raise self._error(node, f"the tag {node.tag.replace(_TAG, '!!')} is not supported")
        try:
            return self._loader.construct_object(node, deep=True)
        except (ValueError, OverflowError):
            raise self._error(node, f"{value[:40]!r} is no {tag} there is") from None

    def _note_piece(self, node: yaml.Node, path: str) -> None:
        """The source text of a text that covers several lines."""
        start, end = node.start_mark, node.end_mark
        if start.line == end.line:
            return
        piece, line = self.text[start.index : end.index], start.line + 1
        if getattr(node, "style", None) in ("|", ">"):
            piece, line = piece.partition("\n")[2], line + 1
        self.pieces[path] = (piece.strip("\"'") if piece[:1] in "\"'" else piece, line)

    def _plain(self, node: yaml.Node, tag: str) -> None:
        if node.tag != f"{_TAG}{tag}":
            raise self._error(node, f"the tag {node.tag.replace(_TAG, '!!')} is not supported")

    def _error(self, node: yaml.Node, message: str) -> ConfigError:
        return ConfigError(f"{self.name}, line {node.start_mark.line + 1}: {message}")


def _solid(text: str) -> str:
    return "".join(text.split())


def _labels(nodes: list[yaml.Node]) -> list[str]:
    """Names of the items of a list, as error paths name them: the second ``a`` is ``a#2``."""
    seen: dict[str, int] = {}
    labels: list[str] = []
    for number, node in enumerate(nodes):
        label = _label(node, number)
        seen[label] = seen.get(label, 0) + 1
        labels.append(label if seen[label] == 1 else f"{label}#{seen[label]}")
    return labels


def _label(node: yaml.Node, number: int) -> str:
    """Items of a list are named by their id (or property)."""
    if isinstance(node, yaml.MappingNode):
        for wanted in ("id", "property"):
            for key, child in node.value:
                if key.value == wanted and isinstance(child, yaml.ScalarNode) and child.value:
                    return str(child.value)
    return str(number)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def with_secrets(file: YamlFile) -> YamlFile:
    """The file with ``${NAME}`` replaced from the environment, or from the file at ``NAME_FILE``.

    Raises:
        ConfigError: every variable that is not set, and every file that cannot be read.
    """
    problems: dict[str, None] = {}

    def replaced(match: re.Match[str], path: str) -> str:
        try:
            return _variable(match[1])
        except ConfigError as error:
            problems[f"{file.where(path)}: {path}: {error.admin}"] = None
            return ""

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {k: walk(v, _join(path, k)) for k, v in value.items()}
        if isinstance(value, list):
            return [walk(v, _join(path, str(number))) for number, v in enumerate(value)]
        if isinstance(value, str):
            return _VARIABLE.sub(lambda match: replaced(match, path), value)
        return value

    data = walk(file.data, "")
    if problems:
        raise ConfigError("\n".join(problems))
    return YamlFile(file.name, data, file.lines, file.pieces)


def _variable(name: str) -> str:
    if not _VARIABLE_NAME.fullmatch(name):
        raise ConfigError(
            f"${{{name[:40]}}} is no variable: write its name in capitals, like ${{CRM_TOKEN}}"
        )
    value = os.environ.get(name)
    if value is None:
        path = os.environ.get(f"{name}_FILE")
        if path is None:
            raise ConfigError(f"set the environment variable {name} (or {name}_FILE)")
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            cause = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ConfigError(f"the file that {name}_FILE names cannot be read: {cause}") from None
    if not value:
        raise ConfigError(f"the environment variable {name} (or its file) is empty")
    return value
