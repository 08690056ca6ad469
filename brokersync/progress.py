"""Progress bars on a terminal; nothing otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from sync.hub import Hub

_WORDS = {"pull": "Reading", "project": "Working out", "push": "Writing"}


@contextmanager
def shown(hub: Hub, console: Console, *, wanted: bool) -> Iterator[None]:
    """Draw the hub's progress while the block runs."""
    if not wanted:
        yield
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bars: dict[tuple[str, str], TaskID] = {}

        def draw(phase: str, what: str, done: int, total: int | None) -> None:
            if (phase, what) not in bars:
                label = f"{_WORDS.get(phase, phase)} {what}"
                bars[phase, what] = progress.add_task(label, total=total)
            progress.update(bars[phase, what], completed=done, total=total)

        before, hub.progress = hub.progress, draw
        try:
            yield
        finally:
            hub.progress = before
