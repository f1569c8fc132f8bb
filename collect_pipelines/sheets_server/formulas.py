"""Formulas, as far as a small spreadsheet needs them: arithmetic, comparison, `&`, references and a few functions.

A formula is computed when it is looked at; nothing is stored but its text. What is not known here shows `#NAME?`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from collect_pipelines.sheets_server.a1 import Area, parse_cells, split_title
from collect_pipelines.sheets_server.cells import Scalar
from collect_pipelines.sheets_server.number_formats import general

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)
    |(?P<text>"(?:[^"]|"")*")
    |(?P<name>(?:'(?:[^']|'')+'!|\w+!)?\$?[A-Za-z_][\w$.]*(?::\$?\w+\$?\d*)?)
    |(?P<error>\#REF!)
    |(?P<sign><>|<=|>=|[-+*/^&=<>(),%;:]))""",
    re.VERBOSE,
)
_MAX_DEPTH = 40
_LEVELS = (("=", "<>", "<", ">", "<=", ">="), ("&",), ("+", "-"), ("*", "/"), ("^",))


@dataclass(frozen=True, slots=True)
class Failure:
    """An error value, such as `#DIV/0!`, with the API's name of its kind."""

    code: str
    kind: str = "ERROR"


DIVISION = Failure("#DIV/0!", "DIVIDE_BY_ZERO")
NAME = Failure("#NAME?", "NAME")
REFERENCE = Failure("#REF!", "REF")
VALUE = Failure("#VALUE!", "VALUE")
SYNTAX = Failure("#ERROR!", "ERROR")

Value = Scalar | Failure
Lookup = Callable[[str | None, Area, int], Iterable[Value] | None]
"""(title or None for the formula's own sheet, area, depth) → values row by row, or None for an unknown sheet."""


class _Wrong(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


def evaluate(formula: str, lookup: Lookup, depth: int = 0) -> Value:
    """The value of a formula that begins with `=`."""
    if depth > _MAX_DEPTH:
        return REFERENCE
    try:
        parser = _Parser(list(_tokens(formula[1:])), lookup, depth)
        value = parser.expression(0)
        if parser.at < len(parser.tokens):
            return SYNTAX
    except _Wrong as wrong:
        return wrong.failure
    except (OverflowError, RecursionError):
        return Failure("#NUM!", "NUM")
    return _one(value)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match or not match.lastgroup:
            raise _Wrong(SYNTAX)
        yield match.lastgroup, match[match.lastgroup]
        at = match.end()


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], lookup: Lookup, depth: int) -> None:
        self.tokens = tokens
        self.at = 0
        self._lookup = lookup
        self._depth = depth

    def _peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def _take(self, sign: str) -> None:
        if self._peek() != sign:
            raise _Wrong(SYNTAX)
        self.at += 1

    def expression(self, level: int) -> Value | list[Value]:
        if level == len(_LEVELS):
            return self._unary()
        left = self.expression(level + 1)
        while self.at < len(self.tokens) and self.tokens[self.at][0] == "sign" and self._peek() in _LEVELS[level]:
            sign = self._peek()
            self.at += 1
            left = _apply(sign, _one(left), _one(self.expression(level + 1)))
        return left

    def _unary(self) -> Value | list[Value]:
        if self._peek() in ("-", "+"):
            sign = self._peek()
            self.at += 1
            value = _number(_one(self._unary()))
            return -value if sign == "-" else value
        value = self._primary()
        while self._peek() == "%":
            self.at += 1
            value = _number(_one(value)) / 100
        return value

    def _primary(self) -> Value | list[Value]:
        if self.at >= len(self.tokens):
            raise _Wrong(SYNTAX)
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return float(text)
        if kind == "text":
            return text[1:-1].replace('""', '"')
        if kind == "error":
            raise _Wrong(REFERENCE)
        if text == "(":
            value = self.expression(0)
            self._take(")")
            return value
        if kind != "name":
            raise _Wrong(SYNTAX)
        return self._call(text.upper()) if self._peek() == "(" else self._reference(text)

    def _call(self, name: str) -> Value:
        self._take("(")
        arguments: list[Value | list[Value]] = []
        while self._peek() != ")":
            arguments.append(self.expression(0))
            if self._peek() not in (",", ";"):
                break
            self.at += 1
        self._take(")")
        function = _FUNCTIONS.get(name)
        if function is None:
            raise _Wrong(NAME)
        try:
            return function(arguments)
        except IndexError:
            raise _Wrong(SYNTAX) from None

    def _reference(self, text: str) -> Value | list[Value]:
        if text.upper() in ("TRUE", "FALSE"):
            return text.upper() == "TRUE"
        title, cells = split_title(text)
        area = parse_cells(cells)
        if area is None:
            raise _Wrong(NAME)
        found = self._lookup(title, area, self._depth + 1)
        if found is None:
            raise _Wrong(REFERENCE)
        values = list(found)
        return values[0] if area.is_one_cell and values else values


