"""Everything of one world on ports of 127.0.0.1: each fake, the clock, and the control."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

from simulator.affiliates import PAYOUT_CURRENCY
from simulator.cellxpert import CellxpertFake
from simulator.loopback import ClockServer, HttpServer
from simulator.portal import OWNERS, TEAMS
from simulator.registry import CRM_CLIENTS
from simulator.salesforce_people import API_VERSION, APP, teams
from simulator.simulation import ACCESS_TOKEN, Options, Simulation
from simulator.wire import Fake, Request, Response
from simulator.zendesk import ZendeskFake

LEDGER_RULES = [
    {"kind": "wire", "action": 2, "comment": "^Wire"},
    {"kind": "transfer", "action": 2, "comment": "transfer"},
]
"""What the trading servers' comments mean, as an admin would say it."""
_Action = Callable[[Mapping[str, Any]], dict[str, Any]]


class BadRequestError(Exception):
    """A control request that makes no sense; the text says why."""


class SimulatorServer:
    """Starts on construction; :meth:`description` says where everything is.

    Args:
        options: the world.
        port: the control's port, the others follow it; 0 takes free ones.
        hubspot_latency_s: real time each answer of the CRM takes.
    """

    def __init__(self, options: Options, port: int = 0, hubspot_latency_s: float = 0.0) -> None:
        self.simulation = Simulation(options)
        simulation = self.simulation
        # The control first: its port is the one a person may have asked for.
        self.control = HttpServer(Control(simulation).handle, port)
        self.clock = ClockServer(simulation.now, simulation.sleep, port and port + 1)
        self.fakes: dict[str, HttpServer] = {}
        for n, (name, fake) in enumerate(sorted(simulation.fakes.items()), start=2):
            latency = hubspot_latency_s if name == "hubspot" else 0.0
            self.fakes[name] = HttpServer(_dated(fake, simulation.now), port and port + n, latency)
        for name, vendor in simulation.vendors.items():
            if isinstance(vendor, CellxpertFake):
                vendor.download_base = self.fakes[name].url  # no host but ours on loopback

    def description(self) -> dict[str, Any]:
        """Base URLs, credentials and instants, as one JSON object."""
        simulation = self.simulation
        world = simulation.world
        brands = {}
        for name, brand in world.brands.items():
            access = simulation.credentials[name]
            brands[name] = {
                **asdict(brand),
                "rates": {c: rate for (base, c), rate in world.rates.items()
                          if base == brand.base_currency},
                "sumsub": {"base_url": self.fakes[f"sumsub-{name}"].url, **access["sumsub"]},
                "paymentiq": {
                    "base_url": self.fakes[f"paymentiq-{name}"].url,
                    **access["paymentiq"],
                },
                "mt5": {
                    "url": simulation.servers[name].url,
                    "server": f"live-{name}",
                    "server_tz": "NY+7",
                    "client_column": "ID",
                    "ledger_rules": LEDGER_RULES,
                },
                "cellxpert": {
                    "base_url": self.fakes[f"cellxpert-{name}"].url,
                    **access["cellxpert"],
                    "currency": PAYOUT_CURRENCY,
                },
                "zendesk": {
                    "base_url": self.fakes[f"zendesk-{name}"].url,
                    **self._helpdesk(name),
                },
            }  # fmt: skip
        return {
            "control": self.control.url,
            "clock": self.clock.address,
            "clock_file": "" if simulation.clock_page is None else str(simulation.clock_file),
            **simulation.state(),
            "registry": {"url": simulation.options.registry_url, "table": CRM_CLIENTS.name},
            "brands": brands,
            "hubspot": {
                "base_url": self.fakes["hubspot"].url,
                "access_token": ACCESS_TOKEN,
                "owners": [asdict(owner) for owner in OWNERS],
                "teams": {name: asdict(team) for name, team in TEAMS.items()},
            },
            "salesforce": {
                "base_url": self.fakes["salesforce"].url,
                "auth": "client_credentials",
                "consumer_key": APP.client_id,
                "consumer_secret": APP.client_secret,
                "api_version": API_VERSION,
                "teams": {n: asdict(t) for n, t in teams(simulation.salesforce).items()},
            },
        }

    def close(self) -> None:
        """Stop everything."""
        self.control.close()
        self.clock.close()
        for fake in self.fakes.values():
            fake.close()
        self.simulation.close()

    def _helpdesk(self, brand: str) -> dict[str, Any]:
        vendor = self.simulation.vendors[f"zendesk-{brand}"]
        return vendor.settings() if isinstance(vendor, ZendeskFake) else {}


def _dated(fake: Fake, now: Callable[[], int]) -> Fake:
    """The fake with the Date header that every server sends, by the world's clock."""

    def answer(request: Request) -> Response:
        found = fake(request)
        date = formatdate(now() / 1000, usegmt=True)
        return replace(found, headers={"date": date, **found.headers})

    return answer


class Control:
    """The port by which a demo or a test leads the story."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._actions: dict[tuple[str, str], _Action] = {
            ("GET", "/state"): lambda _: simulation.state(),
            ("GET", "/stats"): self._stats,
            ("GET", "/truth"): lambda given: simulation.truth(_whole(given, "at")),
            ("GET", "/crm"): lambda _: simulation.crm(),
            ("GET", "/keys"): lambda _: simulation.keys(),
            ("POST", "/advance"): self._advance,
            ("POST", "/observe"): lambda _: {"tasks": simulation.observe(), **simulation.state()},
        }

    def handle(self, request: Request) -> Response:
        """Answer one control request."""
        action = self._actions.get((request.method, request.path))
        if action is None:
            routes = [" ".join(route) for route in self._actions]
            return Response.json(404, {"error": "no such action", "actions": routes})
        try:
            return Response.json(200, action(_given(request)))
        except BadRequestError as problem:
            return Response.json(400, {"error": str(problem)})

    def _stats(self, _: Mapping[str, Any]) -> dict[str, Any]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "fakes": self._simulation.stats(),
            "cpu_seconds": time.process_time(),
            "peak_rss_mb": round(usage.ru_maxrss / 1024, 1),
        }

    def _advance(self, given: Mapping[str, Any]) -> dict[str, Any]:
        seconds, instant = _whole(given, "seconds"), _whole(given, "to_ms")
        if (seconds is None) == (instant is None):
            raise BadRequestError('give either "seconds" or "to_ms"')
        if instant is None:
            instant = self._simulation.state()["story_ms"] + 1000 * (seconds or 0)
        self._simulation.advance_to(instant)
        return self._simulation.state()


def _given(request: Request) -> dict[str, Any]:
    given: dict[str, Any] = {name: texts[-1] for name, texts in parse_qs(request.query).items()}
    if request.body:
        try:
            body = json.loads(request.body)
        except ValueError:
            raise BadRequestError("the body is not JSON") from None
        if not isinstance(body, dict):
            raise BadRequestError("the body is not a JSON object")
        given |= body
    return given


def _whole(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise BadRequestError(f"{name} must be a whole number, not negative")
    return number
