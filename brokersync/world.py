"""The simulated brokerage as a process of its own, and the clock that asks it for the time."""

from __future__ import annotations

import json
import mmap
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from mapping.errors import RetryableError

_START_S = 60
_NOW = struct.Struct("<q")


class WorldClock:
    """Time as the simulated world has it: sleeping moves it on. Only demo and tests inject it.

    Args:
        address: host:port of the world's clock, which speaks lines: ``now`` and ``sleep 1.5``,
            each answered with epoch milliseconds.
        file: shows the same time in eight bytes (little-endian), quicker than an answer comes.
    """

    def __init__(self, address: str, file: Path) -> None:
        with file.open("rb") as opened:
            self._page = mmap.mmap(opened.fileno(), _NOW.size, access=mmap.ACCESS_READ)
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=_START_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._socket.makefile("rb")
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """See :class:`connectors.clock.Clock`."""
        found: int = _NOW.unpack_from(self._page)[0]
        return found

    def sleep(self, seconds: float) -> None:
        """See :class:`connectors.clock.Clock`."""
        self._ask(f"sleep {seconds:.3f}\n".encode())

    def _ask(self, line: bytes) -> int:
        with self._lock:
            self._socket.sendall(line)
            answer = self._lines.readline()
        if not answer:
            raise RetryableError("the simulated world has ended")
        return int(answer)

    def close(self) -> None:
        """Close the connection."""
        self._page.close()
        self._lines.close()
        self._socket.close()


@dataclass(slots=True)
class World:
    """A running simulation: where its vendors are, and its control."""

    described: dict[str, Any]
    _control: httpx.Client

    def get(self, path: str) -> Any:
        """Ask the control (``/state``, ``/stats``, ``/truth``, ``/crm``, ``/keys``)."""
        return self._control.get(path).raise_for_status().json()

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Tell the control (``/advance``, ``/observe``)."""
        return self._control.post(path, json=body or {}).raise_for_status().json()


def command(arguments: Sequence[str]) -> list[str]:
    """How the simulator is started: its own process, its own imports."""
    return [sys.executable, "-m", "simulator", *arguments]


@contextmanager
def running(arguments: Sequence[str]) -> Iterator[World]:
    """A simulation for the length of a block; it also ends when this process does.

    Raises:
        RetryableError: it did not start.
    """
    process = subprocess.Popen(  # noqa: S603 (our own interpreter, no shell)
        [*command(arguments), "--stdin-guard"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        env=os.environ.copy(),
        text=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101 (it was asked for above)
        first = process.stdout.readline()
        if not first.strip():
            raise RetryableError("the simulated brokerage did not start")
        described = json.loads(first)
        with httpx.Client(base_url=described["control"], timeout=300, trust_env=False) as control:
            yield World(described, control)
    finally:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        process.terminate()
        process.wait(timeout=30)
