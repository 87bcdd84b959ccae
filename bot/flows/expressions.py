"""Conditions that admins write: `order.status == 'shipped' and order.days_late <= 0`.

Own grammar, closed list of functions, checked at load with a column. There is no attribute access and no code: a dot
looks up a key in a mapping, and nothing else. Evaluation is total: a wrong type gives null, never an exception; null
never orders (`null > 5` is false); numbers, texts and lists stay small.

    or → and → not → == != < <= > >= in → + - → * / → -x → ( ) 'text' 12.5 true false null [list] name.path FUNC(..)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

MAX_LENGTH = 500  # characters
MAX_DEPTH = 25  # of parentheses, lists, `not` and minus signs within each other
MAX_TEXT = 10_000  # characters that a + of texts may make
MAX_NUMBER = 10**15  # in size; beyond it a float no longer tells neighbours apart

KEYWORDS = frozenset({"and", "or", "not", "in", "true", "false", "null"})
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")

ARITY: Mapping[str, tuple[int, int]] = {
    "len": (1, 1),
    "lower": (1, 1),
    "contains": (2, 2),
    "coalesce": (1, 8),
    "days_since": (1, 1),
    "hours_until": (1, 1),
    "is_open": (0, 0),
    "now": (0, 0),
    "matches": (2, 2),
}
"""The closed list of functions, and how many arguments each takes."""


class ExpressionFault(Exception):
    """`offset` counts characters of the expression from 0."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression can see while it runs: names, the time, and whether people are there."""

    names: Mapping[str, Any]
    now: datetime
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Tree:
    """One node: `op` and its operands. `value` is a literal, a name's path, or a compiled pattern."""

    op: str
    of: tuple[Tree, ...] = ()
    value: Any = None
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression. `names` are the dotted paths it asks for, each with its offset."""

    text: str
    tree: Tree
    names: tuple[tuple[str, int], ...] = ()

    def value(self, scope: Scope) -> Any:
        """Gives null, bool, number, text, list or mapping. Never raises."""
        return _run(self.tree, scope)

    def holds(self, scope: Scope) -> bool:
        return truth(_run(self.tree, scope))


def parse(text: str) -> Expression:
    """Raises ExpressionFault with the offset of what is wrong. Names are not checked here: see `Expression.names`."""
    if len(text) > MAX_LENGTH:
        raise ExpressionFault(f"the expression is {len(text)} characters long; at most {MAX_LENGTH} are allowed", 0)
    parser = _Parser(_tokens(text), len(text))
    tree = parser.whole()
    return Expression(text, tree, tuple(parser.names))


# ── reading ──


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # name | number | text | op
    value: Any
    offset: int


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char.isspace():
            at += 1
        elif char in "'\"":
            at = _text_token(text, at, found)
        elif char.isascii() and char.isdigit():
            at = _number_token(text, at, found)
        elif char.isalpha() or char == "_":
            at = _name_token(text, at, found)
        else:
            at = _operator_token(text, at, found)
    return found


def _text_token(text: str, at: int, found: list[_Token]) -> int:
    end = text.find(text[at], at + 1)
    if end < 0:
        raise ExpressionFault(f"the text that begins with {text[at]} has no end", at)
    found.append(_Token("text", text[at + 1 : end], at))
    return end + 1


def _number_token(text: str, at: int, found: list[_Token]) -> int:
    end = at
    while end < len(text) and text[end].isascii() and (text[end].isdigit() or text[end] == "."):
        end += 1
    raw = text[at:end]
    if raw.count(".") > 1 or raw.endswith(".") or len(raw) > 16:
        raise ExpressionFault(f'"{raw}" is not a number', at)
    found.append(_Token("number", float(raw) if "." in raw else int(raw), at))
    return end


def _name_token(text: str, at: int, found: list[_Token]) -> int:
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] in "_."):
        end += 1
    name = text[at:end]
    if any(not part or part.startswith("_") for part in name.split(".")):
        raise ExpressionFault(f'"{name}" is not a name: no part may be empty or begin with _', at)
    found.append(_Token("name", name, at))
    return end


def _operator_token(text: str, at: int, found: list[_Token]) -> int:
    for operator in (*_COMPARISONS, "+", "-", "*", "/", "(", ")", "[", "]", ","):
        if text.startswith(operator, at):
            found.append(_Token("op", operator, at))
            return at + len(operator)
    hint = "; use == to compare" if text[at] == "=" else "; use and, or, not" if text[at] in "&|!" else ""
    raise ExpressionFault(f'"{text[at]}" has no meaning here{hint}', at)


class _Parser:
    """Recursive descent. Depth is bounded, so that no expression exhausts the stack."""

    def __init__(self, tokens: Sequence[_Token], length: int) -> None:
        self.tokens = tokens
        self.at = 0
        self.length = length
        self.depth = 0
        self.names: list[tuple[str, int]] = []

    def whole(self) -> Tree:
        if not self.tokens:
            raise ExpressionFault("the expression is empty", 0)
        tree = self.either()
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            raise ExpressionFault(f'"{token.value}" is not expected here', token.offset)
        return tree

    def deeper(self, rule: Callable[[], Tree]) -> Tree:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionFault(f"more than {MAX_DEPTH} levels within each other", self.offset)
        tree = rule()
        self.depth -= 1
        return tree

    @property
    def offset(self) -> int:
        return self.tokens[self.at].offset if self.at < len(self.tokens) else self.length

    def taken(self, kind: str, *values: str) -> _Token | None:
        if self.at >= len(self.tokens):
            return None
        token = self.tokens[self.at]
        if token.kind != kind or token.value not in values:
            return None
        self.at += 1
        return token

    def expect(self, value: str) -> None:
        if not self.taken("op", value):
            raise ExpressionFault(f'"{value}" is missing', self.offset)

    def either(self) -> Tree:
        tree = self.both()
        while token := self.taken("name", "or"):
            tree = Tree("or", (tree, self.both()), offset=token.offset)
        return tree

    def both(self) -> Tree:
        tree = self.negated()
        while token := self.taken("name", "and"):
            tree = Tree("and", (tree, self.negated()), offset=token.offset)
        return tree

    def negated(self) -> Tree:
        if token := self.taken("name", "not"):
            return Tree("not", (self.deeper(self.negated),), offset=token.offset)
        return self.compared()

    def compared(self) -> Tree:
        tree = self.added()
        token = self.taken("op", *_COMPARISONS) or self.taken("name", "in")
        if token is None:
            return tree
        compared = Tree(token.value, (tree, self.added()), offset=token.offset)
        if again := self.taken("op", *_COMPARISONS):
            raise ExpressionFault("two comparisons in a row; write: a < b and b < c", again.offset)
        return compared

    def added(self) -> Tree:
        tree = self.multiplied()
        while token := self.taken("op", "+", "-"):
            tree = Tree(token.value, (tree, self.multiplied()), offset=token.offset)
        return tree

    def multiplied(self) -> Tree:
        tree = self.signed()
        while token := self.taken("op", "*", "/"):
            tree = Tree(token.value, (tree, self.signed()), offset=token.offset)
        return tree

    def signed(self) -> Tree:
        if token := self.taken("op", "-"):
            return Tree("minus", (self.deeper(self.signed),), offset=token.offset)
        return self.single()

    def single(self) -> Tree:
        if self.at >= len(self.tokens):
            raise ExpressionFault("something is missing at the end", self.length)
        token = self.tokens[self.at]
        self.at += 1
        if token.kind in {"text", "number"}:
            return Tree("literal", value=token.value, offset=token.offset)
        if token.kind == "name":
            return self.named(token)
        if token.value == "(":
            tree = self.deeper(self.either)
            self.expect(")")
            return tree
        if token.value == "[":
            return Tree("list", self.several("]"), offset=token.offset)
        raise ExpressionFault(f'"{token.value}" is not expected here', token.offset)

    def named(self, token: _Token) -> Tree:
        name = token.value
        if name in {"true", "false", "null"}:
            return Tree("literal", value={"true": True, "false": False, "null": None}[name], offset=token.offset)
        if name in KEYWORDS:
            raise ExpressionFault(f'"{name}" is not expected here', token.offset)
        if self.taken("op", "("):
            return self.called(name, token.offset)
        self.names.append((name, token.offset))
        return Tree("name", value=tuple(name.split(".")), offset=token.offset)

    def several(self, end: str) -> tuple[Tree, ...]:
        if self.taken("op", end):
            return ()
        items = [self.deeper(self.either)]
        while self.taken("op", ","):
            items.append(self.deeper(self.either))
        self.expect(end)
        return tuple(items)

    def called(self, name: str, offset: int) -> Tree:
        if name not in ARITY:
            raise ExpressionFault(f'there is no function "{name}"; known are {", ".join(sorted(ARITY))}', offset)
        arguments = self.several(")")
        fewest, most = ARITY[name]
        if not fewest <= len(arguments) <= most:
            wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise ExpressionFault(f"{name}() takes {wanted} value{'' if wanted == '1' else 's'}", offset)
        if name != "matches":
            return Tree(name, arguments, offset=offset)
        pattern = arguments[1]
        if pattern.op != "literal" or not isinstance(pattern.value, str):
            raise ExpressionFault("the pattern of matches() must be written out, in quotes", pattern.offset)
        try:
            compiled = compiled_pattern(pattern.value)
        except ValueError as error:
            raise ExpressionFault(str(error), pattern.offset) from None
        return Tree(name, arguments[:1], value=compiled, offset=offset)


LONGEST_PATTERN = 1000  # characters


@cache
def compiled_pattern(pattern: str) -> Any:
    """A regular expression of RE2, which takes linear time. Raises ValueError with RE2's reason."""
    import re2

    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a pattern has at most {LONGEST_PATTERN} characters, this one {len(pattern)}")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20  # bytes; a pattern that needs more is refused
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not a regular expression that RE2 knows: {reason}") from None


