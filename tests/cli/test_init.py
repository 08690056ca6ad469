"""`init`: what it writes loads, nothing is overwritten unasked, and no choice is taken blindly."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from brokersync import bootstrap, init
from brokersync.init import Choices
from brokersync.output import Output
from connectors.salesforce.model import CLIENTS
from mapping.errors import ConfigError
from simulator.story import World
from tests.clock import WorldClock

WORLD = {
    "start_ms": 1_772_323_200_000,
    "live_from_ms": 1_776_297_600_000,
    "registry": {"url": "sqlite:////tmp/it's.db"},
    "brands": {
        name: {
            "zone": "Europe/Nicosia", "base_currency": "USD", "entity": "offshore",
            "rates": {"EUR": "1.10"},
            "sumsub": {"base_url": "http://127.0.0.1:1", "app_token": "sbx:a", "secret_key": "k"},
            "paymentiq": {"base_url": "http://127.0.0.1:2", "client_id": "hub",
                          "client_secret": "s", "merchant_id": 1001},
        }
        for name in ("alpha", "beta-2")
    },
    "hubspot": {
        "base_url": "http://127.0.0.1:3", "access_token": "pat-na1-x",
        "teams": {"payments": {"queue": "1", "members": ["2"]},
                  "support": {"queue": None, "members": ["3", "4"]}},
    },
    "salesforce": {
        "base_url": "http://127.0.0.1:4", "auth": "client_credentials", "consumer_key": "3MVG9-x",
        "consumer_secret": "sf-secret-x",
        "teams": {"payments": {"queue": "00G1", "members": ["0051"]}},
    },
}  # fmt: skip


def _init(**choices: Any) -> None:
    clock = WorldClock(World([], {}, 1_776_297_600_000))
    init.init(Output(as_json=False), clock, Choices(**choices))


def _load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> bootstrap.Configuration:
    """The configuration, with the secrets of its .env (filled in where it is the example)."""
    path = next(folder.glob(".env*"))
    for line in path.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            filled = "7" if name.endswith("MERCHANT_ID") else "sqlite:///x.db"
            monkeypatch.setenv(name, value.strip("'") or filled)
    return bootstrap.configuration(folder / "brokersync.yaml")


@pytest.mark.parametrize("simulated", [True, False])
def test_salesforce_by_either_way_of_signing_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulated: bool
) -> None:
    world = tmp_path / "world.json"
    world.write_text(json.dumps(WORLD) + "\n")
    more = {"simulate": world} if simulated else {}
    _init(folder=tmp_path / "new", crm="salesforce", **more)
    found = _load(tmp_path / "new", monkeypatch).settings
    (settings,) = found.destinations.values()
    assert settings["auth"] == ("client_credentials" if simulated else "jwt")
    assert {b.destination for b in found.brands.values()} == {"salesforce"}
    text = (tmp_path / "new" / "brokersync.yaml").read_text()
    assert "sf-secret-x" not in text
    assert ('queue: "00G1"' if simulated else "00G5e") in text


@pytest.mark.parametrize("model", init.OBJECT_MODELS)
def test_what_stands_for_a_client_in_salesforce_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    _init(folder=tmp_path, crm="salesforce", object_model=model)
    (settings,) = _load(tmp_path, monkeypatch).settings.destinations.values()
    assert settings["object_model"] == model


@pytest.mark.parametrize(
    "sources", [["registry"], ["registry", "sumsub"], ["registry", "paymentiq"], init.SOURCES]
)
def test_what_it_writes_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str]
) -> None:
    _init(folder=tmp_path / "new", sources=sources, brand="north", zone="Europe/Nicosia",
          currency="EUR")  # fmt: skip
    found = _load(tmp_path / "new", monkeypatch)
    assert [c["type"] for c in found.settings.connections.values()] == list(sources)
    brand = found.settings.brands["north"]
    assert (brand.zone, brand.base_currency, brand.live_from) == ("Europe/Nicosia", "EUR", {})
    assert set(bootstrap.rules(found)) == {"north"}
    assert bootstrap.rules_file(found).name.endswith("rules.yaml")
    text = (tmp_path / "new" / "brokersync.yaml").read_text()
    assert len([line for line in text.splitlines() if "#" in line]) > 15
    commented = text.split("# teams:")[1].split("\n\n")[0]
    example = "teams:" + commented.replace("\n#", "\n")
    (tmp_path / "new" / "brokersync.yaml").write_text(text.replace("# teams:" + commented, example))
    assert len(bootstrap.configuration(tmp_path / "new" / "brokersync.yaml").settings.teams) == 3


def test_it_knows_every_connector() -> None:
    assert set(init.SOURCES) == set(bootstrap.SOURCES)
    assert set(init.CRMS) == set(bootstrap.DESTINATIONS)
    assert set(init.OBJECT_MODELS) == set(CLIENTS)


def test_a_simulation_fills_everything_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = tmp_path / "world.json"
    world.write_text(json.dumps(WORLD) + "\n")
    _init(folder=tmp_path, simulate=world)
    found = _load(tmp_path, monkeypatch)
    assert set(found.settings.brands) == {"alpha", "beta-2"}
    assert found.settings.brands["alpha"].live_from == {"*": WORLD["live_from_ms"]}
    assert found.settings.connections["cashier-beta-2"]["merchant_id"] == "1001"
    assert found.settings.teams["support"].owners["hubspot"].members == ["3", "4"]
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    text = (tmp_path / "brokersync.yaml").read_text()
    assert [s for s in ("pat-na1-x", "sbx:a", "it's.db") if s in text] == []


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"rules.yaml in .* would be overwritten.*--force"):
        _init(folder=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["rules.yaml"]
    _init(folder=tmp_path, force=True)
    assert (tmp_path / "rules.yaml").read_text() != "mine"


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"crm": "pipedrive"}, "--crm 'pipedrive' is not known; there is: hubspot"),
        ({"crm": "salesforce", "object_model": "lead"}, "--object-model 'lead' is not known"),
        ({"object_model": "person_account"}, "say --crm salesforce"),
        ({"sources": ["registry", "onfido"]}, "--sources 'onfido'"),
        ({"sources": []}, "--sources needs registry"),
        ({"sources": ["sumsub"]}, "--sources needs registry"),
        ({"zone": "Mars/Olympus"}, "--zone: 'Mars/Olympus' is no IANA time zone"),
        ({"currency": "EURO"}, "--currency: "),
        ({"brand": "my brand"}, "--brand: a name is up to 40"),
        ({"simulate": Path("/nowhere/x.json")}, "brokersync simulate"),
    ],
)
def test_choices_are_checked_before_anything_is_written(
    tmp_path: Path, choices: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        _init(folder=tmp_path / "new", **choices)
    assert list(tmp_path.iterdir()) == []
