"""Python functions in a normal form: two that have the same one return the same.

Told alike are other names of variables, a result that is named before it is returned, annotations
and docstrings, the order of what may be swapped, a loop that collects and a comprehension, ``if``
and a conditional expression, ``a < b`` and ``b > a``. What is not known keeps its own form, so
being unlike proves nothing; being alike does. What is too large to be the answer to a small
exercise is not read at all: the text of a model must not keep us busy.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from llamaduo.rehearsal.tasks.python_expressions import Loop, Scope, each_of, read, unknown
from llamaduo.rehearsal.tasks.python_terms import Term, TooComplex, choice, leaf, listed, made

MOST_NODES: Final = 400
"""Of one function's syntax tree."""
MOST_BRANCHES: Final = 6
"""Of one function: each ``if`` may double the work."""
MOST_LEVELS: Final = 40
"""Of nesting in one function."""


def form_of(function: ast.FunctionDef, numeric: bool, around: frozenset[str] = frozenset()) -> Term:
    """The normal form of what ``function`` returns. ``around`` are the names that the code around
    it binds: none of them stands for what Python calls so.

    Raises:
        TooComplex: it is larger than any answer to an exercise.
    """
    _check_size(function)
    inside = list(ast.walk(function))
    own = {n.id for n in inside if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    names = {name: leaf(f"name:{name}") for name in around | own}  # even where bound only later
    arguments = function.args.posonlyargs + function.args.args
    names |= {argument.arg: leaf(f"p{i}") for i, argument in enumerate(arguments)}
    form = _block(function.body, Scope(names, numeric))
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in inside):
        form = made("yields", form)  # it returns a generator, whatever stands after "return"
    return made("decorated", form) if function.decorator_list else form


def _check_size(function: ast.FunctionDef) -> None:
    level: list[ast.AST] = [function]
    nodes, branches, levels = 0, 0, 0
    while level:
        nodes, levels = nodes + len(level), levels + 1
        branches += sum(isinstance(node, ast.If) for node in level)
        if nodes > MOST_NODES or branches > MOST_BRANCHES or levels > MOST_LEVELS:
            raise TooComplex("the function is too large")
        level = [child for node in level for child in ast.iter_child_nodes(node)]


_NOTHING: Final = leaf("nothing")


def _block(statements: Sequence[ast.stmt], scope: Scope) -> Term:
    """What is returned in the end, by the statements that are left."""
    if not statements:
        return _NOTHING
    first, rest = statements[0], statements[1:]
    match first:
        case ast.Return(value=value):
            return read(value, scope) if value else _NOTHING
        case ast.If(test=test, body=body, orelse=other):
            one, another = _block([*body, *rest], scope), _block([*other, *rest], scope)
            return choice(read(test, scope), one, another)
    if isinstance(first, ast.Pass) or _is_remark(first):
        return _block(rest, scope)
    if bound := _assigned(first, scope) or _collected(first, scope):
        return _block(rest, scope.where(*bound))
    return made("then", unknown(first, scope), _block(rest, _forgetting(first, scope)))


def _is_remark(statement: ast.stmt) -> bool:
    """A docstring, or another text or number that does nothing."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _assigned(statement: ast.stmt, scope: Scope) -> tuple[str, Term] | None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, read(value, scope)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return name, read(value, scope)
        case ast.AugAssign(target=ast.Name(id=name) as target, op=operator, value=value):
            old = ast.Name(id=target.id, ctx=ast.Load())
            return name, read(ast.BinOp(left=old, op=operator, right=value), scope)
    return None


_EMPTY: Final = {"list": "list()", "sum": "0"}


def _collected(statement: ast.stmt, scope: Scope) -> tuple[str, Term] | None:
    """A variable that a loop fills with a list or a sum, and which."""
    match statement:
        case ast.For(
            target=ast.Name(id=item),
            iter=over,
            body=[ast.If(test=test, body=[inner], orelse=[])],
            orelse=[],
        ):
            loop = Loop(item, over, [test])
        case ast.For(target=ast.Name(id=item), iter=over, body=[inner], orelse=[]):
            loop = Loop(item, over, [])
        case _:
            return None
    if (adds := _adds(inner)) is None:
        return None
    name, value, into = adds
    start = scope.names.get(name)
    if start is None or start.text != _EMPTY[into]:
        return None
    each = each_of(loop, value, scope)
    return name, listed(each) if into == "list" else made("sum", each)


def _adds(statement: ast.stmt) -> tuple[str, ast.expr, str] | None:
    """The variable that a statement adds to, what it adds, and to what: a list or a sum."""
    match statement:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="append"),
                args=[value],
                keywords=[],
            )
        ):
            return name, value, "list"
        case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
            return name, value, "sum"
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.BinOp(left=ast.Name(id=old), op=ast.Add(), right=value),
        ) if name == old:
            return name, value, "sum"
    return None


def _forgetting(statement: ast.stmt, scope: Scope) -> Scope:
    """The scope after a statement that we do not follow: what it binds is known by name only."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            scope = scope.where(node.id, leaf(f"name:{node.id}"))
    return scope