# ── running ──


def truth(value: Any) -> bool:
    """null, false, 0 and whatever is empty are false."""
    return bool(value)


def _run(tree: Tree, scope: Scope) -> Any:
    if tree.op == "literal":
        return tree.value
    if tree.op == "name":
        return look_up(scope.names, tree.value)
    if tree.op == "and":
        return truth(_run(tree.of[0], scope)) and truth(_run(tree.of[1], scope))
    if tree.op == "or":
        return truth(_run(tree.of[0], scope)) or truth(_run(tree.of[1], scope))
    values = [_run(operand, scope) for operand in tree.of]
    if tree.op == "matches":
        return isinstance(values[0], str) and tree.value.search(values[0][:MAX_TEXT]) is not None
    return _OPERATIONS[tree.op](scope, *values)


def look_up(names: Mapping[str, Any], path: Sequence[str]) -> Any:
    """What stands at a dotted path, through mappings only; null where there is nothing."""
    found: Any = names
    for part in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if _is_number(left) and _is_number(right):
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    def operation(_: Scope, left: Any, right: Any) -> bool:
        comparable = (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))
        return comparable and compare(left, right)

    return operation


def _sum(_: Scope, left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        return left + right if len(left) + len(right) <= MAX_TEXT else None
    return _number(left, right, lambda a, b: a + b)


def _number(left: Any, right: Any, compute: Callable[[Any, Any], Any]) -> Any:
    if not _is_number(left) or not _is_number(right):
        return None
    try:
        result = compute(left, right)
    except (ArithmeticError, ValueError):
        return None
    return result if abs(result) <= MAX_NUMBER else None  # nor infinity, nor NaN; a whole number may be beyond floats


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda _, left, right: _number(left, right, compute)


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, str):
        return isinstance(part, str) and part.casefold() in whole.casefold()
    return isinstance(whole, list | tuple) and any(_equal(item, part) for item in whole)


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _days_since(scope: Scope, value: Any) -> float | None:
    """Whole days since an ISO 8601 day or moment; negative for one to come."""
    at = _moment(value)
    return None if at is None else math.floor((scope.now - at).total_seconds() / 86_400)


