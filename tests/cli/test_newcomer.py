"""A newcomer types what the README says, and nothing else, against `brokersync simulate`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent


def commands() -> list[str]:
    """The lines of the README's walk."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Try it by hand")[1]
    return section.split("```console\n")[1].split("```")[0].strip().split("\n")


@pytest.fixture(scope="module", name="steps")
def _steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Command -> how it ended and what it printed. Its first line made this environment."""
    folder = tmp_path_factory.mktemp("newcomer")
    walk = [*commands()[1:], "brokersync doctor --json > again.json", "brokersync sync --json"]
    script = ["trap 'kill $WORLD' EXIT"]
    for command in walk:
        script.append(command)
        script.append("WORLD=$!" if "world.json &" in command else 'echo "@@ $?"')
    clean = {n: v for n, v in os.environ.items() if not n.startswith("BROKERSYNC")}
    done = subprocess.run(
        ["/bin/bash"], cwd=folder, capture_output=True, text=True, timeout=240, check=False,
        input="\n".join(script) + "\n",
        env={**clean, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    parts = re.split(r"^@@ (\d+)\n", done.stdout, flags=re.M)
    named = [c.partition("#")[0].strip() for c in walk if "world.json &" not in c]
    assert len(parts) // 2 == len(named), done.stderr
    return {
        name: (int(code), text)
        for name, text, code in zip(named, parts[::2], parts[1::2], strict=False)
    }


def test_ten_commands_are_enough() -> None:
    assert len(commands()) <= 10
    assert commands()[0] == "make setup && . .venv/bin/activate"


def test_each_command_ends_well(steps: dict[str, tuple[int, str]]) -> None:
    ended = {name: code for name, (code, _) in steps.items()}
    # The doctor warns of the properties that `crm install` is about to create.
    assert ended.pop("brokersync doctor") == 1
    assert set(ended.values()) == {0}, steps


def test_each_says_what_the_next_one_needs(steps: dict[str, tuple[int, str]]) -> None:
    said = {name: text for name, (_, text) in steps.items()}
    assert "brokersync doctor" in said["brokersync init --simulate world.json"]
    assert "0 problems, 1 warning." in said["brokersync doctor"]
    assert "crm install" in said["brokersync doctor"]
    assert "brokersync crm install" in said["brokersync crm plan"]
    assert "created property contacts.broker_client_id" in said["brokersync crm install"]
    planned = re.search(r"Contacts: (\d+)", said["brokersync plan --pull"])
    written = re.search(r"Written: (\d+) contacts", said["brokersync sync"])
    assert planned is not None
    assert written is not None
    assert int(planned[1]) == int(written[1]) > 100
    assert '"contacts_written": 0' in said["brokersync sync --json"]
    assert not [text for text in said.values() if "Traceback" in text or "pat-na1" in text]
