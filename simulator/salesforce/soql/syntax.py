"""From the words of a SOQL statement to its tree (recursive descent)."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.salesforce.problems import NotBuiltError, SalesforceError
from simulator.salesforce.soql.tokens import Token, malformed, tokens
from simulator.salesforce.values import day, moment

_SIGNS = ("=", "!=", "<>", "<", ">", "<=", ">=")
_CLAUSES = frozenset(("WHERE", "ORDER", "LIMIT", "OFFSET", "ALL"))
_ABSENT = frozenset(("GROUP", "HAVING", "WITH", "FOR", "USING", "UPDATE", "TYPEOF"))
_MOST_OFFSET = 2000  # documented


@dataclass(frozen=True, slots=True)
class Path:
    """A field, or one of a parent: ``Account.Name``."""

    parts: tuple[str, ...]
    at: int

    @property
    def text(self) -> str:
        """As it was written."""
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Literal:
    """``kind``: text, number, boolean, null, date, datetime, range."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Compare:
    """``path sign values``; one value but for IN, NOT IN, INCLUDES and EXCLUDES."""

    path: Path
    sign: str
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    part: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """Conditions joined by ``AND`` or ``OR``."""

    word: str
    parts: tuple[Condition, ...]


Condition = Compare | Not | Both


@dataclass(frozen=True, slots=True)
class Order:
    """One key of the order."""

    path: Path
    descending: bool
    nulls_last: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A statement. ``fields`` is empty for ``COUNT()``."""

    statement: str
    fields: tuple[Path, ...]
    sobject: Token
    where: Condition | None
    order: tuple[Order, ...]
    limit: int | None
    offset: int


def parse(statement: str) -> Query:
    """A statement's tree.

    Raises:
        SalesforceError: MALFORMED_QUERY.
        NotBuiltError: SOQL this fake does not know.
    """
    return _Parser(statement).query()


class _Parser:
    def __init__(self, statement: str) -> None:
        self._statement = statement
        self._tokens = tokens(statement)
        self._place = 0
        self._alias = ""

    # Words

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next
        self._place += token.kind != "end"
        return token

    def _accept(self, word: str) -> bool:
        token = self._next
        if token.word == word or (token.kind == "sign" and token.text == word):
            self._place += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise self._unexpected(self._next)

    def _unexpected(self, token: Token) -> SalesforceError:
        if token.word in _ABSENT:
            raise NotBuiltError(f"SOQL with {token.word}")
        return malformed(self._statement, token.at, f"unexpected token: '{token.text}'")

    def _name(self) -> Token:
        token = self._take()
        if token.kind != "name" or not all(token.text.split(".")):
            raise self._unexpected(token)
        return token

    def _path(self) -> Path:
        token = self._name()
        if self._next.text == "(":
            raise NotBuiltError(f"SOQL function {token.text}()")
        return Path(tuple(token.text.split(".")), token.at)

    # Clauses

    def query(self) -> Query:
        self._expect("SELECT")
        fields = self._fields()
        self._expect("FROM")
        sobject = self._name()
        if "." in sobject.text:
            raise self._unexpected(sobject)
        self._read_alias()
        where = self._condition() if self._accept("WHERE") else None
        order = self._orders() if self._accept("ORDER") else ()
        limit = self._number() if self._accept("LIMIT") else None
        offset = self._number() if self._accept("OFFSET") else 0
        if self._next.kind != "end":
            raise self._unexpected(self._next)
        if offset > _MOST_OFFSET:
            raise SalesforceError(
                "NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {_MOST_OFFSET}"
            )
        query = Query(self._statement, fields, sobject, where, order, limit, offset)
        return _without_alias(query, self._alias) if self._alias else query

    def _fields(self) -> tuple[Path, ...]:
        if self._next.word == "COUNT" and self._tokens[self._place + 2].text == ")":
            self._take()
            self._expect("(")
            self._expect(")")
            return ()
        paths = [self._field()]
        while self._accept(","):
            paths.append(self._field())
        return tuple(paths)

    def _field(self) -> Path:
        if self._next.text == "(":
            raise NotBuiltError("SOQL subquery")
        if self._next.word == "TYPEOF":
            raise NotBuiltError("SOQL with TYPEOF")
        return self._path()

    def _read_alias(self) -> None:
        if self._next.text == ",":
            raise NotBuiltError("SOQL with several names behind FROM")
        self._accept("AS")
        if self._next.kind == "name" and self._next.word not in _CLAUSES | _ABSENT:
            self._alias = self._take().text.lower()

    def _orders(self) -> tuple[Order, ...]:
        self._expect("BY")
        orders = [self._order()]
        while self._accept(","):
            orders.append(self._order())
        return tuple(orders)

    def _order(self) -> Order:
        path = self._path()
        descending = self._accept("DESC")
        if not descending:
            self._accept("ASC")
        last = False
        if self._accept("NULLS"):
            last = self._accept("LAST")
            if not last:
                self._expect("FIRST")
        return Order(path, descending, last)

    def _number(self) -> int:
        token = self._take()
        if token.kind != "number" or not token.text.isdigit():
            raise self._unexpected(token)
        return int(token.text)

    # Conditions

    def _condition(self) -> Condition:
        parts = [self._single()]
        word = self._next.word
        while word in ("AND", "OR") and self._accept(word):
            parts.append(self._single())
        # Documented: the two are only mixed with parentheses. The other word ends the condition,
        # and is then unexpected.
        return parts[0] if len(parts) == 1 else Both(word, tuple(parts))

    def _single(self) -> Condition:
        if self._accept("NOT"):
            return Not(self._single())
        if self._accept("("):
            inner = self._condition()
            self._expect(")")
            return inner
        return self._compare()

    def _compare(self) -> Compare:
        path = self._path()
        token = self._take()
        if token.kind == "sign" and token.text in _SIGNS:
            return Compare(path, "!=" if token.text == "<>" else token.text, (self._literal(),))
        if token.word == "LIKE":
            return Compare(path, "LIKE", (self._literal(),))
        if token.word in ("IN", "INCLUDES", "EXCLUDES"):
            return Compare(path, token.word, self._list())
        if token.word == "NOT" and self._accept("IN"):
            return Compare(path, "NOT IN", self._list())
        raise self._unexpected(token)

    def _list(self) -> tuple[Literal, ...]:
        self._expect("(")
        if self._next.word == "SELECT":
            raise NotBuiltError("SOQL semi-join")
        values = [self._literal()]
        while self._accept(","):
            values.append(self._literal())
        self._expect(")")
        return tuple(values)

    def _literal(self) -> Literal:
        token = self._take()
        if token.kind == "text":
            return Literal("text", token.text)
        if token.kind == "number":
            return self._figures(token)
        word = token.word
        if word in ("TRUE", "FALSE"):
            return Literal("boolean", word.lower())
        if word == "NULL":
            return Literal("null", "")
        if word.partition(":")[0] in RANGES:
            return Literal("range", word)
        raise self._unexpected(token)

    def _figures(self, token: Token) -> Literal:
        for kind, found in (("date", day(token.text)), ("datetime", moment(token.text))):
            if found is not None:
                return Literal(kind, found)
        try:
            float(token.text)
        except ValueError:
            raise self._unexpected(token) from None
        return Literal("number", token.text)


RANGES = frozenset((
    "TODAY", "YESTERDAY", "TOMORROW", "LAST_N_DAYS", "NEXT_N_DAYS", "THIS_WEEK", "LAST_WEEK",
    "THIS_MONTH", "LAST_MONTH", "THIS_YEAR", "LAST_YEAR",
))  # fmt: skip
"""Words for days (documented: a choice of them)."""


def _without_alias(query: Query, alias: str) -> Query:
    def bare(path: Path) -> Path:
        if len(path.parts) > 1 and path.parts[0].lower() == alias:
            return Path(path.parts[1:], path.at)
        return path

    def inside(condition: Condition) -> Condition:
        match condition:
            case Compare(path, sign, values):
                return Compare(bare(path), sign, values)
            case Not(part):
                return Not(inside(part))
            case Both(word, parts):
                return Both(word, tuple(inside(part) for part in parts))

    return Query(
        query.statement,
        tuple(bare(path) for path in query.fields),
        query.sobject,
        inside(query.where) if query.where is not None else None,
        tuple(Order(bare(o.path), o.descending, o.nulls_last) for o in query.order),
        query.limit,
        query.offset,
    )
