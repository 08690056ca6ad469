"""``python -m simulator``: one world on loopback; says where everything is as one JSON object."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from simulator.server import SimulatorServer
from simulator.simulation import Options

_REFRESH_S = 1.0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--clients", type=_positive, default=1000)
    parser.add_argument("--days", type=_positive, default=60)
    parser.add_argument("--day", type=float, default=46.0, help="where the story starts")
    parser.add_argument(
        "--registry-url", help="SQLAlchemy URL; a temporary SQLite file if left out"
    )
    parser.add_argument("--port", type=int, default=0, help="the control's; the others follow it")
    parser.add_argument("--hubspot-latency-ms", type=float, default=0.0, help="real time an answer")
    parser.add_argument("--hubspot-daily-limit", type=_positive)
    parser.add_argument("--hubspot-search-lag", type=float, help="seconds on the world's clock")
    parser.add_argument("--no-unique-task-keys", action="store_true", help="of the CRM portal")
    parser.add_argument(
        "--live", action="store_true", help="the story is at --day today and goes on in real time"
    )
    parser.add_argument("--stdin-guard", action="store_true", help="end when stdin closes")
    known = parser.parse_args(arguments)
    if not 0 <= known.day <= known.days:
        parser.error(f"--day {known.day:g} is not within the {known.days} days of the story")
    return known


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop."""
    known = parse(arguments)
    logging.basicConfig(level=logging.WARNING, format="simulator: %(message)s")
    stop = threading.Event()

    def stopped(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, stopped)
    signal.signal(signal.SIGINT, stopped)
    with tempfile.TemporaryDirectory(prefix="brokersync-simulator-") as folder:
        url = known.registry_url or f"sqlite:///{Path(folder) / 'registry.db'}"
        options = Options(
            url,
            folder,
            known.seed,
            known.clients,
            known.days,
            known.day,
            known.live,
            _hubspot(known),
        )
        server = SimulatorServer(options, known.port, known.hubspot_latency_ms / 1000)
        sys.stdout.write(json.dumps(server.description()) + "\n")
        sys.stdout.flush()
        if known.stdin_guard:
            threading.Thread(target=_guard, args=(stop,), daemon=True).start()
        # A live story follows the clock; otherwise only the control moves it.
        while not stop.wait(_REFRESH_S if known.live else None):
            server.simulation.advance_to(server.simulation.now())
        server.close()
    return 0


def _guard(stop: threading.Event) -> None:
    """Whoever started us holds our stdin; when it is gone, so are we."""
    # Not through sys.stdin: its lock, held while reading, would break the interpreter's end.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stop.set()


def _hubspot(known: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {"task_unique_keys": not known.no_unique_task_keys}
    if known.hubspot_daily_limit is not None:
        given["daily_limit"] = known.hubspot_daily_limit
    if known.hubspot_search_lag is not None:
        given["search_lag_s"] = known.hubspot_search_lag
    return given


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


if __name__ == "__main__":
    sys.exit(main())
