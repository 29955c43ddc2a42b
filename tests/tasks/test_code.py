"""Code in responses: where it is, whether it parses, and that nothing of it is ever run."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.tasks.code import parses
from llamaduo.tasks.code_pieces import pieces

GOOD = "def double(x):\n    return 2 * x\n"
BAD = "def double(x:\n    return 2 * x\n"


def fenced(code: str, tag: str = "python") -> str:
    return f"Here it is:\n\n```{tag}\n{code}\n```\n\nIt doubles."


def languages(text: str) -> list[str]:
    return [piece.languages[0] for piece in pieces(text)]


# --- Python and JSON ----------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["python", "py", "Python", "", "python title=x.py", "{.python}"])
def test_fenced_code_parses_or_does_not(tag: str) -> None:
    assert parses(fenced(GOOD, tag)) is True
    assert parses(fenced(BAD + "    print(x)\nimport os\n", tag)) is False


def test_every_block_must_parse() -> None:
    assert parses(fenced(GOOD) + fenced("x = 1")) is True
    assert parses(fenced(GOOD) + fenced(BAD)) is False


def test_a_block_in_a_list_stands_in_from_the_edge() -> None:
    assert parses("1. Write\n   ```python\n   if x:\n       y = 1\n   ```\n2. Run") is True


def test_a_block_that_was_cut_off_goes_on_to_the_end() -> None:
    assert parses("```python\ndef double(x):\n    return (2 *") is False
    assert parses(f"```python\n{GOOD}") is True


def test_a_longer_fence_holds_a_shorter_one() -> None:
    assert parses('~~~~python\ntext = """\n~~~\n```\n"""\n~~~~') is True


def test_json_is_read_strictly() -> None:
    assert parses(fenced('{"a": [1, 2]}', "json")) is True
    assert parses(fenced("{'a': 1}", "json")) is False
    assert parses(fenced('{"a": 1, "a": 2}', "json")) is False


def test_output_and_other_languages_are_left_alone() -> None:
    assert parses(fenced("Traceback (", "text")) is None
    assert parses(fenced("main = putStrLn (", "haskell")) is None
    assert parses(fenced(GOOD) + fenced("$ pip (", "console")) is True
    assert parses(fenced("5 apples, 3 pears", "")) is None


# --- without a fence ----------------------------------------------------------------------


def test_all_of_a_text_may_be_code() -> None:
    assert parses(GOOD) is True
    assert parses("import os\n" + BAD) is False


def test_sentences_before_and_after_code_are_no_part_of_it() -> None:
    answer = f"Sure! This doubles a number:\n\n{GOOD}\nThe `double()` function does the work."
    assert parses(answer) is True
    assert parses(answer.replace("x):", "x:").replace("return", "import y\n    return")) is False


def test_sentences_among_code_make_it_impossible_to_tell() -> None:
    answer = f"{GOOD}\nThen call it with a number of your own, like this:\n\nprint(double(2))\n"
    assert parses(answer) is None


def test_sentences_in_a_docstring_do_not() -> None:
    assert (
        parses(GOOD.replace(":\n", ':\n    """\n    Give back twice the number.\n    """\n'))
        is True
    )


@pytest.mark.parametrize(
    "answer", ["", "Yes.", "I cannot write code, sorry.", fenced(""), "Here it is:\n\n```\n\n"]
)
def test_a_text_without_code_does_not_parse_where_code_was_wanted(answer: str) -> None:
    assert parses(answer, fenced(GOOD)) is False
    assert parses(answer, "A list is ordered.") is None
    assert parses(answer, fenced("main = do", "haskell")) is None


# --- hostile code -------------------------------------------------------------------------

