"""Simulated judges, for the tests of what is said about judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from llamaduo.records import Author, Judgement, Judgements, Mark, Response, Unscored

Rng = np.random.Generator


def response(pair_id: str, index: int = 0, *, words: int = 3, author: Author = "local") -> Response:
    return Response(
        id=f"{author}-{pair_id}-{index}",
        pair_id=pair_id,
        index=index,
        author=author,
        text="w " * words,
        finish="stop",
        prompt_tokens=1,
        new_tokens=words,
        seconds=0.1,
    )


def judgement(
    of: Response, precision: int, similarity: int | None = None, *, judge: str = "j", index: int = 0
) -> Judgement:
    similarity = precision if similarity is None else similarity
    return Judgement(
        response_id=of.id,
        pair_id=of.pair_id,
        judge=judge,
        index=index,
        marks={"similarity": Mark(similarity, ""), "precision": Mark(precision, "")},
        snapshot="j-1",
        call="key",
    )


def unscored(one: Judgement, kind: str) -> Unscored:
    return Unscored(
        response_id=one.response_id,
        pair_id=one.pair_id,
        judge=one.judge,
        index=one.index,
        kind="refused" if kind == "refused" else "malformed",
        reason=kind,
    )


def control(kind: str, number: int, precision: int, *, judge: str = "j") -> Judgement:
    of = replace(response(f"c{number}"), id=f"{kind}:c{number}")
    return judgement(of, precision, judge=judge)


def controls(right: Sequence[int], wrong: Sequence[int], *, judge: str = "j") -> list[Judgement]:
    return [
        control(kind, number, score, judge=judge)
        for kind, scores in (("right", right), ("wrong", wrong))
        for number, score in enumerate(scores)
    ]


def whole(points: float) -> int:
    return max(0, min(100, round(points)))


def sound(
    rng: Rng, prompts: int, mean: float, *, responses: int = 2, repeats: int = 2
) -> Judgements:
    """Standard deviations of 20 between prompts, 10 between responses, 8 between repeats."""
    found = []
    for i in range(prompts):
        of_prompt = mean + rng.normal(0, 20)
        for k in range(responses):
            worth = of_prompt + rng.normal(0, 10)
            for m in range(repeats):
                marks = [whole(worth + rng.normal(0, 8)) for _ in range(2)]
                found.append(judgement(response(f"p{i}", k), *marks, index=m))
    return Judgements(tuple(found), ())


def sound_controls(rng: Rng, wrong: float, count: int = 4) -> list[Judgement]:
    """References, and responses that earn ``wrong`` on average."""
    found = []
    for number in range(count):
        ease = rng.normal(0, 20)
        for kind, mean in (("right", 95.0), ("wrong", wrong)):
            worth = mean + ease + rng.normal(0, 10)
            found.append(control(kind, number, whole(worth + rng.normal(0, 8))))
    return found


def remarked(one: Judgement, mark: Callable[[int], int]) -> Judgement:
    marks = {metric: Mark(mark(old.score), "") for metric, old in one.marks.items()}
    return replace(one, marks=marks)


def remarked_from(sound: Judgements, share: float, mark: Callable[[int], int]) -> Judgements:
    """``sound``, with other scores from that share of the judgements on."""
    start = int(share * len(sound.scored))
    late = [remarked(one, mark) for one in sound.scored[start:]]
    return Judgements((*sound.scored[:start], *late), ())
