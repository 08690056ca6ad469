"""docs/errors.md, written from what the cases print. ``python -m tests.errors.page`` writes it."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from pathlib import Path

from brokersync import reports
from brokersync.output import Output
from mapping.errors import BrokersyncError, ConfigError
from tests.errors.cases import CASES, Case, Play

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
_HEAD = """# What goes wrong, and what you see

Each case below is played through the whole hub by the tests, over simulated vendors; the texts are
what it printed. Exit codes: 0 ok, 1 done with set-aside records (see `brokersync rejects`),
2 configuration, 3 stopped with nothing lost.

"""
_EXIT = {"ok": 0, "set_aside": 1, "refused": 2, "stopped": 3, "raised": 3}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?(?: UTC)?|\d{4}-\d\d-\d\dT[\d:.]+Z?")


def printed(case: Case, play: Play) -> tuple[str, str]:
    """(how the sync ended, what an admin reads) of a spoiled sync."""
    case.spoil(play)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        output = Output(as_json=False)
        try:
            cycle = play.sync()
        except BrokersyncError as error:
            output.note(f"Error: {error.admin}")
            status = "refused" if isinstance(error, ConfigError) else "raised"
        else:
            status = cycle.status
            if not case.rejects:
                reports.cycle(output, play.hub, cycle)
        if case.rejects:
            reports.rejects(output, play.hub)
    text = err.getvalue().strip() if not case.rejects else out.getvalue().strip()
    return status, _steady(text, play)


def _steady(text: str, play: Play) -> str:
    """Without what differs from run to run: the folder and the instants."""
    text = text.replace(str(play.folder), "/var/lib/brokersync")
    lines = [line.rstrip() for line in _INSTANT.sub("(instant)", text).splitlines()]
    return "\n".join(line for line in lines if line)


def section(case: Case, folder: Path) -> str:
    """One case as a section of the page."""
    play = Play(folder)
    status, text = printed(case, play)
    play.hub.close()
    shown = "`brokersync rejects` shows:" if case.rejects else "`brokersync sync` says:"
    return (
        f"## {case.title}\n\n{case.happens} {shown}\n\n```\n{text}\n```\n\n"
        f"Exit code {_EXIT[status]}. {case.then}\n"
    )


def page() -> str:
    """The whole page."""
    parts = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            parts.append(section(case, Path(folder)))
    return _HEAD + "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
