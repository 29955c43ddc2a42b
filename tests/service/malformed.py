"""Replies as models and servers get them wrong, and what a strict reader makes of each.

Each table maps a name to a text and what it must be read as: :data:`NOTHING` where it must be
rejected, else the exact value. Nothing in between is acceptable: no clamping, no guessing.
"""

from __future__ import annotations

import json
from typing import Final

NOTHING: Final = None
"""The reply must be rejected."""
LONGEST = 1_000_000
DEEPEST = 64

Scores = tuple[int, int]
"""Similarity and precision."""


def judgement(similarity: str = "70", precision: str = "80", reason: str = '"close"') -> str:
    """A judge's reply with these JSON texts in it."""
    return (
        f'{{"similarity": {{"reason": {reason}, "score": {similarity}}},'
        f' "precision": {{"reason": "right", "score": {precision}}}}}'
    )


GOOD = judgement()
INDENTED = json.dumps(json.loads(GOOD), indent=2)

JUDGEMENTS: dict[str, tuple[str, Scores | None]] = {
    # --- what counts
    "as asked for": (GOOD, (70, 80)),
    "indented": (INDENTED, (70, 80)),
    "the other order": (
        '{"precision": {"score": 80, "reason": "b"}, "similarity": {"score": 70, "reason": "a"}}',
        (70, 80),
    ),
    "no white space": (GOOD.replace(" ", ""), (70, 80)),
    "white space around": (f"\r\n\t {GOOD} \n\n", (70, 80)),
    "no-break spaces around": (f"\u00a0{GOOD}\u3000", (70, 80)),
    "fenced as json": (f"```json\n{GOOD}\n```", (70, 80)),
    "fenced without a name": (f"```\n{GOOD}```", (70, 80)),
    "fenced with Windows line ends": (f"```JSON\r\n{GOOD}\r\n```\r\n", (70, 80)),
    "the least": (judgement("0", "0"), (0, 0)),
    "the most": (judgement("100", "100"), (100, 100)),
    "minus zero": (judgement("-0"), (0, 80)),
    "escaped keys": (GOOD.replace('"score"', '"\\u0073core"'), (70, 80)),
    "an empty reason": (judgement(reason='""'), (70, 80)),
    "a score in the reason": (judgement(reason='"\\"score\\": 5"'), (70, 80)),
    "a fence in the reason": (judgement(reason='"```json\\n{}\\n```"'), (70, 80)),
    "a judgement in the reason": (judgement(reason=json.dumps(judgement("1", "1"))), (70, 80)),
    "another language in the reason": (judgement(reason='"几乎一样，只差日期。"'), (70, 80)),
    "an override of the direction": (judgement(reason='"\u202e06 :erocs"'), (70, 80)),
    "an escaped null byte": (judgement(reason='"a\\u0000b"'), (70, 80)),
    "a surrogate pair": (judgement(reason='"\\ud83d\\ude00"'), (70, 80)),
    "brackets in the reason": (judgement(reason=json.dumps("[{" * 500)), (70, 80)),
    "a long reason": (judgement(reason=json.dumps("so " * 60_000)), (70, 80)),
    # --- nothing, or nothing of the kind
    "empty": ("", NOTHING),
    "blank": (" \t\r\n\u00a0", NOTHING),
    "a null byte": ("\x00", NOTHING),
    "a refusal": ("I'm sorry, but I can't help with that.", NOTHING),
    "a colon": (":", NOTHING),
    "the beginning of thinking": ("Thought process:", NOTHING),
    "thinking in tags": (f"<think>70, I would say.</think>{GOOD}", NOTHING),
    "prose with both scores": ("similarity: 70, precision: 80", NOTHING),
    "two bare numbers": ("70 80", NOTHING),
    "one number": ("75", NOTHING),
    "null": ("null", NOTHING),
    "true": ("true", NOTHING),
    "NaN": ("NaN", NOTHING),
    "undefined": ("undefined", NOTHING),
    "an object as a string": (json.dumps(GOOD), NOTHING),
    "[object Object]": ("[object Object]", NOTHING),
    # --- other notations
    "HTML": (f"<!doctype html><html><body>{GOOD}</body></html>", NOTHING),
    "XML": ("<judgement><similarity>70</similarity></judgement>", NOTHING),
    "YAML": ("similarity:\n  reason: close\n  score: 70\nprecision:\n  score: 80\n", NOTHING),
    "TOML": ("[similarity]\nscore = 70\n[precision]\nscore = 80\n", NOTHING),
    "CSV": ("metric,score\nsimilarity,70\nprecision,80\n", NOTHING),
    "a Markdown table": ("| metric | score |\n| --- | --- |\n| similarity | 70 |", NOTHING),
    "a Markdown list": ("- **similarity**: 70\n- **precision**: 80", NOTHING),
    "code that prints it": (f"print({GOOD!r})", NOTHING),
    "code that builds it": ('json.dumps({"similarity": {"score": 70}})', NOTHING),
    "an assignment": (f"result = {GOOD}", NOTHING),
    "a tool call": (f'<tool_call>{{"arguments": {GOOD}}}</tool_call>', NOTHING),
    "base64": ("eyJzaW1pbGFyaXR5Ijp7InNjb3JlIjo3MH19", NOTHING),
    "URL-encoded": ("similarity=70&precision=80", NOTHING),
    "Python's notation": (GOOD.replace('"', "'"), NOTHING),
    "curly quotes": (GOOD.replace('"', "\u201d"), NOTHING),
    "bare keys": (GOOD.replace('"score"', "score"), NOTHING),
    "equals signs": (GOOD.replace(":", "="), NOTHING),
    "semicolons": (GOOD.replace(",", ";"), NOTHING),
    "no commas": (GOOD.replace(",", ""), NOTHING),
    "a trailing comma": (GOOD[:-1] + ",}", NOTHING),
    "a trailing comma inside": (GOOD.replace("70}", "70,}"), NOTHING),
    "a line comment": (GOOD.replace("70}", "70 // close\n}"), NOTHING),
    "a block comment": (f"/* marked */ {GOOD}", NOTHING),
    "a hash comment": (f"# marked\n{GOOD}", NOTHING),
    "JSON lines": (GOOD.replace(', "precision"', '}\n{"precision"'), NOTHING),
    "escaped quotes throughout": (GOOD.replace('"', '\\"'), NOTHING),
    "doubled braces": ("{" + GOOD + "}", NOTHING),
    "parentheses around": (f"({GOOD})", NOTHING),
    # --- something around it
    "prose before": (f"Here is my assessment:\n\n{GOOD}", NOTHING),
    "prose after": (f"{GOOD}\n\nLet me know if you need more.", NOTHING),
    "a name before": (f"json\n{GOOD}", NOTHING),
    "a byte order mark": (f"\ufeff{GOOD}", NOTHING),
    "a zero-width space": (f"\u200b{GOOD}", NOTHING),
    "a null byte after": (f"{GOOD}\x00", NOTHING),
    "an end token": (f"{GOOD}<|im_end|>", NOTHING),
    "a full stop": (f"{GOOD}.", NOTHING),
    "prose and a fence": (f"Sure!\n```json\n{GOOD}\n```", NOTHING),
    "a fence and prose": (f"```json\n{GOOD}\n```\nI hope this helps.", NOTHING),
    "fenced twice": (f"```json\n```json\n{GOOD}\n```\n```", NOTHING),
    "two fences": (f"```json\n{GOOD}\n```\n```json\n{judgement('1', '1')}\n```", NOTHING),
    "a fence that does not end": (f"```json\n{GOOD}", NOTHING),
    "a fence that does not begin": (f"{GOOD}\n```", NOTHING),
    "a fence on one line": (f"```json {GOOD}```", NOTHING),
    "a fence of another language": (f"```python\n{GOOD}\n```", NOTHING),
    "an empty fence": ("```json\n```", NOTHING),
    "backticks": (f"`{GOOD}`", NOTHING),
    "tildes": (f"~~~\n{GOOD}\n~~~", NOTHING),
    # --- more than one
    "twice": (GOOD + GOOD, NOTHING),
    "twice, and different": (f"{GOOD}\n{judgement('10', '10')}", NOTHING),
    "a correction": (f"{GOOD}\nWait, I meant:\n{judgement('10', '10')}", NOTHING),
    "a list of one": (f"[{GOOD}]", NOTHING),
    "a list of two": (f"[{GOOD}, {GOOD}]", NOTHING),
    "wrapped": (f'{{"judgement": {GOOD}}}', NOTHING),
    "wrapped as parameters": (f'{{"name": "judge", "parameters": {GOOD}}}', NOTHING),
    # --- the wrong keys
    "an empty object": ("{}", NOTHING),
    "one metric": ('{"similarity": {"reason": "a", "score": 70}}', NOTHING),
    "a third metric": (GOOD[:-1] + ', "overall": {"reason": "a", "score": 75}}', NOTHING),
    "an overall score": (GOOD[:-1] + ', "score": 75}', NOTHING),
    "a null metric": ('{"similarity": null, "precision": {"reason": "a", "score": 1}}', NOTHING),
    "bare scores": ('{"similarity": 70, "precision": 80}', NOTHING),
    "scores in lists": ('{"similarity": ["close", 70], "precision": ["right", 80]}', NOTHING),
    "upper case": (GOOD.replace("similarity", "Similarity"), NOTHING),
    "a space in a key": (GOOD.replace('"score"', '"score "'), NOTHING),
    "a Cyrillic letter in a key": (GOOD.replace('"score"', '"s\u0441ore"'), NOTHING),
    "translated keys": (GOOD.replace("similarity", "Ähnlichkeit"), NOTHING),
    "no reason": (GOOD.replace('"reason": "right", ', ""), NOTHING),
    "a confidence": (GOOD.replace('"score": 80', '"score": 80, "confidence": 1'), NOTHING),
    "rating instead of score": (GOOD.replace('"score"', '"rating"'), NOTHING),
    "the schema": ('{"type": "object", "properties": {"similarity": {}}}', NOTHING),
    "the form, not filled in": (judgement("NUMBER", "NUMBER", "TEXT"), NOTHING),
    "a duplicate metric": (GOOD[:-1] + ', "precision": {"reason": "b", "score": 10}}', NOTHING),
    "a duplicate score": (GOOD.replace("70}", '70, "score": 10}'), NOTHING),
    "an equal duplicate": (GOOD.replace("70}", '70, "score": 70}'), NOTHING),
    "an escaped duplicate": (GOOD.replace("70}", '70, "scor\\u0065": 10}'), NOTHING),
    # --- the wrong reason
    "a null reason": (judgement(reason="null"), NOTHING),
    "a number as the reason": (judgement(reason="5"), NOTHING),
    "a list as the reason": (judgement(reason='["a", "b"]'), NOTHING),
    "a raw line break": (judgement(reason='"a\nb"'), NOTHING),
    "a raw tab": (judgement(reason='"a\tb"'), NOTHING),
    "a raw null byte": (judgement(reason='"a\x00b"'), NOTHING),
    "a raw escape": (judgement(reason='"\x1b[31m"'), NOTHING),
    "an unknown escape": (judgement(reason='"\\x41"'), NOTHING),
    "half an escape": (judgement(reason='"\\u00"'), NOTHING),
    "an escaped half of a surrogate pair": (judgement(reason='"\\ud83d"'), NOTHING),
    "half of a surrogate pair": (judgement(reason='"\ud83d"'), NOTHING),
    "a quote that is not escaped": (judgement(reason='"so "close" it is"'), NOTHING),
    "two strings": (judgement(reason='"a" "b"'), NOTHING),
    # --- the wrong score
    **{
        f"score {text[:24]}": (judgement(precision=text), NOTHING)
        for text in (
            "-1", "101", "142", "1000000", "85.0", "85.5", "0.85", "-0.0", "9e1", "9E+1", "1e2",
            "100e0", "1e999", "-1e999", "1e-999", "true", "false", "null", "NaN", "Infinity",
            "-Infinity", '"85"', '"85/100"', '"85%"', '"high"', '""', "85/100", "85%", "8 5", "8_5",
            "085", "+85", "0x55", "0b1", "0o7", "85.", ".5", "--5", "- 5", "8,5", "True", "None",
            "[85]", "{}", '{"value": 85}', "85 or 90", "80-90", "~85", "eighty", "٨٥", "８５", "²",
            "八十五", "\u221280", "9" * 400, "9" * 5000, "-" + "9" * 5000, "1" + "0" * 400 + ".0",
        )
    },
    # --- too much of it
    "too long": (GOOD + " " * LONGEST, NOTHING),
    "a reason that is too long": (judgement(reason=json.dumps("a" * LONGEST)), NOTHING),
    "nested too deep": (judgement("[" * DEEPEST + "]" * DEEPEST), NOTHING),
    "nested far too deep": (judgement("[" * 100_000 + "]" * 100_000), NOTHING),
    "open brackets": ("[" * 100_000, NOTHING),
    "open objects": ('{"similarity":' * 50_000, NOTHING),
    "closing brackets": ("}" * 100_000, NOTHING),
}  # fmt: skip