LONG = 19_000
DEEP = [
    "-" * LONG + "1",
    "1 if 1 else " * (LONG // 12) + "1",
    "a" + ".b" * (LONG // 2),
    "a" + "()" * (LONG // 2),
    "1" + "+1" * (LONG // 2),
    "if x: pass\n" + "elif x: pass\n" * (LONG // 13),
    "lambda x=" * (LONG // 9) + "1",
]
BROKEN = [
    "(" * LONG,
    "{" * LONG,
    "f'{" * (LONG // 3),
    "".join(" " * depth + "if x:\n" for depth in range(120)),
    "9" * LONG,
    "x = '\0'",
    "x = '\ud800'",
    "import a" + ".b" * (LONG // 2) + "(",
]


@pytest.mark.parametrize("code", BROKEN)
def test_code_that_is_built_to_break_a_parser_does_not_parse(code: str) -> None:
    start = time.process_time()
    assert parses(f"```python\n{code}\n```") is False
    assert time.process_time() - start < 5


@pytest.mark.parametrize("code", DEEP)
def test_code_that_is_deep_parses_or_does_not_as_this_python_can(code: str) -> None:
    start = time.process_time()
    assert parses(f"```python\n{code}\n```") in {True, False}
    assert time.process_time() - start < 5


def test_warnings_about_the_code_are_its_own() -> None:
    assert parses(fenced(r'pattern = "\d+\w"')) is True
    assert parses(fenced("x is 1\nassert (x, 'always')")) is True


def test_code_beyond_all_measure_is_not_told() -> None:
    assert parses(fenced("x = 1\n" * 10_000)) is None


@pytest.mark.parametrize(
    "part", ["\n", " ", "if :", "let a", "<p ", "a{\n", "```\n", "`", "@a(", ": "]
)
def test_finding_code_takes_no_time(part: str) -> None:
    start = time.process_time()
    parses(part * (100_000 // len(part)), fenced(GOOD))
    assert time.process_time() - start < 3


@given(
    st.text(max_size=80), st.sampled_from(["{}", "```python\n{}\n```", "```\n{}", "def {}:\n {}"])
)
def test_any_text_has_an_answer(text: str, frame: str) -> None:
    assert parses(frame.replace("{}", text), fenced(GOOD)) in {True, False, None}


def test_code_is_neither_run_nor_compiled_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, trees = tmp_path / "ran", 0
    real: Callable[..., object] = builtins.compile

    def watched(*args: object, **options: object) -> object:
        nonlocal trees
        flags = options.get("flags", args[3] if len(args) > 3 else 0)
        assert isinstance(flags, int)
        assert flags & 0x400, "PyCF_ONLY_AST: no byte code"
        trees += 1
        return real(*args, **options)

    monkeypatch.setattr(builtins, "compile", watched)
    assert parses(fenced(f"open({str(mark)!r}, 'w').close()\n__import__('os').abort()")) is True
    assert trees == 1
    assert not mark.exists()


# --- other languages ----------------------------------------------------------------------

OTHERS = {
    "js": ("const f = (x) => x * 2;", "const f = (x => {"),
    "ts": ("const f = (x: number): number => x;", "const f: = number"),
    "tsx": ("const a = <b>{x as number}</b>;", "const a = <b>{x</b>;"),
    "java": ("class A { int f(int x) { return x; } }", "class A { int f(int x { } }"),
    "go": ("package a\n\nfunc f(x int) int { return x }", "func f(x int int {"),
    "rust": ("fn f(x: i32) -> i32 { x }", "fn f(x: i32 -> i32 { x"),
    "c": ("int f(int x) { return x; }", "int f(int x { return"),
    "c++": ("template <class T> T f(T x) { return x; }", "template <class T T f("),
    "sh": ("for x in a b; do echo $x; done", "for x in a b; do echo $x"),
    "html": ("<p class='a'>Hello</p>", "<p <b>Hello</"),
    "css": ("a:hover { color: red; }", "a { color: { red"),
}


@pytest.mark.parametrize("tag", OTHERS)
def test_grammars_tell_what_parses(tag: str) -> None:
    pytest.importorskip("tree_sitter", reason="llamaduo[code] is not installed")
    good, bad = OTHERS[tag]
    assert parses(fenced(good, tag)) is True
    assert parses(fenced(bad, tag)) is False


@pytest.mark.parametrize("tag", OTHERS)
def test_without_its_grammar_a_language_is_not_told(
    tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamaduo.tasks import code

    monkeypatch.setattr(code, "find_spec", lambda _: None)
    code._parser.cache_clear()
    code._told.cache_clear()
    try:
        assert parses(fenced(OTHERS[tag][1], tag)) is None
        assert parses(fenced(GOOD) + fenced(OTHERS[tag][1], tag)) is True
    finally:
        code._parser.cache_clear()
        code._told.cache_clear()


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("#include <stdio.h>\nint main() {\n  return 0;\n}", "c"),
        ("#include <iostream>\nint main() { std::cout << 1; }", "cpp"),
        ("public class A {\n  public static void main(String[] a) {}\n}", "java"),
        ('package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println(1)\n}', "go"),
        ('fn main() {\n    let mut x = 1;\n    println!("{}", x);\n}', "rust"),
        ("const a = 1;\nconsole.log(a);", "javascript"),
        ("#!/bin/bash\nif [ -f a ]; then\n  echo a\nfi", "bash"),
        ("<!DOCTYPE html>\n<html><body><p>A</p></body></html>", "html"),
        ('{"a": 1}', "json"),
        (GOOD, "python"),
    ],
)
def test_languages_are_told_by_their_signs(code: str, language: str) -> None:
    assert languages(f"```\n{code}\n```") == [language]
    assert languages(f"Sure, here you go:\n\n{code}") == [language]


@pytest.mark.parametrize(
    "code", ["using System;\nConsole.WriteLine(1);", "SELECT a FROM b;", "<?php\n$a = 1;"]
)
def test_languages_that_nobody_reads_are_known_as_such(code: str) -> None:
    assert languages(f"```\n{code}\n```") == []
    assert parses(f"```\n{code}\n```") is None
