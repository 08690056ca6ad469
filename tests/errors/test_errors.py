"""Every case ends as it says, loses nothing, and reads as docs/errors.md shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.errors.cases import CASES, Case, Play
from tests.errors.page import PAGE, printed, section


@pytest.mark.parametrize("case", CASES, ids=[c.title for c in CASES])
def test_it_ends_well_once_it_is_mended(case: Case, tmp_path: Path) -> None:
    play = Play(tmp_path)
    status, text = printed(case, play)
    assert status == case.status
    assert text, "nothing was said"
    assert "Traceback" not in text
    case.mend(play)
    cycle = play.sync()
    for _ in range(2):
        play.later()
        cycle = play.sync()
    assert cycle.status == "ok", cycle.summary()
    assert play.whole()
    play.hub.close()


@pytest.mark.parametrize("case", CASES, ids=[c.title for c in CASES])
def test_the_page_shows_it(case: Case, tmp_path: Path) -> None:
    assert section(case, tmp_path) in PAGE.read_text(encoding="utf-8"), "run `make docs`"


def test_the_page_shows_nothing_else() -> None:
    titles = [line[3:] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("## ")]
    assert titles == [c.title for c in CASES]