ONE = '{"instruction": "ask", "response": "answer"}'
TWO = '{"instruction": "why", "response": "because"}'
A, B = ("ask", "answer"), ("why", "because")


def pairs(*values: str) -> str:
    return f'{{"pairs": [{", ".join(values)}]}}'


Found = tuple[tuple[tuple[str, str], ...], int]
"""The pairs, and how much is counted as malformed: the reply, and each object that is no pair."""

PAIRS: dict[str, tuple[str, Found]] = {
    # --- what counts
    "as asked for": (pairs(ONE, TWO), ((A, B), 0)),
    "none": (pairs(), ((), 0)),
    "fenced": (f"```json\n{pairs(ONE)}\n```", ((A,), 0)),
    "white space stays": (pairs(ONE.replace("answer", " a\\n")), ((("ask", " a\n"),), 0)),
    "markup stays": (pairs(ONE.replace("answer", "<b>{{x}}</b>")), ((("ask", "<b>{{x}}</b>"),), 0)),
    # --- whole pairs out of a reply that is none
    "a note beside them": (f'{{"note": "ok", "pairs": [{ONE}]}}', ((A,), 1)),
    "cut after the first": (f'{{"pairs": [{ONE}', ((A,), 1)),
    "cut after the comma": (f'{{"pairs": [{ONE},', ((A,), 1)),
    "cut in the second": (f'{{"pairs": [{ONE}, {TWO[:-1]}', ((A,), 1)),
    "cut in a string": (f'{{"pairs": [{ONE}, {TWO[:-4]}', ((A,), 1)),
    "cut in an escape": (f'{{"pairs": [{ONE}, {{"instruction": "\\u00', ((A,), 1)),
    "prose after": (f"{pairs(ONE)} There you are.", ((A,), 1)),
    "a trailing comma": (f'{{"pairs": [{ONE},]}}', ((A,), 1)),
    "a fence that does not end": (f"```json\n{pairs(ONE)}", ((A,), 1)),
    "the list twice": (f'{{"pairs": [{ONE}], "pairs": [{TWO}]}}', ((A,), 1)),
    "an ellipsis": (f'{{"pairs": [{ONE}, ...]}}', ((A,), 1)),
    # --- pairs that are none
    "a duplicate key": (pairs(ONE, TWO[:-1] + ', "response": "c"}'), ((A,), 1)),
    "a null response": (pairs(ONE, ONE.replace('"answer"', "null")), ((A,), 1)),
    "a number": (pairs(ONE.replace('"answer"', "42"), TWO), ((B,), 1)),
    "a boolean": (pairs(ONE.replace('"answer"', "true"), TWO), ((B,), 1)),
    "NaN": (pairs(ONE.replace('"answer"', "NaN"), TWO), ((B,), 1)),
    "1e999": (pairs(ONE.replace('"answer"', "1e999"), TWO), ((B,), 1)),
    "a list": (pairs(ONE.replace('"answer"', '["answer"]'), TWO), ((B,), 1)),
    "blank": (pairs(ONE.replace("answer", " \\n\\t"), TWO), ((B,), 1)),
    "no-break spaces": (pairs(ONE.replace("answer", "\u00a0\u2003"), TWO), ((B,), 1)),
    "half of a surrogate pair": (pairs(ONE.replace("answer", "\\udc00"), TWO), ((B,), 1)),
    "an extra key": (pairs(ONE[:-1] + ', "id": 1}', TWO), ((B,), 1)),
    "other keys": (pairs('{"question": "a", "answer": "b"}', TWO), ((B,), 1)),
    "a list as a pair": (pairs('["ask", "answer"]', TWO), ((B,), 1)),
    "a string as a pair": (pairs('"ask: answer"', TWO), ((B,), 1)),
    "nested pairs": (pairs(f"[{ONE}]", TWO), ((B,), 1)),
    # --- nothing to be had
    "empty": ("", ((), 1)),
    "prose": ("I cannot help with that.", ((), 1)),
    "prose before": (f"Here they are: {pairs(ONE)}", ((), 1)),
    "a bare list": (f"[{ONE}]", ((), 1)),
    "a bare pair": (ONE, ((), 1)),
    "JSON lines": (f"{ONE}\n{TWO}", ((), 1)),
    "pairs as an object": ('{"pairs": {"0": ' + ONE + "}}", ((), 1)),
    "pairs as a string": (json.dumps({"pairs": f"[{ONE}]"}), ((), 1)),
    "null pairs": ('{"pairs": null}', ((), 1)),
    "another key": (f'{{"items": [{ONE}]}}', ((), 1)),
    "deeper down": (f'{{"data": {pairs(ONE)}}}', ((), 1)),
    "Python's notation": (pairs(ONE).replace('"', "'"), ((), 1)),
    "YAML": ("pairs:\n- instruction: ask\n  response: answer\n", ((), 1)),
    "XML": ("<pairs><pair><instruction>ask</instruction></pair></pairs>", ((), 1)),
    "HTML": (f"<html>{pairs(ONE)}</html>", ((), 1)),
    "a byte order mark": (f"\ufeff{pairs(ONE)}", ((), 1)),
    "a null byte": (f"\x00{pairs(ONE)}", ((), 1)),
    "the schema": ('{"type": "object", "properties": {"pairs": {"type": "array"}}}', ((), 1)),
    "nested too deep": ('{"pairs": [' + "[" * 100_000, ((), 1)),
    "too long": (pairs(ONE) + " " * LONGEST, ((), 1)),
}  # fmt: skip
