"""A Pratt parser: tokens to a tree in which every node knows its range in the text."""

from __future__ import annotations

from fractions import Fraction

from mapping.rules import syntax as s
from mapping.rules.errors import RuleError, Source, Span, suggest
from mapping.rules.functions import FUNCTIONS, INSTEAD
from mapping.rules.lexer import Kind, Token, tokens
from mapping.rules.types import KEYWORDS

MAX_DEPTH = 32
# One level of the tree costs at most two calls of the parser.
_MAX_RECURSION = 2 * MAX_DEPTH

_OR, _AND, _NOT, _COMPARE, _ADD, _MULTIPLY, _SIGN = range(1, 8)
_BINDING = {
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(("=", "<>", "!=", "<", "<=", ">", ">=", "in", "between", "is"), _COMPARE),
    "+": _ADD,
    "-": _ADD,
    "*": _MULTIPLY,
    "/": _MULTIPLY,
}
_COMPARISONS = (s.Compare, s.Between, s.In, s.IsNull)


def parse(source: Source) -> s.Syntax:
    """The tree of a rule's text.

    Raises:
        RuleError: the text is not one expression of the language, or it is nested too deeply.
    """
    return _Parser(source).whole()


class _Parser:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._tokens = tokens(source)
        self._at = 0
        self._nested = 0
        # Ranges with brackets, by node: a parent's range must hold its children's brackets.
        self._outer: dict[int, Span] = {}

    def whole(self) -> s.Syntax:
        if self._peek().kind is Kind.END:
            raise self._source.error(self._peek().span, "the rule is empty")
        tree = self._expression(0)
        if self._peek().kind is not Kind.END:
            raise self._unexpected("the end of the rule or an operator is expected here")
        self._check_depth(tree)
        return tree

    # -- tokens -----------------------------------------------------------------------------------

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind is not Kind.END
        return token

    def _sees(self, text: str, ahead: int = 0) -> bool:
        token = self._tokens[min(self._at + ahead, len(self._tokens) - 1)]
        return token.kind in (Kind.KEYWORD, Kind.OPERATOR) and token.text == text

    def _accept(self, text: str) -> bool:
        found = self._sees(text)
        self._at += found
        return found

    def _expect(self, text: str, why: str) -> Token:
        if not self._sees(text):
            raise self._unexpected(f"'{text}' is expected {why}")
        return self._take()

    def _unexpected(self, message: str) -> RuleError:
        token = self._peek()
        if token.kind is Kind.END:
            return self._source.error(token.span, f"{message}, but the rule ends")
        hint = INSTEAD.get(token.text.lower(), "")
        if not hint and token.kind is Kind.NAME:
            hint = suggest(token.text, KEYWORDS)
        shown = self._source.slice(token.span)
        return self._source.error(token.span, f"{message}, not {shown}", hint)

    def _check_depth(self, tree: s.Syntax) -> None:
        level, depth = [tree], 0
        while level:
            depth += 1
            if depth > MAX_DEPTH:
                raise self._too_deep(level[0].span)
            level = [child for node in level for child in s.children(node)]

    def _too_deep(self, span: Span) -> RuleError:
        return self._source.error(
            span,
            f"the rule is nested more than {MAX_DEPTH} deep",
            "Give parts of it a name under definitions.",
        )

    # -- expressions ------------------------------------------------------------------------------

    def _expression(self, binding: int) -> s.Syntax:
        """An expression whose operators all bind tighter than ``binding``."""
        self._nested += 1
        if self._nested > _MAX_RECURSION:
            raise self._too_deep(self._peek().span)
        left, first = self._prefix(), True
        while True:
            operator = self._infix()
            power = _BINDING.get(operator, 0)
            if power <= binding:
                break
            if power == _COMPARE and not first and isinstance(left, _COMPARISONS):
                self._refuse_chain(operator)
            first = False
            left = self._follow(left, operator, power)
        self._nested -= 1
        return left

    def _infix(self) -> str:
        """The operator that comes next ("" if none), ``not in`` read as ``in``."""
        token = self._peek()
        if token.kind not in (Kind.KEYWORD, Kind.OPERATOR):
            return ""
        if token.text == "not" and (self._sees("in", 1) or self._sees("between", 1)):
            return self._tokens[self._at + 1].text
        return token.text

    def _refuse_chain(self, operator: str) -> None:
        raise self._source.error(
            self._peek().span,
            f"'{operator}' cannot follow another comparison",
            "Join two comparisons with 'and', or put brackets round the first.",
        )

    def _follow(self, left: s.Syntax, operator: str, power: int) -> s.Syntax:
        if operator in ("and", "or"):
            return self._logic(left, operator, power)
        negated = self._accept("not")
        self._take()
        match operator:
            case "in":
                return self._in(left, negated)
            case "between":
                low = self._expression(_COMPARE)
                self._expect("and", "between the two ends of 'between'")
                high = self._expression(_COMPARE)
                return s.Between(self._join(left, high), left, low, high, negated)
            case "is":
                negated = self._accept("not")
                if not self._sees("null"):
                    raise self._unexpected("'null' is expected after 'is'")
                span = Span(self._range(left).start, self._take().span.end)
                return s.IsNull(span, left, negated)
        right = self._expression(power)
        if power == _COMPARE:
            operator = "<>" if operator == "!=" else operator
            return s.Compare(self._join(left, right), operator, left, right)
        return s.Binary(self._join(left, right), operator, left, right)

    def _logic(self, left: s.Syntax, operator: str, power: int) -> s.Syntax:
        items = [left]
        while self._accept(operator):
            items.append(self._expression(power))
        return s.Logic(self._join(left, items[-1]), operator, tuple(items))

    def _in(self, left: s.Syntax, negated: bool) -> s.Syntax:
        self._expect("(", "after 'in'")
        items = [self._expression(0)]
        while self._accept(","):
            items.append(self._expression(0))
        close = self._expect(")", "at the end of the list")
        return s.In(Span(self._range(left).start, close.span.end), left, tuple(items), negated)

    def _prefix(self) -> s.Syntax:
        token = self._peek()
        match token.kind:
            case Kind.NUMBER:
                self._take()
                return s.Number(token.span, Fraction(token.text))
            case Kind.TEXT:
                self._take()
                return s.Quoted(token.span, token.text)
            case Kind.NAME:
                self._take()
                return self._call(token) if self._sees("(") else self._name(token)
        if token.text in ("true", "false"):
            self._take()
            return s.Truth(token.span, token.text == "true")
        if self._accept("("):
            inside = self._expression(0)
            close = self._expect(")", "to close the bracket")
            self._outer[id(inside)] = Span(token.span.start, close.span.end)
            return inside
        if self._accept("not"):
            operand = self._expression(_NOT)
            return s.Not(Span(token.span.start, self._range(operand).end), operand)
        if self._accept("-"):
            operand = self._expression(_SIGN)
            return s.Negative(Span(token.span.start, self._range(operand).end), operand)
        if self._accept("case"):
            return self._case(token)
        raise self._unexpected("a fact, a number, a text or a condition is expected here")

    def _name(self, token: Token) -> s.Syntax:
        return s.Name(token.span, token.text)

    def _call(self, name: Token) -> s.Syntax:
        if name.text not in FUNCTIONS:
            lower = name.text.lower()
            hint = f"Did you mean '{lower}'?" if lower in FUNCTIONS else INSTEAD.get(lower, "")
            raise self._source.error(
                name.span,
                f"'{self._source.slice(name.span)}' is not a function",
                hint or suggest(name.text, FUNCTIONS),
            )
        self._take()
        arguments: list[s.Syntax] = []
        if not self._sees(")"):
            arguments.append(self._expression(0))
            while self._accept(","):
                arguments.append(self._expression(0))
        close = self._expect(")", "to close the function")
        return s.Call(Span(name.span.start, close.span.end), name.text, name.span, tuple(arguments))

    def _case(self, case: Token) -> s.Syntax:
        branches: list[tuple[s.Syntax, s.Syntax]] = []
        self._expect("when", "after 'case'")
        while True:
            condition = self._expression(0)
            self._expect("then", "after the condition of 'when'")
            branches.append((condition, self._expression(0)))
            if not self._accept("when"):
                break
        otherwise = self._expression(0) if self._accept("else") else None
        end = self._expect("end", "to close 'case'")
        return s.Case(Span(case.span.start, end.span.end), tuple(branches), otherwise)

    # -- ranges -----------------------------------------------------------------------------------

    def _range(self, node: s.Syntax) -> Span:
        return self._outer.get(id(node), node.span)

    def _join(self, left: s.Syntax, right: s.Syntax) -> Span:
        return Span(self._range(left).start, self._range(right).end)
