"""Coding: functions that a program composes, and grades by what code returns; it is never run."""

from __future__ import annotations

import ast
import random
import time
import warnings
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.rehearsal.tasks.coding import CODING
from llamaduo.rehearsal.tasks.function_phrases import NOUNS, STEPS
from llamaduo.rehearsal.tasks.functions import draw_one, solve, told_in
from llamaduo.rehearsal.tasks.known import Exercise
from llamaduo.tasks.code import parses

_CHANCE = random.Random(1)
DRAWN = [draw_one(_CHANCE) for _ in range(3_000)]

LIST = (
    "Write a function `check_sales(sales)` for the farm. It gets a list of numbers. Keep the sales"
    " above 30 and return the sum."
)
LIST_CODE = "def check_sales(sales):\n    return sum(n for n in sales if n > 30)"
TRIPLES = (
    "Implement `get_bids(bids)` for the zoo. Given several numbers. Multiply each by 3, then give"
    " back a list."
)
NUMBER = (
    "Please define `get_price(price)` for the gym. Price is a number. Multiply the price by 7,"
    " then cap it at 90."
)
TEXT = (
    "We need `fix_name(name)` in Python for the bank. It gets a text. Put the name in capitals."
    ' Append "-x".'
)


def code(signature: str, *lines: str) -> str:
    return "\n".join([f"def {signature}:", *(f"    {line}" for line in lines)])


def scores(prompt: str, response: str) -> list[int]:
    expected = solve(prompt)
    assert expected is not None
    chance = random.Random(2)
    return [CODING.grade(prompt, response, expected, chance).score for _ in range(20)]


def test_exercises_are_short_and_of_every_kind() -> None:
    lengths = [len(one.prompt.split()) for one in DRAWN]
    assert max(lengths) <= 35
    assert max(len(one.response) for one in DRAWN) <= 120
    told = [told for one in DRAWN if (told := told_in(one.prompt))]
    kinds = Counter(one.kind for one in told)
    assert set(kinds) == set(STEPS)
    assert max(kinds.values()) < 1.3 * min(kinds.values())
    steps = {step for one in told for step, _ in one.steps}
    assert steps == {step for groups in STEPS.values() for group in groups for step in group}


def test_the_right_code_is_one_function_that_parses() -> None:
    for one in DRAWN:
        [function] = ast.parse(one.response).body
        assert isinstance(function, ast.FunctionDef)
        assert parses(one.response, one.response)


def test_thousands_of_exercises_are_distinct() -> None:
    assert len({one.prompt for one in DRAWN}) >= 0.999 * len(DRAWN)
    assert len({one.response for one in DRAWN}) >= 0.9 * len(DRAWN)


def test_no_phrase_stands_for_two_steps() -> None:
    for groups in STEPS.values():
        phrases = [phrase for group in groups for step in group for phrase in step.phrases]
        assert len(set(phrases)) == len(phrases)


def test_no_name_in_the_code_is_a_parameter() -> None:
    nouns = {noun for kind in NOUNS.values() for noun in kind}
    assert not nouns & {"n", "w", "sum", "sorted", "min", "len"}


@pytest.mark.parametrize(
    "prompt",
    [
        LIST.replace("return the sum", "return the mean"),
        LIST.replace("`check_sales(sales)`", "check_sales(sales)"),
        LIST.replace("the farm.", "the farm"),
        LIST.replace("a list of numbers", "a dictionary"),
        LIST.replace("Keep the sales above 30 and r", "R") + " Really.",
        "Write a function `check_sales(sales)` for the farm.",
        "Write a function that adds two numbers.",
    ],
)
def test_what_is_no_exercise_has_no_answer(prompt: str) -> None:
    assert solve(prompt) is None
    assert not CODING.is_prompt(prompt)


