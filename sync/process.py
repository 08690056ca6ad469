"""Which process this is, and whether another one is still there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from state.engine import Holder

_PROC = Path("/proc")


def this_process(kind: str) -> Holder:
    """This process, doing ``kind``."""
    pid = os.getpid()
    return Holder(kind, socket.gethostname(), _place(), pid, _born(pid))


def same(one: Holder, other: Holder) -> bool:
    """Whether both are one process, whatever it does."""
    return (one.place, one.pid, one.born) == (other.place, other.pid, other.born)


def gone(holder: Holder) -> bool:
    """Whether the process is known to have ended. One of another machine never is."""
    if holder.place != _place():
        return not holder.place
    return not _alive(holder.pid) or _born(holder.pid) != holder.born


def _place() -> str:
    """This machine since it was started, and the container on it: there a pid means one process."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it is there
        return True
    return _stat(pid)[:1] != ["Z"]  # ended, and not yet noticed by its parent


def _born(pid: int) -> str:
    """When a process was started, in the kernel's ticks; blank where nobody tells."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (the name before it may hold anything)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
