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

from benchmarks import facts, intake, report, rig, whole
from benchmarks.report import Measured

GROUPS = ("memory", "nothing", "changed", "push", "rules", "facts", "intake")
_STEPS = ("nothing", "changed", "push", "rules")
_LONGEST_S = 400
_PEAK = "memory: peak of a whole sync"


def main() -> int:
    """Measure, print, write; 1 if a hold was missed."""
    args = _arguments()
    if args.worker:
        for m in _work(args.worker, args.clients, args.steps.split(","), args.database):
            print(json.dumps(asdict(m)), flush=True)
        return 0
    only = [g for g in GROUPS if not args.only or g in args.only.split(",")]
    broken: list[str] = []
    measured = list(_all(only, args.clients, args.database, broken))
    measured.append(
        Measured("machine: cpu of a fixed piece of work", rig.machine_us(), "us", _load())
    )
    rows = report.judged(measured, report.budget())
    report.write(rows)
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
    parser.add_argument("--only", default="", help=f"groups, by comma: {', '.join(GROUPS)}")
    parser.add_argument("--database", default=intake.SERVER, help="URL of a PostgreSQL server")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--steps", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    unknown = set(filter(None, args.only.split(","))) - set(GROUPS)
    if unknown or args.clients < 200:
        parser.error(f"unknown group {sorted(unknown)}" if unknown else "at least 200 clients")
    return args


def _all(only: Sequence[str], clients: int, server: str, broken: list[str]) -> Iterator[Measured]:
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
    for name in ("facts", "intake"):
        if name in only:
            yield from _process(name, clients, server, [], broken)


def _process(
    name: str, clients: int, server: str, steps: Sequence[str], broken: list[str]
) -> Iterator[Measured]:
    """What a group measured; if it ends early, what it measured until then, and why it ended."""
    print(f"{time.strftime('%H:%M:%S')} {name}, {clients:,} clients", file=sys.stderr, flush=True)
    command = [
        sys.executable, "-m", "benchmarks", "--worker", name, "--clients", str(clients),
        "--steps", ",".join(steps), "--database", server,
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 (our own program)
            command, stdout=subprocess.PIPE, timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired as late:
        broken.append(f"{name}, {clients:,} clients: not done after {_LONGEST_S} s")
        output = late.stdout or b""
    else:
        output = done.stdout
        if done.returncode:
            broken.append(f"{name}, {clients:,} clients: ended with {done.returncode}, see above")
    for line in output.decode().splitlines():
        yield Measured(**json.loads(line))


def _work(name: str, clients: int, steps: Sequence[str], server: str) -> Iterator[Measured]:
    with tempfile.TemporaryDirectory(prefix="brokersync-bench-") as folder:
        if name == "whole":
            yield from whole.run(Path(folder), clients, steps)
        elif name == "facts":
            yield from facts.run(Path(folder), clients)
        else:
            yield from intake.run(Path(folder), clients, server)


if __name__ == "__main__":
    sys.exit(main())