@pytest.mark.parametrize(
    ("prompt", "response"),
    [
        (LIST, LIST_CODE),
        (LIST, f"```python\n{LIST_CODE}\n```"),
        (LIST, f"```\n{LIST_CODE}"),
        (LIST, code("check_sales(sales)", "return sum([x for x in sales if 30 < x])")),
        (
            LIST,
            code("check_sales(sales)", "kept = [s for s in sales if s > 30]", "return sum(kept)"),
        ),
        (
            LIST,
            code(
                "check_sales(sales: list[int]) -> int",
                '"""Add up what is above 30."""',
                "total = 0",
                "for sale in sales:",
                "    if not sale <= 30:",
                "        total += sale  # only these",
                "return total",
            ),
        ),
        (
            TRIPLES,
            code(
                "get_bids(bids)",
                "tripled = []",
                "for bid in bids:",
                "    tripled.append(3 * bid)",
                "return tripled",
            ),
        ),
        (TRIPLES, code("get_bids(bids)", "return list(3 * b for b in bids)")),
        (NUMBER, code("get_price(price)", "return min(90, 7 * price)")),
        (NUMBER, code("get_price(price)", "price *= 7", "return 90 if price > 90 else price")),
        (
            NUMBER,
            code(
                "get_price(price)",
                "price = price * 7",
                "if price > 90:",
                "    price = 90",
                "return price",
            ),
        ),
        (
            NUMBER,
            code(
                "get_price(price)",
                "if price * 7 <= 90:",
                "    return price * 7",
                "else:",
                "    return 90",
            ),
        ),
        (TEXT, code("fix_name(name)", 'return f"{name.upper()}-x"')),
        (TEXT, code("fix_name(name)", "loud = name.upper()", 'return loud + "-" + "x"')),
    ],
)
def test_code_that_returns_the_same_is_right(prompt: str, response: str) -> None:
    assert min(scores(prompt, response)) >= 94


@pytest.mark.parametrize(
    ("prompt", "response", "lowest", "highest"),
    [
        (LIST, f"Here is the code:\n```python\n{LIST_CODE}\n```\nIt adds them up.", 85, 92),
        (LIST, LIST_CODE + "\n\nprint(check_sales([1, 2, 3]))", 88, 96),
        (LIST, LIST_CODE + "\n\n" + "padding " * 500, 75, 81),
        (LIST, LIST_CODE.replace("sales", "xs").replace("check_xs", "check_sales"), 85, 92),
        (LIST, LIST_CODE.replace("check_sales", "foo"), 57, 63),
        (LIST, LIST_CODE.replace("30", "31"), 47, 53),
        (LIST, LIST_CODE.replace(">", "<"), 20, 45),
        (LIST, LIST_CODE.replace(">", ">="), 20, 45),
        (LIST, LIST_CODE.replace("sum", "sorted"), 20, 45),
        (LIST, LIST_CODE.replace("return ", "print(") + ")", 15, 45),
        (LIST, LIST_CODE.replace("return", "sum =") + "\n    return sum", 20, 45),
        (LIST, LIST_CODE + "\n    sum = 0", 20, 45),
        (LIST, LIST_CODE + "\n    yield 1", 20, 45),
        (LIST, "def sum(numbers):\n    return 0\n\n" + LIST_CODE, 20, 45),
        (LIST, "from statistics import mean as sum\n\n" + LIST_CODE, 20, 45),
        (LIST, LIST_CODE + "\n\nsales = [40]\nprint(check_sales(sales))", 85, 96),
        (LIST, LIST_CODE + "\n\ncheck_sales = None", 20, 30),
        (LIST, "@cached\n" + LIST_CODE, 20, 50),
        (LIST, LIST_CODE.replace("(sales):", "():"), 9, 30),
        (LIST, LIST_CODE.replace("(sales):", "(sales, *rest):"), 9, 30),
        (LIST, code("check_sales(sales)", "return sales"), 9, 15),
        (LIST, code("check_sales(sales)", "pass"), 9, 15),
        (LIST, code("check_sales(sales)", "return sum(n for n in"), 7, 13),
        (LIST, f"async {LIST_CODE}", 2, 13),
        (LIST, LIST, 2, 8),
        (LIST, "Take the sum of the sales above 30.", 2, 8),
        (NUMBER, code("get_price(price)", "return max(price * 7, 90)"), 20, 45),
        (NUMBER, code("get_price(price)", "return min(price, 90) * 7"), 20, 45),
        (TEXT, code("fix_name(name)", 'return "-x" + name.upper()'), 20, 45),
        (TEXT, code("fix_name(name)", 'return "-y" + name.upper()'), 20, 45),
        (TEXT, code("fix_name(name)", 'return name.upper() + "-X"'), 47, 53),
    ],
)
def test_grades(prompt: str, response: str, lowest: int, highest: int) -> None:
    found = scores(prompt, response)
    assert lowest <= min(found)
    assert max(found) <= highest


