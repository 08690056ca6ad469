"""``python -m benchmarks``: every group in a process of its own, then verdicts and a table."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import sqlalchemy as sa

from benchmarks import facts, intake, million, multiplied, report, rig, salesforce, whole
from benchmarks.report import Measured

USUAL = ("memory", "nothing", "changed", "push", "rules", "facts", "intake", "salesforce")
MILLION = "million"
GROUPS = (*USUAL, MILLION)
_STEPS = ("nothing", "changed", "push", "rules")
_LONGEST_S = 400
_LONGEST_OF_MILLION_S = 1800
_SEED = "seed"
_PEAK = "memory: peak of a whole sync"


def main() -> int:
    """Measure, print, write; 1 if a hold was missed."""
    args = _arguments()
    if args.worker:
        steps = args.steps.split(",")
        for m in _work(args.worker, args.clients, steps, args.database, args.engine):
            print(json.dumps(asdict(m)), flush=True)
        return 0
    only = args.only.split(",") if args.only else USUAL
    broken: list[str] = []
    measured = list(_all(only, args, broken))
    measured.append(
        Measured("machine: cpu of a fixed piece of work", rig.machine_us(), "us", _load())
    )
    rows = report.judged(measured, report.budget())
    report.write(rows, whole=set(USUAL) <= set(only))
    print(report.table(rows))
    missed = [r.name for r in rows if r.ok is False]
    print(f"\n{len(missed)} missed" + (f": {'; '.join(missed)}" if missed else ""))
    for line in broken:
        print(line)
    return 1 if missed or broken else 0


def _load() -> str:
    return f"{os.cpu_count()} cores, load average {os.getloadavg()[1]:.1f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--clients", type=int, default=50_000, help="contacts (default 50,000)")
    groups = f"groups, by comma: {', '.join(GROUPS)} (default all but {MILLION})"
    parser.add_argument("--only", default="", help=groups)
    parser.add_argument("--million", type=int, default=1_000_000, help=argparse.SUPPRESS)
    parser.add_argument("--database", default=intake.SERVER, help="URL of a PostgreSQL server")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--steps", default="", help=argparse.SUPPRESS)
    parser.add_argument("--engine", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    unknown = set(filter(None, args.only.split(","))) - set(GROUPS)
    if unknown or args.clients < 200:
        parser.error(f"unknown group {sorted(unknown)}" if unknown else "at least 200 clients")
    return args


def _all(only: Sequence[str], args: argparse.Namespace, broken: list[str]) -> Iterator[Measured]:
    clients, server = args.clients, args.database
    steps = [g for g in only if g in _STEPS]
    peak = half = None
    if steps or "memory" in only:
        for m in _process("whole", clients, server, steps, broken):
            peak = m.value if m.name == _PEAK else peak
            yield m
    if "memory" in only:
        found = {m.name: m.value for m in _process("whole", clients // 2, server, [], broken)}
        half = found.get(_PEAK)
        yield Measured("memory: peak at half the clients", half, "MB resident")
        if peak and half:
            yield Measured("memory: growth from half the clients", peak / half, "ratio")
    for name in ("facts", "intake", "salesforce"):
        if name in only:
            yield from _process(name, clients, server, [], broken)
    if MILLION in only:
        yield from _million(args.million, server, broken)


def _million(clients: int, server: str, broken: list[str]) -> Iterator[Measured]:
    """Each engine in turn: a database is made, measured, and gone before the next is made."""
    with tempfile.TemporaryDirectory(prefix="brokersync-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'million.db'}"
        yield from _steps_of_million("SQLite", url, clients, broken)
    try:
        with intake.own_database(server) as url:
            yield from _steps_of_million("PostgreSQL", url, clients, broken)
    except sa.exc.OperationalError as error:
        broken.append(f"{MILLION}, PostgreSQL: no server: {str(error.orig).splitlines()[0]}")


def _steps_of_million(engine: str, url: str, clients: int, broken: list[str]) -> Iterator[Measured]:
    yield from _process(MILLION, clients, url, [_SEED], broken, engine)
    if not any(line.startswith(f"{MILLION} {engine} {_SEED}") for line in broken):
        for step in million.STEPS:
            yield from _process(MILLION, clients, url, [step], broken, engine)


def _process(
    name: str,
    clients: int,
    server: str,
    steps: Sequence[str],
    broken: list[str],
    engine: str = "",
) -> Iterator[Measured]:
    """What a group measured; if it ends early, what it measured until then, and why it ended."""
    label = " ".join([name, engine, *(steps if engine else [])])
    longest = _LONGEST_OF_MILLION_S if engine else _LONGEST_S
    print(f"{time.strftime('%H:%M:%S')} {label}, {clients:,} clients", file=sys.stderr, flush=True)
    command = [
        sys.executable, "-m", "benchmarks", "--worker", name, "--clients", str(clients),
        "--steps", ",".join(steps), "--database", server, "--engine", engine,
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 (our own program)
            command, stdout=subprocess.PIPE, timeout=longest, check=False
        )
    except subprocess.TimeoutExpired as late:
        broken.append(f"{label}, {clients:,} clients: not done after {longest} s")
        output = late.stdout or b""
    else:
        output = done.stdout
        if done.returncode:
            broken.append(f"{label}, {clients:,} clients: ended with {done.returncode}, see above")
    for line in output.decode().splitlines():
        yield Measured(**json.loads(line))


def _work(
    name: str, clients: int, steps: Sequence[str], server: str, engine: str
) -> Iterator[Measured]:
    if name == MILLION:
        if steps == [_SEED]:
            multiplied.build(server, million.contacts(clients), million.COPIES)
        else:
            yield from million.run(steps[0], engine, server, clients)
        return
    with tempfile.TemporaryDirectory(prefix="brokersync-bench-") as folder:
        if name == "whole":
            yield from whole.run(Path(folder), clients, steps)
        elif name == "facts":
            yield from facts.run(Path(folder), clients)
        elif name == "salesforce":
            yield from salesforce.run(Path(folder), clients)
        else:
            yield from intake.run(Path(folder), clients, server)


if __name__ == "__main__":
    sys.exit(main())
