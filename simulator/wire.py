"""A request and its answer, as fakes see them. A fake is a callable ``Request -> Response``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """``target``: path with query exactly as sent, percent-encoded; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target's query, undecoded."""
        return self.target.partition("?")[2]


@dataclass(frozen=True, slots=True)
class Response:
    """``drop`` closes the connection without an answer (after any effect has been applied)."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False

    @classmethod
    def json(cls, status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
        """A JSON answer."""
        return cls(
            status,
            # Half a surrogate pair goes out as its escape, as JSON has it.
            json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
                errors="backslashreplace"
            ),
            {"content-type": "application/json;charset=utf-8", **(headers or {})},
        )


Fake = Callable[[Request], Response]