def _hours_until(scope: Scope, value: Any) -> float | None:
    at = _moment(value)
    return None if at is None else (at - scope.now).total_seconds() / 3600


_OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "not": lambda _, value: not truth(value),
    "minus": lambda _, value: _number(0, value, lambda a, b: a - b),
    "==": lambda _, left, right: _equal(left, right),
    "!=": lambda _, left, right: not _equal(left, right),
    "<": _ordered(lambda a, b: a < b),
    "<=": _ordered(lambda a, b: a <= b),
    ">": _ordered(lambda a, b: a > b),
    ">=": _ordered(lambda a, b: a >= b),
    "in": lambda _, part, whole: _contains(whole, part),
    "+": _sum,
    "-": _arithmetic(lambda a, b: a - b),
    "*": _arithmetic(lambda a, b: a * b),
    "/": _arithmetic(lambda a, b: a / b),
    "list": lambda _, *items: list(items),
    "len": lambda _, value: len(value) if isinstance(value, str | list | tuple | Mapping) else None,
    "lower": lambda _, value: value.casefold() if isinstance(value, str) else None,
    "contains": lambda _, whole, part: _contains(whole, part),
    "coalesce": lambda _, *values: next((value for value in values if value is not None), None),
    "days_since": _days_since,
    "hours_until": _hours_until,
    "is_open": lambda scope: scope.is_open,
    "now": lambda scope: scope.now.isoformat(),
}
