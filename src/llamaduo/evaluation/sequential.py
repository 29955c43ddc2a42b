"""Judging in rounds: how far each goes, how sure each look must be, and when to give up.

``benchmarks/judging/stopping.py`` measures what this saves and how often it is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llamaduo.records import Interval

FIRST = 25
"""Prompts of the first round: fewer make intervals that decide nothing."""

Round = tuple[int, int, int]
"""Prompts, responses to each (K), judgements of each response (M): all, not those added."""


def plan_rounds(prompts: int, k: int, m: int) -> tuple[Round, ...]:
    """Every look that may be taken, ending with all ``prompts``, ``k`` and ``m``.

    First more prompts, twice as many each time, because they narrow an interval most; then all
    responses to them; then a second judgement of each, from which it shows what all of them
    would bring, which is little most of the time; then those.
    """
    wide = [(some, 1, 1) for some in _doubled(min(FIRST, prompts), prompts)]
    deep = [(prompts, k, few) for few in (1, min(2, m), m)]
    return tuple(dict.fromkeys((*wide, *deep)))


def _doubled(first: int, last: int) -> Iterator[int]:
    while first < last:
        yield first
        first *= 2
    yield last


def looks_confidences(rounds: Sequence[Round], confidence: float = 0.95) -> tuple[float, ...]:
    """The confidence of each look's interval, such that all of them hold with ``confidence``.

    The errors allowed are in proportion to the prompts (a spending function, after Lan & DeMets
    1983): little for the first looks, which are cheap to go on from. That all hold follows from
    Šidák's inequality (1967): intervals around normal figures hold together at least as often as
    if the figures were independent, however they depend on each other. It is sharper than
    Bonferroni's, and needs no estimate of how alike the looks are.
    """
    total = sum(prompts for prompts, _, _ in rounds)
    return tuple(confidence ** (prompts / total) for prompts, _, _ in rounds)


def may_decide(value: float, bound: float, now: Interval, before: Interval, growth: float) -> bool:
    """Whether more judgements of the same prompts may leave ``bound`` out of the interval.

    A squared width is a + b / j with j judgements of each prompt: b is what judgements take
    away, a what only more prompts do. ``before`` and ``now`` are two looks at the same prompts
    with the same confidence, the later with ``growth`` (> 1) times the judgements, and so give
    a. Where an interval of that width around ``value`` still has the bound in it, they will not.
    """
    wide, narrow = (before.high - before.low) ** 2, (now.high - now.low) ** 2
    left = max(0.0, (growth * narrow - wide) / (growth - 1))
    towards = value - now.low if bound < value else now.high - value
    return (value - bound) ** 2 * narrow > towards**2 * left