def test_a_copy_that_is_cut_off_only_counts_as_clutter() -> None:
    found = scores(LIST, f"{LIST_CODE}\n\n{LIST_CODE[:-9]}")
    assert min(found) >= 75


def test_naming_every_function_is_not_being_right() -> None:
    others = [one.response for one in DRAWN if (t := told_in(one.prompt)) and t.kind == "numbers"]
    every = [LIST_CODE, *(LIST_CODE[:24] + text.partition(":")[2] for text in others[:40])]
    for order in (every, every[::-1]):
        assert max(scores(LIST, "\n\n".join(order))) <= 30
    renamed = [LIST_CODE.replace("30", str(i)).replace("check", f"f{i}") for i in range(29, 60)]
    assert max(scores(LIST, "\n\n".join(renamed))) <= 60


@pytest.mark.parametrize(
    "response",
    [
        "(" * 1_000_000,
        "def f(x):\n    return " + "(" * 150 + "x" + ")" * 150,
        "def f(x):\n    return x" + " + x" * 1_900,
        "def f(x):\n    return x" + ".a" * 3_000,
        "def f(x):\n    return " + "not " * 1_900 + "x",
        "def f(x):\n    return " + "[" * 90 + "]" * 90,
        "def f(x):\n    return " + "9" * 7_000,
        "def f(x):\n    return 0x" + "f" * 7_000,
        "def f(x):\n" + "".join(f"    x = x + x{i}\n" for i in range(300)),
        "def f(x):\n" + "".join("    x = x + x\n" for _ in range(60)) + "    return x",
        "def f(x):\n" + "".join("    if x:\n        x = x + 1\n" for _ in range(60)),
        "def f(x):\n" + "".join(f"    if x > {i}:\n        x = x + {i}\n" for i in range(6)),
        "def f(x):\n" + "".join(" " * i + "if x:\n" for i in range(1, 90)),
        "def f(x):\n    return x\n" * 50_000,
        "def f(\n" * 100_000,
        "`" * 1_000_000,
        "```\n" * 250_000,
        " " * 1_000_000,
        "\n" * 1_000_000,
        "a" * 1_000_000,
        "\0" * 1_000,
        LIST_CODE + "\0",
        "\ud800def f(x): return '\ud800'",
        "def f(x):\n    return '\\d' is 1",
        "def f(x): return 1 is 1, 0xfor x in x",
    ],
    ids=lambda text: f"{text[:24]!r}",
)
def test_hostile_code_is_marked_low_and_quickly(response: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        begun = time.process_time()
        found = scores(LIST, response)
    assert max(found) <= 30
    assert (time.process_time() - begun) / len(found) < 0.5


@given(st.text(max_size=300))
def test_any_text_has_a_grade(text: str) -> None:
    for response in (text, f"```{text}```", f"def check_sales(sales):\n    return {text}"):
        assert 0 <= min(scores(LIST, response)) <= max(scores(LIST, response)) <= 100


@given(st.sampled_from(DRAWN), st.integers(0, 2**32))
def test_what_is_spoilt_is_code_with_the_same_signature(one: Exercise, seed: int) -> None:
    spoilt = CODING.spoil(one.prompt, one.response, random.Random(seed))
    assert spoilt != one.response
    assert spoilt.partition("\n")[0] == one.response.partition("\n")[0]
    assert parses(spoilt, one.response)
    assert max(scores(one.prompt, spoilt)) <= 53


@given(st.sampled_from(DRAWN), st.sampled_from(DRAWN))
def test_the_code_of_another_exercise_is_not_right(one: Exercise, other: Exercise) -> None:
    same = one.response == other.response
    assert (min(scores(one.prompt, other.response)) >= 94) is same