def _one(value: Value | list[Value]) -> Value:
    if isinstance(value, list):
        if len(value) != 1:
            raise _Wrong(VALUE)
        return value[0]
    return value


def _number(value: Value) -> float:
    if isinstance(value, Failure):
        raise _Wrong(value)
    if value is None:
        return 0.0
    try:
        return float(value)
    except ValueError:
        raise _Wrong(VALUE) from None


def _text(value: Value) -> str:
    if isinstance(value, Failure):
        raise _Wrong(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    return general(value) if isinstance(value, int | float) else value


def _apply(sign: str, left: Value, right: Value) -> Value:
    if sign == "&":
        return _text(left) + _text(right)
    if sign in _LEVELS[0]:
        return _compare(sign, left, right)
    a, b = _number(left), _number(right)
    if sign == "/":
        if b == 0:
            raise _Wrong(DIVISION)
        return a / b
    if sign == "^":
        try:
            return math.pow(a, b)
        except ValueError:
            raise _Wrong(Failure("#NUM!", "NUM")) from None
    return {"+": a + b, "-": a - b, "*": a * b}[sign]


def _compare(sign: str, left: Value, right: Value) -> bool:
    for value in (left, right):
        if isinstance(value, Failure):
            raise _Wrong(value)
    a, b = _sortable(left), _sortable(right)
    if sign in ("=", "<>"):
        return (a == b) == (sign == "=")
    return {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[sign]


def _sortable(value: Value) -> tuple[int, float, str]:
    if isinstance(value, bool):
        return 2, float(value), ""
    if isinstance(value, str):
        return 1, 0.0, value.lower()
    return 0, _number(value), ""


def _flat(arguments: list[Value | list[Value]]) -> Iterator[Value]:
    for argument in arguments:
        for value in argument if isinstance(argument, list) else [argument]:
            if isinstance(value, Failure):
                raise _Wrong(value)
            yield value


def _numbers(arguments: list[Value | list[Value]]) -> list[float]:
    return [
        float(value) for value in _flat(arguments) if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _average(arguments: list[Value | list[Value]]) -> Value:
    numbers = _numbers(arguments)
    if not numbers:
        raise _Wrong(DIVISION)
    return sum(numbers) / len(numbers)


def _if(arguments: list[Value | list[Value]]) -> Value:
    if not 2 <= len(arguments) <= 3:
        raise _Wrong(SYNTAX)
    chosen = 1 if _number(_one(arguments[0])) else 2
    return _one(arguments[chosen]) if chosen < len(arguments) else False


def _round(arguments: list[Value | list[Value]]) -> Value:
    places = int(_number(_one(arguments[1]))) if len(arguments) > 1 else 0
    scaled = _number(_one(arguments[0])) * 10**places
    return math.copysign(math.floor(abs(scaled) + 0.5), scaled) / 10**places


_FUNCTIONS: dict[str, Callable[[list[Value | list[Value]]], Value]] = {
    "SUM": lambda a: math.fsum(_numbers(a)),
    "AVERAGE": _average,
    "MIN": lambda a: min(_numbers(a), default=0.0),
    "MAX": lambda a: max(_numbers(a), default=0.0),
    "COUNT": lambda a: len(_numbers(a)),
    "COUNTA": lambda a: sum(1 for value in _flat(a) if value is not None),
    "CONCATENATE": lambda a: "".join(_text(value) for value in _flat(a)),
    "LEN": lambda a: len(_text(_one(a[0]))),
    "UPPER": lambda a: _text(_one(a[0])).upper(),
    "LOWER": lambda a: _text(_one(a[0])).lower(),
    "TRIM": lambda a: " ".join(_text(_one(a[0])).split()),
    "ABS": lambda a: abs(_number(_one(a[0]))),
    "ROUND": _round,
    "IF": _if,
    "AND": lambda a: all(_number(value) for value in _flat(a)),
    "OR": lambda a: any(_number(value) for value in _flat(a)),
    "NOT": lambda a: not _number(_one(a[0])),
}
