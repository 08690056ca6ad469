"""`every` and `cron` of a connection, as an admin writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from brokersync import bootstrap
from mapping.errors import ConfigError
from sync.schedule import Schedule

PAYMENTIQ = {
    "type": "paymentiq", "client_id": "hub", "client_secret": "x", "merchant_id": 1,
    "start_at": "2026-01-01T00:00:00Z", "brand": "north",
}  # fmt: skip
REGISTRY = {"type": "registry", "url": "sqlite:///clients.db"}
SUMSUB = {"type": "sumsub", "app_token": "x", "secret_key": "x", "brand": "north"}


def schedules(folder: Path, **connections: object) -> dict[str, Schedule]:
    """The schedules of a hub with two brands of two zones."""
    brand = {"base_currency": "EUR", "destination": "hubspot"}
    settings = {
        "database": f"sqlite:///{folder / 'hub.db'}",
        "brands": {
            "north": {**brand, "zone": "Europe/Nicosia"},
            "south": {**brand, "zone": "Africa/Johannesburg"},
        },
        "connections": connections,
        "destinations": {"hubspot": {"type": "hubspot", "access_token": "x"}},
    }
    path = folder / "brokersync.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    hub = bootstrap.build(bootstrap.configuration(path), connect=False)
    hub.close()
    return dict(hub.schedules)


def test_each_family_has_an_interval_of_its_own(tmp_path: Path) -> None:
    found = schedules(tmp_path, cashier=PAYMENTIQ, clients=REGISTRY, kyc=SUMSUB)
    assert {n: s.every_s for n, s in found.items()} == {"cashier": 60, "clients": 300, "kyc": 300}


def test_what_is_given_holds(tmp_path: Path) -> None:
    cron = "30 3 * * mon-fri"
    found = schedules(
        tmp_path,
        cashier={**PAYMENTIQ, "every": "90s"},
        kyc={**SUMSUB, "cron": cron},
        clients={**REGISTRY, "cron": cron},
        more={**REGISTRY, "every": "2h"},
    )
    assert found == {
        "cashier": Schedule(every_s=90),
        "kyc": Schedule(cron=cron, zone="Europe/Nicosia"),
        "clients": Schedule(cron=cron, zone="UTC"),  # two brands, two zones
        "more": Schedule(every_s=7200),
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"every": "5"}, "write a time span such as"),
        ({"every": 300}, "write a time span such as"),
        ({"every": "1s"}, "10 seconds to 7 days"),
        ({"every": "8d"}, "10 seconds to 7 days"),
        ({"every": "5m", "cron": "* * * * *"}, "not both"),
        ({"cron": "every day"}, "five parts"),
        ({"cron": "0 25 * * *"}, "25"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    given: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        schedules(tmp_path, clients={**REGISTRY, **given})
    assert words in caught.value.admin
    assert "connections.clients" in caught.value.admin
    assert "line" in caught.value.admin
