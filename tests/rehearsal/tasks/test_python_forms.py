"""Normal forms: what returns something else never has the same."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.rehearsal.tasks.python_forms import MOST_NODES, form_of
from llamaduo.rehearsal.tasks.python_terms import TooComplex


@dataclass(frozen=True)
class Sum:
    """An expression over ``x``, as text and as what it comes to."""

    text: str
    value: Callable[[int], int]


def leaf(value: int) -> Sum:
    return Sum(str(value), lambda _: value)


def grown(inner: st.SearchStrategy[Sum]) -> st.SearchStrategy[Sum]:
    return st.one_of(
        st.builds(
            lambda a, b: Sum(f"({a.text} + {b.text})", lambda x: a.value(x) + b.value(x)),
            inner,
            inner,
        ),
        st.builds(
            lambda a, b: Sum(f"({a.text} - {b.text})", lambda x: a.value(x) - b.value(x)),
            inner,
            inner,
        ),
        st.builds(
            lambda a, b: Sum(f"({a.text} * {b.text})", lambda x: a.value(x) * b.value(x)),
            inner,
            inner,
        ),
        st.builds(lambda a: Sum(f"(-{a.text})", lambda x: -a.value(x)), inner),
        st.builds(
            lambda a, b: Sum(f"min({a.text}, {b.text})", lambda x: min(a.value(x), b.value(x))),
            inner,
            inner,
        ),
        st.builds(
            lambda a, b, c, d: Sum(
                f"({a.text} if {c.text} > {d.text} else {b.text})",
                lambda x: a.value(x) if c.value(x) > d.value(x) else b.value(x),
            ),
            inner,
            inner,
            inner,
            inner,
        ),
        st.builds(
            lambda a, b: Sum(
                f"({a.text} if not {a.text} < {b.text} else {b.text})",
                lambda x: max(a.value(x), b.value(x)),
            ),
            inner,
            inner,
        ),
    )


SUMS = st.recursive(
    st.just(Sum("x", lambda x: x)) | st.sampled_from([1, 2]).map(leaf), grown, max_leaves=5
)


def form(source: str, *, numeric: bool = True) -> str:
    [function] = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    return form_of(function, numeric).text


def returning(expression: str) -> str:
    return f"def f(x):\n    return {expression}"


@given(st.lists(SUMS, min_size=2, max_size=30))
def test_what_has_the_same_form_comes_to_the_same(sums: list[Sum]) -> None:
    alike: dict[str, list[Sum]] = defaultdict(list)
    for one in sums:
        alike[form(returning(one.text))].append(one)
    for group in alike.values():
        for x in (-5, -1, 0, 1, 2, 7):
            assert len({one.value(x) for one in group}) == 1


@given(SUMS, SUMS)
def test_what_may_be_swapped_is_alike(one: Sum, other: Sum) -> None:
    for pattern in ("{} + {}", "{} * {}", "min({}, {})", "({}) == ({})"):
        there = pattern.format(one.text, other.text)
        back = pattern.format(other.text, one.text)
        assert form(returning(there)) == form(returning(back))


@given(SUMS, SUMS)
def test_a_result_may_be_named_first(one: Sum, other: Sum) -> None:
    named = f"def f(x):\n    y = {one.text}\n    z = {other.text}\n    return y - z"
    assert form(named) == form(returning(f"{one.text} - ({other.text})"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x - 1", "1 - x"),
        ("x / 2", "2 / x"),
        ("(x == 1) == 2", "x == (1 == 2)"),
        ("[n for n in x if n > 1]", "[n for n in x if n < 1]"),
        ("[n for n in x]", "(n for n in x)"),
        ("[n + 1 for n in [n * 2 for n in x]]", "[n * 2 for n in [n + 1 for n in x]]"),
        ("[n for n in x if n > 1 for n in x]", "[n for n in x if n > 1]"),
        ("sorted(x)", "sorted(x, reverse=True)"),
        ("x[:2]", "x[2:]"),
        ("x[:2]", "x[-2:]"),
        ("x.upper()", "x.lower()"),
        ("x or 1", "x and 1"),
        ("x and 1", "1 and x"),
        ("'a' + 'b' + x", "'b' + 'a' + x"),
        ("x + 'a'", "'a' + x"),
        ("x + [1]", "[1] + x"),
        ("f'{x}'", "f'{x!r}'"),
        ("f'{x}1'", "x + 1"),
        ("1", "'1'"),
        ("True", "'True'"),
        ("name", "'name:name'"),
        ("lambda: x", "x"),
        ("x if x else 1", "1 if x else x"),
        ("(sum := x)", "x"),
    ],
)
def test_what_is_not_the_same_has_another_form(one: str, other: str) -> None:
    assert form(returning(one)) != form(returning(other))


def test_the_order_of_texts_counts_where_the_exercise_is_about_texts() -> None:
    assert form("def f(x):\n    return x + x.upper()", numeric=False) != form(
        "def f(x):\n    return x.upper() + x", numeric=False
    )


@pytest.mark.parametrize(
    "lines",
    [
        ["x.sort()", "return sorted(x)"],
        ["print(x)", "return sorted(x)"],
        ["sorted = min", "return sorted(x)"],
        ["def sorted(y):", "    return y", "return sorted(x)"],
        ["x = [1]", "return sorted(x)"],
        ["for x in x:", "    pass", "return sorted(x)"],
        ["while x:", "    x = x[1:]", "return sorted(x)"],
        ["return None", "return sorted(x)"],
        ["if x:", "    return sorted(x)"],
        ["sorted(x)"],
    ],
)
def test_what_comes_before_the_result_counts(lines: list[str]) -> None:
    source = "\n".join(["def f(x):", *(f"    {line}" for line in lines)])
    assert form(source) != form(returning("sorted(x)"))


@pytest.mark.parametrize("expression", ["[w for w in x]", "sorted(x)"])
def test_a_list_put_into_a_text_is_a_text(expression: str) -> None:
    said = form(returning(f"f'{{{expression}}}'"), numeric=False)
    assert said != form(returning(expression), numeric=False)


def test_a_shape_leaves_constants_open() -> None:
    def shape(expression: str) -> str:
        [function] = ast.parse(returning(expression)).body
        assert isinstance(function, ast.FunctionDef)
        return form_of(function, numeric=True).shape

    assert shape("min(x * 3 + 7, 90)") == shape("min(1, 2 + 4 * x)")
    assert shape("x + 3") != shape("x - 3")
    assert shape("x[:2]") != shape("x[2:]")


def test_what_is_too_large_is_not_read() -> None:
    with pytest.raises(TooComplex):
        form(returning("+".join(["x"] * MOST_NODES)))
    with pytest.raises(TooComplex):
        form("def f(x):\n" + "    x = x + x\n" * 20 + "    return x")
    with pytest.raises(TooComplex):
        form(returning("1" + "0" * 16))
