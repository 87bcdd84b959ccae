"""What admins may compute: a small language, checked whole at load, total while running.

Python's own parser reads it (so precedence holds no surprise), and a whitelist of nodes is all that is let through. No
attribute is ever touched: a dotted path is looked up in mappings only. Nothing can be raised while running: what makes
no sense is null, and null never orders (`null > 5` is false). Results and inputs are bounded.

    and or not == != < <= > >= in + - * / ( ) literals lists names dotted.paths
    len(x) lower(x) contains(x, y) coalesce(x, …) days_since(d) hours_until(d) is_open() now() matches(x, "pattern")
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

LONGEST = 500  # characters
DEEPEST = 40
LONGEST_RESULT = 10_000  # characters, items
LARGEST = 10**15

FUNCTIONS: Mapping[str, tuple[int, int]] = {
    "len": (1, 1),
    "lower": (1, 1),
    "contains": (2, 2),
    "coalesce": (1, 10),
    "days_since": (1, 1),
    "hours_until": (1, 1),
    "is_open": (0, 0),
    "now": (0, 0),
    "matches": (2, 2),
}
"""Name → fewest and most arguments: the closed list."""

_CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_COMPARE = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}


class ExpressionFault(ValueError):
    """`column` is from 1, in the expression's own text."""

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression. `names` are the dotted paths that it reads, with their columns from 1."""

    source: str
    names: tuple[tuple[str, int], ...] = ()
    tree: ast.expr = field(default_factory=lambda: ast.Constant(None), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression can see: slots, `customer`, `case`, and the time (UTC)."""

    values: Mapping[str, Any]
    now: datetime
    is_open: bool = True


