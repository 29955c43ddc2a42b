"""Judges whose scores are no evidence: each kind told apart, and said in one sentence.

``unfit`` is a strong word, because nothing can pass by an unfit judge and the stage fails. So it
takes more than bad luck: where chance can mimic a bad judge, the test says how often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import exp, lgamma, log
from statistics import fmean
from typing import Final

import numpy as np

from llamaduo.evaluation.agreement import ranks
from llamaduo.evaluation.controls import RIGHT, WRONG
from llamaduo.records import METRICS, JudgeFinding, Judgement, Judgements, Metric

FALSE_ALARM: Final = 1e-4
"""How often a sound judge is said to have changed its scale, at most."""
_SMALL_SCALE = 10
"""The highest score of a judge that marks from 0 to 10, 1 to 5 or 0 to 1."""
_ENOUGH = 3
"""Controls of a kind from which on a judge can be called blind; fewer may be bad luck."""
_GAP = 10.0
"""Points by which right controls must be above wrong ones, in one metric at least."""
_SHIFT = 20.0
"""Points: a level that moves by less may be drift, but is no other scale."""
_WORTH_SAYING = 0.02
_HALF = 0.5
_ANOTHER = "use another judge (judging.judges)"


@dataclass(frozen=True, slots=True)
class _Block:
    """Judgements of one prompt that were asked for one after the other: all their marks."""

    marks: tuple[int, ...]

    @property
    def mean(self) -> float:
        return sum(self.marks) / len(self.marks)

    @property
    def is_small(self) -> bool:
        return max(self.marks) <= _SMALL_SCALE


def suspicions(
    judge: str, judgements: Judgements, controls: Sequence[Judgement] = ()
) -> tuple[JudgeFinding, ...]:
    """What is wrong with ``judge``, by its judgements in the order of asking, of which the
    prompts' part must be exchangeable, and by those of control responses.

    Judgements of other judges are passed over. Found are refusals, prose, one score for
    everything, right and wrong controls that get the same, a scale that changes, and replies of
    several models. Without controls nothing tells a perfect model from a judge that gives 100 to
    anything: then that is said, and the judge is not unfit.
    """
    own = [one for one in judgements.scored if one.judge == judge]
    checks = [one for one in controls if one.judge == judge]
    worthless = _constant(judge, own, checks) or _small_from_the_start(judge, checks)
    return (
        *_unanswered(judge, own, judgements),
        *(worthless or (*_blind(judge, checks), *_scale(judge, own, checks))),
        *_snapshots(judge, own),
    )


# --- replies that do not count ------------------------------------------------------------


def _unanswered(
    judge: str, own: Sequence[Judgement], judgements: Judgements
) -> Iterator[JudgeFinding]:
    lost = Counter(one.kind for one in judgements.unscored if one.judge == judge)
    asked = len(own) + lost.total()
    unfit = bool(asked) and lost.total() >= _HALF * asked
    if lost["refused"] > _WORTH_SAYING * asked:
        yield JudgeFinding(
            "refusals",
            f"{judge} refused {_of(lost['refused'], asked)} judgements: read why with"
            f" `llamaduo show calls --stage judge`, or {_ANOTHER}.",
            unfit,
        )
    if lost["malformed"] > _WORTH_SAYING * asked:
        yield JudgeFinding(
            "prose",
            f"{judge} never kept to the form in {_of(lost['malformed'], asked)} judgements:"
            f" {_ANOTHER}, one that keeps to a JSON schema.",
            unfit,
        )
    elif (repaired := sum(one.misread > 0 for one in own)) > 5 * _WORTH_SAYING * asked:
        yield JudgeFinding(
            "prose",
            f"{judge} had to be asked again for {_of(repaired, asked)} judgements, because its"
            " reply was of the wrong form: each costs more than one call; try service setting"
            " structured: native, or a judge that keeps to a JSON schema.",
            False,
        )


# --- judges that do not look --------------------------------------------------------------


def _constant(
    judge: str, own: Sequence[Judgement], controls: Sequence[Judgement]
) -> tuple[JudgeFinding, ...]:
    """One score for everything: a perfect model, or a judge that does not look. Wrong responses
    that get the same tell. Neither similarity nor precision may be so: a pass may rest on one."""
    wrong = [one for one in controls if one.response_id.startswith(WRONG)]
    single = _single_scores([*own, *controls])
    if wrong and any(metric in single for metric in METRICS):
        return (
            JudgeFinding(
                "constant",
                f"{judge} gives every response {_in_words(single, wrong)}, wrong control responses"
                f" too ({len(wrong)} of {len(wrong)}): its scores say nothing; {_ANOTHER}.",
                True,
            ),
        )
    single = _single_scores(own)
    several = not own or len(single) < len(own[0].marks)
    if controls or several or len({one.pair_id for one in own}) < _ENOUGH:
        return ()
    return (
        JudgeFinding(
            "constant",
            f"{judge} gives all {len(own)} judgements {_in_words(single, own)}, and no control"
            " response was judged: set judging.controls to 4 to see whether it looks at all.",
            False,
        ),
    )


def _single_scores(judgements: Sequence[Judgement]) -> dict[Metric, int]:
    """The one score of each metric that has one."""
    found: dict[Metric, set[int]] = {}
    for one in judgements:
        for metric, mark in one.marks.items():
            found.setdefault(metric, set()).add(mark.score)
    return {metric: scores.pop() for metric, scores in found.items() if len(scores) == 1}


def _in_words(single: Mapping[Metric, int], judgements: Sequence[Judgement]) -> str:
    if single.keys() == judgements[0].marks.keys() and len(set(single.values())) == 1:
        return str(next(iter(single.values())))
    return " and ".join(f"{score} for {metric}" for metric, score in single.items())


def _blind(judge: str, controls: Sequence[Judgement]) -> Iterator[JudgeFinding]:
    right, wrong = _by_kind(controls)
    if min(len(right), len(wrong)) == 0:
        return
    means = {m: (_mean(right, m), _mean(wrong, m)) for m in METRICS if m in right[0].marks}
    if any(above - below >= _GAP for above, below in means.values()):
        return
    enough = min(_prompts(right), _prompts(wrong)) >= _ENOUGH
    figures = " and ".join(f"{a:.0f} against {b:.0f} for {m}" for m, (a, b) in means.items())
    yield JudgeFinding(
        "blind",
        f"{judge} cannot tell right control responses from wrong ones ({figures}):"
        f" {_ANOTHER if enough else 'set judging.controls to 4 to be sure of it'}.",
        enough,
    )


def _by_kind(controls: Sequence[Judgement]) -> tuple[list[Judgement], list[Judgement]]:
    right, wrong = (
        [one for one in controls if one.response_id.startswith(mark)] for mark in (RIGHT, WRONG)
    )
    return right, wrong


def _mean(judgements: Sequence[Judgement], metric: Metric) -> float:
    return fmean(one.marks[metric].score for one in judgements)


def _prompts(judgements: Iterable[Judgement]) -> int:
    return len({one.pair_id for one in judgements})


# --- scales -------------------------------------------------------------------------------


def _small_from_the_start(judge: str, controls: Sequence[Judgement]) -> tuple[JudgeFinding, ...]:
    """Right responses that get 10 at most, and more than the wrong ones: marks from 0 to 10."""
    right, wrong = _by_kind(controls)
    marks = [mark.score for one in right for mark in one.marks.values()]
    if not wrong or _prompts(right) < _ENOUGH or max(marks) > _SMALL_SCALE:
        return ()
    if not any(_mean(right, metric) > _mean(wrong, metric) for metric in METRICS):
        return ()
    return (
        JudgeFinding(
            "scale",
            f"{judge} gives right control responses at most {max(marks)} points: it does not mark"
            f" from 0 to 100; {_ANOTHER}.",
            True,
        ),
    )


def _scale(
    judge: str, own: Sequence[Judgement], controls: Sequence[Judgement]
) -> Iterator[JudgeFinding]:
    blocks = [
        _Block(tuple(mark.score for one in group for mark in one.marks.values()))
        for _, group in groupby(own, key=lambda one: one.pair_id)
    ]
    if (place := _small_run(blocks) or _shift(blocks)) is not None:
        yield _changed(judge, blocks, place)
    elif _is_small_beside(blocks, controls):
        yield JudgeFinding(
            "scale",
            f"{judge} gives no response more than {_SMALL_SCALE} points and most of them 6 to 9,"
            " though right control responses got more: see in judgements.jsonl whether it marks"
            " from 0 to 10 since then.",
            False,
        )


def _changed(judge: str, blocks: Sequence[_Block], place: int) -> JudgeFinding:
    before, after = (fmean(b.mean for b in part) for part in (blocks[:place], blocks[place:]))
    return JudgeFinding(
        "scale",
        f"{judge} changed its scale: its scores are {before:.0f} on average for the first {place}"
        f" prompts and {after:.0f} for the next {len(blocks) - place}; judge again with a judge"
        " of a fixed version (judging.judges).",
        True,
    )


def _is_small_beside(blocks: Sequence[_Block], controls: Sequence[Judgement]) -> bool:
    """Whether all scores look like marks from 0 to 10, but those of right controls do not. A weak
    model earns 0 and 5 on the whole scale, so that this is a hint and no proof."""
    right, _ = _by_kind(controls)
    if len(blocks) < _ENOUGH or not all(block.is_small for block in blocks):
        return False
    marks = [score for block in blocks for score in block.marks]
    usual = sum(6 <= score <= 9 for score in marks) > _HALF * len(marks)
    return usual and any(m.score > _SMALL_SCALE for one in right for m in one.marks.values())


def _small_run(blocks: Sequence[_Block]) -> int | None:
    """Where a run of prompts begins or ends, at an end of the sequence, that have only small
    scores, and too many of them for chance.

    If ``small`` of ``n`` prompts have only small scores, and their order is exchangeable, then
    the last (or first) k are all among them with probability C(small, k) ÷ C(n, k), exactly.
    A block with more marks is small less often, and with adaptive judging the later ones have
    more, so equally many of each are looked at; that a prompt comes back makes runs rarer.
    """
    least = min((len(block.marks) for block in blocks), default=0)
    blocks = [_Block(block.marks[:least]) for block in blocks]
    n, small = len(blocks), sum(block.is_small for block in blocks)
    last, first = _run(reversed(blocks)), _run(blocks)
    if small == n:
        return None
    run = max(last, first)
    if not run or _log_chance(small, n, run) > log(FALSE_ALARM / 4):
        return None
    return n - run if run == last else run


def _run(blocks: Iterable[_Block]) -> int:
    length = 0
    for block in blocks:
        if not block.is_small:
            break
        length += 1
    return length


def _log_chance(small: int, n: int, k: int) -> float:
    """The logarithm of C(small, k) ÷ C(n, k)."""
    return lgamma(small + 1) - lgamma(small - k + 1) - lgamma(n + 1) + lgamma(n - k + 1)


def _shift(blocks: Sequence[_Block]) -> int | None:
    """Where the level of the scores moves, by more than :data:`_SHIFT` points and chance.

    Pettitt's test (1979) on ranks of the prompts' means. Its bound 2·exp(−6 U² ÷ (n³ + n²)) is on
    the safe side in small samples and with ties.
    """
    n = len(blocks)
    if n < 2:
        return None
    means = np.array([block.mean for block in blocks])
    u = 2 * np.cumsum(ranks(means))[:-1] - np.arange(1, n) * (n + 1)
    place = int(np.abs(u).argmax()) + 1
    chance = 2 * exp(-6 * float(u[place - 1]) ** 2 / (n**3 + n**2))
    moved = abs(float(means[:place].mean() - means[place:].mean()))
    return place if chance <= FALSE_ALARM / 2 and moved >= _SHIFT else None


def _snapshots(judge: str, own: Sequence[Judgement]) -> Iterator[JudgeFinding]:
    counts = Counter(one.snapshot for one in own)
    if len(counts) < 2:
        return
    named = " and ".join(f"{name} ({count} judgements)" for name, count in counts.items())
    yield JudgeFinding(
        "snapshot",
        f"{judge} answered as {named}: what each of them scored may not compare; name one dated"
        " model as judge.",
        False,
    )


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.0%})"
