"""``python -m benchmarks.metatrader``: a whole pull of a MetaTrader export, its time and memory.

Fills the fake's tables with deals of a year, in every engine that answers, and pulls them in a
process of its own: everything, then what 1,000 edits changed, then the reading of whole days.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from connectors.base import Context, Page
from connectors.mt5_sql.settings import Mt5SqlSettings
from connectors.mt5_sql.source import Mt5SqlSource
from simulator.metatrader.clock import filetime
from simulator.metatrader.tables import Shape, Tables
from simulator.metatrader.writer import SYMBOLS

DEALS, ACCOUNTS, DAYS, EDITS = 200_000, 4_000, 365, 1_000
FIRST = datetime(2025, 6, 1)  # noqa: DTZ001 - the server's wall clock, two hours ahead of UTC
AHEAD_MS = 2 * 3_600_000
BATCH = 5_000
SERVERS = {
    "PostgreSQL": os.environ.get(
        "BROKERSYNC_BENCH_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    "MariaDB": os.environ.get(
        "BROKERSYNC_BENCH_MARIADB", "mysql+pymysql://root@127.0.0.1:3306/mysql"
    ),
}


class Clock:
    """Stands at the end of the year that was filled."""

    def __init__(self, ahead_s: int = 0) -> None:
        self.ahead_s = ahead_s

    def now_ms(self) -> int:
        """See :class:`connectors.clock.Clock`."""
        return _ms(FIRST + timedelta(days=DAYS, seconds=self.ahead_s))

    def sleep(self, seconds: float) -> None:
        """See :class:`connectors.clock.Clock`."""


def _ms(wall: datetime) -> int:
    return round((wall - datetime(1970, 1, 1)).total_seconds() * 1000) - AHEAD_MS  # noqa: DTZ001


def fill(url: str, deals: int = DEALS, *, indexed: bool = True) -> None:
    """Write an export with this many deals: nine of ten a trade's, the tenth a deposit."""
    tables = Tables(Shape(indexed=indexed))
    engine = sa.create_engine(url)
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(
            sa.insert(tables["mt5_groups"]), [{"Group": "real\\std", "Currency": "USD"}]
        )
        users = [_user(1_000_000 + n) for n in range(ACCOUNTS)]
        connection.execute(sa.insert(tables["mt5_users"]), users)
        balances = [{"Login": u["Login"], "Balance": 5.0, "Credit": 0.0, "Equity": 5.0}
                    for u in users]  # fmt: skip
        connection.execute(sa.insert(tables["mt5_accounts"]), balances)
        for start in range(0, deals, BATCH):
            rows = [_deal(n, deals) for n in range(start, min(deals, start + BATCH))]
            connection.execute(sa.insert(tables["mt5_deals"]), rows)
            for year in ("2025", "2026"):
                dated = [row for row in rows if row["Time"].startswith(year)]
                if dated:
                    connection.execute(sa.insert(tables[f"mt5_deals_{year}"]), dated)
    engine.dispose()


def _user(login: int) -> dict[str, Any]:
    return {
        "Login": login, "Timestamp": filetime(_ms(FIRST) + login % ACCOUNTS * 3_600_000),
        "Group": "real\\std", "Rights": 1,
        "Registration": FIRST.isoformat(" "), "ID": f"C-{login}", "Leverage": 100, "Agent": 0,
        "ClientID": login, "Email": "",
    }  # fmt: skip


