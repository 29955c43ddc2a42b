"""Python expressions in a normal form: see :mod:`llamaduo.rehearsal.tasks.python_forms`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from llamaduo.rehearsal.tasks.python_terms import (
    EMPTY_LIST,
    Items,
    Term,
    as_items,
    choice,
    constant,
    joined,
    leaf,
    listed,
    made,
    negative,
    of_items,
    opposite,
    ranked,
    swapped,
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What names stand for, whether the function is about numbers, and how many loops are open."""

    names: Mapping[str, Term]
    numeric: bool
    loops: int = 0

    def where(self, name: str, stands_for: Term) -> Scope:
        return replace(self, names={**self.names, name: stands_for})


@dataclass(frozen=True, slots=True)
class Loop:
    """What stands for each item, of what, and which items are passed over."""

    item: str
    over: ast.expr
    tests: Sequence[ast.expr]


_EATERS: Final = frozenset({"sum", "sorted", "max", "min", "any", "all", "tuple", "set"})
"""What takes a list and a generator alike."""
_COMPARED: Final[Mapping[type[ast.cmpop], tuple[str, bool]]] = {
    ast.Gt: ("above", False),
    ast.Lt: ("above", True),
    ast.GtE: ("from", False),
    ast.LtE: ("from", True),
}
"""The name of each comparison, and whether its sides are turned."""
_SAME_BOTH_WAYS: Final[Mapping[type[ast.cmpop], str]] = {ast.Eq: "equal", ast.NotEq: "unequal"}


def read(node: ast.expr, scope: Scope) -> Term:
    reader = _READERS.get(type(node))
    return reader(node, scope) if reader else unknown(node, scope)


def _name(node: ast.Name, scope: Scope) -> Term:
    return scope.names.get(node.id) or leaf(f"name:{node.id}")


def _unary(node: ast.UnaryOp, scope: Scope) -> Term:
    match node.op:
        case ast.USub():
            return negative(read(node.operand, scope))
        case ast.Not():
            return opposite(read(node.operand, scope))
    return unknown(node, scope)


def _bool(node: ast.BoolOp, scope: Scope) -> Term:
    return made(type(node.op).__name__, *(read(value, scope) for value in node.values))


def _conditional(node: ast.IfExp, scope: Scope) -> Term:
    return choice(*(read(part, scope) for part in (node.test, node.body, node.orelse)))


def _comprehension(node: ast.ListComp | ast.GeneratorExp, scope: Scope) -> Term:
    match node.generators:
        case [ast.comprehension(target=ast.Name(id=name), iter=over, ifs=tests, is_async=0)]:
            each = each_of(Loop(name, over, tests), node.elt, scope)
            return listed(each) if isinstance(node, ast.ListComp) else each
    return unknown(node, scope)


def _text(node: ast.JoinedStr, scope: Scope) -> Term:
    return joined(*(_formatted(value, scope) for value in node.values))


def _list(node: ast.List, scope: Scope) -> Term:
    return replace(unknown(node, scope), ordered=True) if node.elts else EMPTY_LIST


def _operation(node: ast.BinOp, scope: Scope) -> Term:
    return _binary(node.op, read(node.left, scope), read(node.right, scope), scope)


def _binary(operator: ast.operator, left: Term, right: Term, scope: Scope) -> Term:
    ordered = left.ordered or right.ordered or not scope.numeric
    match operator:
        case ast.Add():
            return joined(left, right) if ordered else swapped("add", left, right)
        case ast.Sub() if not ordered:
            return swapped("add", left, negative(right))
        case ast.Mult():
            return swapped("times", left, right)
    return made(type(operator).__name__, left, right)


def _formatted(value: ast.expr, scope: Scope) -> Term:
    match value:
        case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
            term = read(inner, scope)
            is_text = not (scope.numeric or term.items or term.head in _EATERS)
            return term if is_text else made("str", term, ordered=True)
    return read(value, scope)


def _compared(node: ast.Compare, scope: Scope) -> Term:
    if len(node.ops) != 1:
        return unknown(node, scope)
    left, right = read(node.left, scope), read(node.comparators[0], scope)
    if name := _SAME_BOTH_WAYS.get(type(node.ops[0])):
        return made(name, *ranked(left, right))
    name, turned = _COMPARED.get(type(node.ops[0]), (type(node.ops[0]).__name__, False))
    return made(name, right, left) if turned else made(name, left, right)


def each_of(loop: Loop, item: ast.expr, scope: Scope) -> Term:
    """``item`` for each that the loop lets pass; over what is such itself, both at once."""
    source = read(loop.over, scope)
    earlier = source.items or Items(leaf(f"v{scope.loops}"), source, ())
    inner = replace(scope, loops=scope.loops + 1).where(loop.item, earlier.item)
    conditions = (*earlier.conditions, *(read(test, inner) for test in loop.tests))
    return of_items(Items(read(item, inner), earlier.source, conditions))


def _call(call: ast.Call, scope: Scope) -> Term:
    if call.keywords:
        return unknown(call, scope)
    arguments = [read(argument, scope) for argument in call.args]
    match call.func:
        case ast.Attribute(value=value, attr="join") if len(arguments) == 1:
            return made("glue", read(value, scope), as_items(arguments[0]), ordered=True)
        case ast.Attribute(value=value, attr=method):
            return made(f".{method}", read(value, scope), *arguments)
        case ast.Name(id=name) if name not in scope.names:
            return _built_in(name, arguments)
    return made("call", read(call.func, scope), *arguments)


def _built_in(name: str, arguments: Sequence[Term]) -> Term:
    match name, arguments:
        case "len", [Term(items=Items() as items)]:
            return made("sum", of_items(replace(items, item=constant(1))))
        case "list", [Term(items=Items()) as items_term]:
            return listed(as_items(items_term))
        case "list", []:
            return EMPTY_LIST
        case (("min" | "max"), [_, _, *_]):
            return swapped(name, *arguments)
        case _, [only] if name in _EATERS:
            return made(name, as_items(only))
    return made(name, *arguments)


def unknown(node: ast.AST, scope: Scope) -> Term:
    """A node that has no other form: its name and its fields, those too that hold nothing."""
    fields = (value for _, value in ast.iter_fields(node))
    return made(type(node).__name__, *(_field(value, scope) for value in fields))


def _field(value: object, scope: Scope) -> Term:
    match value:
        case ast.expr():
            return read(value, scope)
        case ast.AST():
            return unknown(value, scope)
        case list():
            return made("", *(_field(one, scope) for one in value))
    return leaf(f"said:{value}")


_READERS: Final[Mapping[type[ast.expr], Callable[[Any, Scope], Term]]] = {
    ast.Constant: lambda node, _: constant(node.value),
    ast.Name: _name,
    ast.BinOp: _operation,
    ast.UnaryOp: _unary,
    ast.Compare: _compared,
    ast.BoolOp: _bool,
    ast.IfExp: _conditional,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.Call: _call,
    ast.JoinedStr: _text,
    ast.List: _list,
}
