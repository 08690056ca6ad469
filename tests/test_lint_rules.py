"""House rules no linter knows: one clock, no code or SQL made of text, pieces of a screen."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HUB = ("brokersync", "config", "connectors", "mapping", "state", "sync")
MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 500

# Each place that may do what no other may, and why.
CLOCKS = {
    ("connectors/clock.py", "time"): "the one module that reads the machine's clock and sleeps",
    ("brokersync/demo.py", "time"): "says how long the reader waited; the hub never sees it",
}
SQL_FROM_TEXT = {
    ("connectors/registry/database.py", "_clients"): "the admin's own SELECT, on the admin's own "
    "database, in a transaction that only reads",
    ("state/rules_due.py", "<module>"): "a whole number of ours",
    ("state/rules_sql.py", "_pick"): "a number of ours, beyond all others",
    ("state/staging.py", "fresh"): "DDL that SQLAlchemy compiled from a Table of ours",
    ("state/staging.py", "append"): "names of a Table of ours; the values are parameters",
    ("state/staging.py", "_insert"): "the same, many rows a statement",
    ("state/store.py", "_sqlite_connect"): "PRAGMAs from a literal list beside it",
    ("state/migrations/versions/0001_spine.py", "_where"): "literals of the same file",
}

_CLOCK_NAMES = (
    "time", "random", "uuid", "secrets", "os.urandom", "asyncio.sleep", "threading.Timer",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today",
    "datetime.date.today", "sqlalchemy.func.now", "sqlalchemy.func.random",
    "sqlalchemy.func.current_timestamp", "tenacity.wait_random", "tenacity.nap",
    "tenacity.wait_random_exponential", "tenacity.wait_exponential_jitter",
)  # fmt: skip
_CODE_NAMES = (
    "builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__",
    "pickle", "marshal",
)  # fmt: skip
_TEXT_CALLS = {"text", "literal_column", "exec_driver_sql"}
_CURSOR_CALLS = {"execute", "executemany", "copy"}


@dataclass(frozen=True)
class Finding:
    """A place that breaks a rule."""

    path: str
    function: str
    line: int
    what: str


class _Walker(ast.NodeVisitor):
    """Finds names by what they were imported as, and the function round each finding."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.imported: dict[str, str] = {}
        self.functions = ["<module>"]
        self.clocks: list[Finding] = []
        self.code: list[Finding] = []
        self.sql: list[Finding] = []

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            self.imported[name.asname or name.name.split(".")[0]] = (
                name.name if name.asname else name.name.split(".")[0]
            )
            self._judge(node, name.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for name in node.names:
            self.imported[name.asname or name.name] = f"{node.module}.{name.name}"
            self._judge(node, f"{node.module}.{name.name}")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.functions.append(node.name)
        self.generic_visit(node)
        self.functions.pop()

    def visit_Name(self, node: ast.Name) -> None:
        self._judge(node, self.imported.get(node.id) or f"builtins.{node.id}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._dotted(node)
        if name is not None:
            self._judge(node, name)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else None
        if isinstance(node.func, ast.Name):
            called = self.imported.get(node.func.id, "").rpartition(".")[2]
        if node.args and self._runs_text(node.func, called or "", node.args[0]):
            self.sql.append(self._finding(node, f"SQL from text: {ast.unparse(node)[:80]}"))
        self.generic_visit(node)

    def _runs_text(self, func: ast.expr, called: str, argument: ast.expr) -> bool:
        receiver = ast.unparse(func.value) if isinstance(func, ast.Attribute) else ""
        raw = called in _TEXT_CALLS or (called in _CURSOR_CALLS and "cursor" in receiver)
        if raw:
            return not isinstance(argument, ast.Constant)
        return called in _CURSOR_CALLS and _made_of_text(argument)

    def _dotted(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Attribute):
            head = self._dotted(node.value)
            return f"{head}.{node.attr}" if head else None
        if isinstance(node, ast.Name):
            return self.imported.get(node.id)
        return None

    def _judge(self, node: ast.AST, name: str) -> None:
        if _is_one_of(name, _CODE_NAMES):
            self.code.append(self._finding(node, name))
        elif _is_one_of(name, _CLOCK_NAMES):
            self.clocks.append(self._finding(node, name))

    def _finding(self, node: ast.AST, what: str) -> Finding:
        return Finding(self.path, self.functions[-1], getattr(node, "lineno", 0), what)


def _is_one_of(name: str, names: tuple[str, ...]) -> bool:
    return any(name == n or name.startswith(f"{n}.") for n in names)


def _made_of_text(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return True
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"format", "join", "format_map"}
    )


def walked(source: str, path: str = "x.py") -> _Walker:
    """All findings of a source text."""
    walker = _Walker(path)
    walker.visit(ast.parse(source))
    return walker


def modules(packages: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(path, text) of each module."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hub() -> list[_Walker]:
    """Every module of the hub, walked."""
    return [walked(text, path) for path, text in modules(HUB)]


def test_time_and_chance_come_from_one_place(hub: list[_Walker]) -> None:
    found = [f for w in hub for f in w.clocks]
    allowed = [f for f in found if (f.path, f.what.partition(".")[0]) in CLOCKS]
    assert [f for f in found if f not in allowed] == []
    assert {(f.path, "time") for f in allowed} == set(CLOCKS), "an exception nobody needs"


def test_the_demos_stopwatch_is_only_that() -> None:
    path = "brokersync/demo.py"
    whats = {f.what for f in walked((ROOT / path).read_text(encoding="utf-8"), path).clocks}
    assert whats <= {"time", "time.perf_counter"}


def test_no_code_is_made_of_text(hub: list[_Walker]) -> None:
    assert [f for w in hub for f in w.code] == []


def test_no_sql_is_made_of_text(hub: list[_Walker]) -> None:
    found = [f for w in hub for f in w.sql]
    assert [f for f in found if (f.path, f.function) not in SQL_FROM_TEXT] == []
    assert {(f.path, f.function) for f in found} == set(SQL_FROM_TEXT), "an exception nobody needs"


def test_functions_fit_a_screen() -> None:
    long = [
        (path, node.name, (node.end_lineno or 0) - node.lineno + 1)
        for path, text in modules((*HUB, "simulator"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert long == []


def test_files_stay_short() -> None:
    lengths = {path: text.count("\n") for path, text in modules((*HUB, "simulator"))}
    assert {p: n for p, n in lengths.items() if n > MAX_FILE_LINES} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(1)",
        "from time import monotonic",
        "import time as t\nt.time_ns()",
        "from datetime import datetime, UTC\ndatetime.now(UTC)",
        "import datetime as dt\ndt.datetime.utcnow()",
        "import datetime\ndatetime.date.today()",
        "from uuid import uuid4",
        "import random",
        "import secrets",
        "import os\nos.urandom(8)",
        "import sqlalchemy as sa\nsa.func.now()",
        "from sqlalchemy import func\nfunc.random()",
        "import tenacity\ntenacity.wait_random(0, 2)",
    ],
)
def test_a_second_clock_is_found(source: str) -> None:
    assert walked(source).clocks


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime, time\ntime(9), datetime.fromtimestamp(0)",
        "def f(clock: Clock) -> int:\n    return clock.now_ms()",
        "def f(time, random):\n    return time.sleep(random)",
    ],
)
def test_a_time_of_day_is_no_clock(source: str) -> None:
    assert not walked(source).clocks


@pytest.mark.parametrize("source", ["eval('1')", "exec(x)", "import pickle\npickle.loads(b'')"])
def test_code_from_text_is_found(source: str) -> None:
    assert walked(source).code


@pytest.mark.parametrize(
    "call",
    [
        "connection.execute(f'SELECT {x}')",
        "connection.execute('SELECT ' + x)",
        "connection.execute('SELECT %s' % x)",
        "connection.execute('SELECT {}'.format(x))",
        "sa.text(f'SELECT {x}')",
        "sa.text(x)",
        "text(x)",
        "sa.literal_column(x)",
        "connection.exec_driver_sql(x)",
        "cursor.execute(x)",
        "cursor.executemany('INSERT ' + x, rows)",
    ],
)
def test_sql_from_text_is_found(call: str) -> None:
    assert walked(f"import sqlalchemy as sa\nfrom sqlalchemy import text\n{call}").sql


@pytest.mark.parametrize(
    "call",
    ["connection.execute(sa.select(t.c.x))", "sa.text('SELECT 1')", "cursor.execute('SELECT 1')"],
)
def test_sql_of_ours_is_fine(call: str) -> None:
    assert not walked(f"import sqlalchemy as sa\n{call}").sql