def _deal(n: int, deals: int) -> dict[str, Any]:
    wall = FIRST + timedelta(seconds=round(n * DAYS * 86_400 / deals))
    # Pairs of deals in one account; accounts trade in turns, some far more than others.
    trade = n % 20 < 18
    login = 1_000_000 + ((n // 2) * (n // 2 % 7 + 1)) % ACCOUNTS
    symbol = list(SYMBOLS.values())[n // 2 % len(SYMBOLS)][0]
    return {
        "Deal": n + 1, "Timestamp": filetime(_ms(wall)), "Login": login,
        "Action": n % 2 if trade else 2, "Entry": n % 2 if trade else 0, "Reason": 16,
        "Time": wall.isoformat(" "), "Symbol": symbol if trade else "", "Volume": 1000,
        "VolumeExt": 10_000_000, "VolumeClosed": 0, "VolumeClosedExt": 0,
        "Profit": (n % 997 - 400) / 100 if trade and n % 2 else 0.0 if trade else 100.0,
        "Storage": 0.0, "Commission": -0.1 * (n % 2), "Comment": "", "Dealer": 0,
    }  # fmt: skip


def edit(url: str) -> None:
    """Change deals all over the last month."""
    tables = Tables(Shape())
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        stamp = filetime(Clock(60).now_ms())
        top = connection.execute(sa.select(sa.func.max(tables["mt5_deals"].c.Deal))).scalar_one()
        chosen = list(range(top - EDITS * 15, top, 15))
        for name in ("mt5_deals", "mt5_deals_2026"):
            table = tables[name]
            where = table.c.Deal.in_(chosen)
            change = {"Profit": table.c.Profit + 1, "Timestamp": stamp}
            connection.execute(sa.update(table).where(where).values(change))
    engine.dispose()


def pulled(url: str, cursor: str | None, ahead_s: int) -> dict[str, Any]:
    """One pull in this process: what it gave, how long it took, the peak of memory."""
    values = {"url": url, "server": "bench", "server_tz": "fixed:+02:00", "client_column": "ID"}
    context = Context("bench", {"alpha": "UTC"}, Clock(ahead_s))
    source = Mt5SqlSource(Mt5SqlSettings.model_validate(values), context)
    before = _peak_mb()
    began, cpu = time.perf_counter(), time.process_time()
    pages = records = 0
    page = Page()
    for page in source.pull(cursor):
        pages += 1
        records += len(page.records)
        assert not page.rejects
    return {
        "cursor": page.cursor, "pages": pages, "records": records,
        "wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu,
        "start_mb": before, "peak_mb": _peak_mb(),
    }  # fmt: skip


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _apart(url: str, cursor: str | None, ahead_s: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.metatrader", "--worker", str(ahead_s)]
    text = json.dumps({"url": url, "cursor": cursor})
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = f"brokersync_bench_mt5_{os.getpid()}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    force = " WITH (FORCE)" if admin.dialect.name == "postgresql" else ""
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}{force}")


def _measured(engine: str, url: str, deals: int, *, indexed: bool) -> None:
    began = time.perf_counter()
    fill(url, deals, indexed=indexed)
    label = engine if indexed else f"{engine}, no index"
    print(f"{label}: {deals:,} deals in {ACCOUNTS:,} accounts, filled in "
          f"{time.perf_counter() - began:.0f} s")  # fmt: skip
    cursor: str | None = None
    for what, ahead_s in (("everything", 0), (f"{EDITS:,} edits", 120), ("nothing new", 180),
                          ("days read whole", 86_400)):  # fmt: skip
        if ahead_s == 120:
            edit(url)
        found = _apart(url, cursor, ahead_s)
        cursor = found["cursor"]
        print(
            f"  {what:16} {found['wall_s']:6.2f} s wall {found['cpu_s']:6.2f} s cpu"
            f" {found['records']:8,} records {found['pages']:4} pages"
            f"  peak {found['peak_mb']:.0f} MB (before {found['start_mb']:.0f})"
        )


def main() -> None:
    """Measure every engine that answers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metatrader")
    parser.add_argument("--deals", type=int, default=DEALS)
    parser.add_argument("--no-index", action="store_true", help="as exports of 2019 are")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker is not None:
        asked = json.load(sys.stdin)
        print(json.dumps(pulled(asked["url"], asked["cursor"], args.worker)))
        return
    indexed = not args.no_index
    with tempfile.TemporaryDirectory(prefix="brokersync-mt5-") as folder:
        _measured("SQLite", f"sqlite:///{Path(folder) / 'mt5.db'}", args.deals, indexed=indexed)
    for engine, server in SERVERS.items():
        try:
            with _database(server) as url:
                _measured(engine, url, args.deals, indexed=indexed)
        except sa.exc.OperationalError as error:
            print(f"{engine}: not run ({str(error.orig).splitlines()[0]})")


if __name__ == "__main__":
    main()