def parse(source: str) -> Expression:
    """Check an expression. Raises ExpressionFault with the column of what is wrong."""
    if len(source) > LONGEST:
        raise ExpressionFault(f"an expression has at most {LONGEST} characters", LONGEST)
    if "\0" in source:
        raise ExpressionFault("a character that can't be read", source.index("\0") + 1)
    try:
        tree = ast.parse(source.strip() or " ", mode="eval").body
    except SyntaxError as error:
        raise ExpressionFault("this can't be read as an expression", min(error.offset or 1, LONGEST)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionFault("this can't be read as an expression") from error
    offset = len(source) - len(source.lstrip())
    names: list[tuple[str, int]] = []
    _check(tree, names, offset, 0)
    return Expression(source, tuple(names), tree)


def _check(node: ast.AST, names: list[tuple[str, int]], offset: int, depth: int) -> None:
    column = getattr(node, "col_offset", 0) + offset + 1
    if depth > DEEPEST:
        raise ExpressionFault("this is nested too deeply", column)

    def inner(*nodes: ast.AST) -> None:
        for one in nodes:
            _check(one, names, offset, depth + 1)

    match node:
        case ast.BoolOp():
            inner(*node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            inner(node.operand)
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div()):
            inner(node.left, node.right)
        case ast.Compare():
            for op in node.ops:
                if type(op) not in _COMPARE:
                    raise ExpressionFault('compare with == != < <= > >= or "in"', column)
            inner(node.left, *node.comparators)
        case ast.Constant():
            if not isinstance(node.value, str | int | float | bool | None) or _is_huge(node.value):
                raise ExpressionFault("only texts, numbers, true, false and null", column)
        case ast.List():
            inner(*node.elts)
        case ast.Name() | ast.Attribute():
            path = _path(node, column)
            if path not in _CONSTANTS:
                names.append((path, column))
        case ast.Call():
            _check_call(node, column)
            inner(*node.args)
        case _:
            raise ExpressionFault("this is not part of the language (see: and or not == < in + - * / and functions)", column)


def _check_call(node: ast.Call, column: int) -> None:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in FUNCTIONS:
        near = get_close_matches(name, FUNCTIONS, 1)
        hint = f'; did you mean "{near[0]}"?' if near else f"; there are {', '.join(FUNCTIONS)}"
        raise ExpressionFault(f'unknown function "{name}"{hint}', column)
    fewest, most = FUNCTIONS[name]
    if node.keywords or not fewest <= len(node.args) <= most:
        raise ExpressionFault(f"{name} takes {fewest if fewest == most else f'{fewest} to {most}'} value(s)", column)
    if name == "matches":
        pattern = node.args[1]
        if not isinstance(pattern, ast.Constant) or not isinstance(pattern.value, str):
            raise ExpressionFault("the pattern of matches is a text in quotes", column)
        if _compiled(pattern.value) is None:
            raise ExpressionFault("this pattern can't be read (RE2 syntax)", column)


def _path(node: ast.AST, column: int) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise ExpressionFault("dots follow names only", column)
    parts.append(node.id)
    if any(part.startswith("_") for part in parts):
        raise ExpressionFault("names don't begin with _", column)
    return ".".join(reversed(parts))


def _is_huge(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not -LARGEST <= value <= LARGEST


# ── running ────────────────────────────────────────────────────────────────────────────────────────────────────────
def evaluate(expression: Expression, scope: Scope) -> Any:
    """The value. Never raises: what makes no sense is None."""
    try:
        return _bounded(_value(expression.tree, scope))
    except (TypeError, ValueError, ArithmeticError, RecursionError, KeyError, AttributeError):
        return None


def is_true(value: Any) -> bool:
    return bool(value)


def look_up(path: str, values: Mapping[str, Any]) -> Any:
    """A dotted path through mappings; None where it leads nowhere."""
    found: Any = values
    for part in path.split("."):
        if not isinstance(found, Mapping) or part.startswith("_"):
            return None
        found = found.get(part)
    return found


def _bounded(value: Any) -> Any:
    if isinstance(value, str | list | tuple) and len(value) > LONGEST_RESULT:
        return None
    return None if isinstance(value, float) and value != value or _is_huge(value) else value  # noqa: PLR0124 - NaN


def _value(node: ast.AST, scope: Scope) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() | ast.Attribute():
            path = _path(node, 0)
            return _CONSTANTS[path] if path in _CONSTANTS else look_up(path, scope.values)
        case ast.List():
            return [_value(one, scope) for one in node.elts]
        case ast.BoolOp():
            return _both(node, scope)
        case ast.UnaryOp():
            inner = _value(node.operand, scope)
            if isinstance(node.op, ast.Not):
                return not inner
            return -inner if _is_number(inner) else None
        case ast.BinOp():
            return _arithmetic(node.op, _value(node.left, scope), _value(node.right, scope))
        case ast.Compare():
            return _chain(node, scope)
        case ast.Call():
            arguments = [_value(one, scope) for one in node.args]
            return _BUILT_IN[node.func.id](scope, *arguments)  # type: ignore[attr-defined]
    return None


def _both(node: ast.BoolOp, scope: Scope) -> Any:
    value: Any = None
    wanted = isinstance(node.op, ast.And)
    for one in node.values:
        value = _value(one, scope)
        if bool(value) is not wanted:
            return value
    return value


def _chain(node: ast.Compare, scope: Scope) -> bool:
    left = _value(node.left, scope)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = _value(right_node, scope)
        if not _compare(_COMPARE[type(op)], left, right):
            return False
        left = right
    return True


def _compare(op: str, left: Any, right: Any) -> bool:
    if op in {"==", "!="}:
        same = type(left) is type(right) or (_is_number(left) and _is_number(right))
        return (same and left == right) is (op == "==")
    if op in {"in", "not in"}:
        if isinstance(right, str):
            return (isinstance(left, str) and left in right) is (op == "in")
        held = isinstance(right, Sequence | Mapping) and any(_compare("==", left, one) for one in right)
        return held is (op == "in")
    if not ((_is_number(left) and _is_number(right)) or (type(left) is type(right) and isinstance(left, str | date))):
        return False  # null, and unlike things, never order
    ordered: Mapping[str, bool] = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}
    return ordered[op]


def _arithmetic(op: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(op, ast.Add) and isinstance(left, str) and isinstance(right, str):
        return left + right
    if not (_is_number(left) and _is_number(right)):
        return None
    match op:
        case ast.Add():
            return _bounded(left + right)
        case ast.Sub():
            return _bounded(left - right)
        case ast.Mult():
            return _bounded(left * right)
    return None if right == 0 else _bounded(left / right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_time(value: Any) -> datetime | None:
    """A moment from what a connector or a slot holds: a datetime, a date, or ISO 8601 text. UTC where nothing is said."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, str):
        try:
            return as_time(datetime.fromisoformat(value))
        except ValueError:
            return None
    return None


def _days_since(scope: Scope, value: Any) -> float | None:
    moment = as_time(value)
    return None if moment is None else (scope.now - moment).total_seconds() // 86_400


def _hours_until(scope: Scope, value: Any) -> float | None:
    moment = as_time(value)
    return None if moment is None else (moment - scope.now).total_seconds() / 3_600


def _contains(_scope: Scope, whole: Any, part: Any) -> bool:
    if isinstance(whole, str) and isinstance(part, str):
        return part.casefold() in whole.casefold()
    return _compare("in", part, whole)


def _matches(_scope: Scope, value: Any, pattern: Any) -> bool:
    compiled = _compiled(pattern) if isinstance(pattern, str) else None
    return compiled is not None and isinstance(value, str) and compiled.search(value) is not None


@lru_cache(maxsize=1_000)
def _compiled(pattern: str) -> Any:
    """RE2: linear in the customer's text, whatever the pattern. None where it can't be read."""
    import re2

    try:
        options = re2.Options()
        options.log_errors = False
        return re2.compile(pattern, options)
    except re2.error:
        return None


_BUILT_IN: Mapping[str, Callable[..., Any]] = {
    "len": lambda _scope, value: len(value) if isinstance(value, str | list | tuple | Mapping) else None,
    "lower": lambda _scope, value: value.lower() if isinstance(value, str) else None,
    "contains": _contains,
    "coalesce": lambda _scope, *values: next((one for one in values if one is not None), None),
    "days_since": _days_since,
    "hours_until": _hours_until,
    "is_open": lambda scope: scope.is_open,
    "now": lambda scope: scope.now,
    "matches": _matches,
}
