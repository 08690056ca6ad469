"""The docs say what the code does: every setting, fact, field, command and connector appears."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
import yaml

from brokersync import bootstrap
from brokersync.cli import app
from config.settings import DEFAULT_RULES, Settings
from docs import generate
from mapping.facts import FACTS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
COMMANDS = (
    "demo", "simulate", "crm plan", "crm install", "crm decide", "plan", "sync", "run", "status",
    "rejects", "runs", "explain", "init", "doctor", "link", "unlink", "rules check",
)  # fmt: skip


def page(name: str) -> str:
    """The text of a page under docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [p.name for p in sorted(DOCS.glob("*.md"))])
def test_the_tables_are_those_of_the_code(name: str) -> None:
    assert page(name) == generate.generated(page(name)), "run `make docs`"


def test_every_table_has_its_place() -> None:
    placed = [part for path in DOCS.glob("*.md") for part in generate.parts_of(page(path.name))]
    assert sorted(placed) == sorted(generate.PARTS)


def test_every_setting_appears() -> None:
    text = page("configuration.md")
    for name in Settings.model_fields:
        assert f"| `{name}` |" in text
    for type_, class_ in generate.connectors().items():
        section = text.split(f"\n### `{type_}`\n")[1].split("\n##")[0]
        for name in class_.settings_type.model_fields:
            assert f"| `{name}` |" in section, (type_, name)


def test_every_setting_has_a_meaning() -> None:
    for path in DOCS.glob("configuration.md"):
        rows = [r for r in page(path.name).splitlines() if r.startswith("| `")]
        assert rows
        assert [r for r in rows if not r.rstrip("| ").split(" | ")[-1].strip()] == []
        assert [r for r in rows if " any " in r.split(" | ")[1]] == []


def test_every_fact_appears() -> None:
    assert [name for name in FACTS if f"| `{name}` |" not in page("facts.md")] == []


def test_every_field_stage_and_state_appears() -> None:
    rules = yaml.safe_load(DEFAULT_RULES.read_text(encoding="utf-8"))
    text = page("fields.md")
    for row in rules["fields"]:
        name = row["property"] if row.get("native") else f"brokerage_{row['property']}"
        assert f"| `{name}` |" in text
    for row in (*rules["stages"], *rules["states"]):
        assert f"| {row['id']} | {row['label']} |" in text


def test_every_command_appears() -> None:
    found = []

    def walk(command: object, words: tuple[str, ...]) -> None:
        inner = getattr(command, "commands", {})
        for name in inner:
            walk(inner[name], (*words, name))
        if words and not inner:
            found.append(" ".join(words))

    walk(typer.main.get_command(app), ())
    assert sorted(found) == sorted(COMMANDS)
    for command in found:
        assert f"| `brokersync {command}` |" in page("commands.md")
        assert f"`{command}`" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_connector_appears() -> None:
    for type_ in (*bootstrap.SOURCES, *bootstrap.DESTINATIONS):
        assert f"| `{type_}` |" in page("sources.md")
        assert f"- **{type_}**: " in page("sources.md")
        assert (ROOT / "connectors" / type_ / "README.md").exists()


def test_the_example_configuration_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is accepted as it stands, once its secrets are set."""
    example = page("configuration.md").split("```yaml\n")[1].split("```")[0]
    for name in re.findall(r"\$\{([A-Z_]+)\}", example):
        monkeypatch.setenv(name, "sqlite:///clients.db" if name.endswith("URL") else "x")
    (tmp_path / "brokersync.yaml").write_text(example, encoding="utf-8")
    found = bootstrap.configuration(tmp_path / "brokersync.yaml")
    checked = bootstrap.rules(found)
    assert set(checked) == {"north"}
    assert checked["north"].off == {}


@pytest.mark.parametrize("path", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


def test_the_commands_of_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"\bmake ([a-z-]+)", readme)) <= targets
    named = re.findall(r"^brokersync ([a-z]+(?: [a-z]+)?)", readme, re.M)
    assert named
    for words in named:
        assert words in COMMANDS or words.split()[0] in COMMANDS, words


def test_decisions_are_numbered_once() -> None:
    numbers = [path.name[:4] for path in sorted((DOCS / "decisions").glob("*.md"))]
    assert numbers == [f"{n:04}" for n in range(1, len(numbers) + 1)]
    for path in (DOCS / "decisions").glob("*.md"):
        assert path.read_text(encoding="utf-8").startswith(f"# {path.name[:4]} — ")
