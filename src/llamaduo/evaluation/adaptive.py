"""Judging in rounds: no further than the verdict needs.

Prompts are widened before responses, and responses before repeats, because that is the order in
which they narrow an interval. After every round the scores are looked at with intervals that hold
for all looks together (:func:`llamaduo.evaluation.sequential.looks_confidence`); judging stops
when they show every target met, or one of them missed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from llamaduo.evaluation.judge import Due
from llamaduo.evaluation.scores import CONFIDENCE
from llamaduo.evaluation.sequential import looks_confidences, may_decide, plan_rounds
from llamaduo.evaluation.settings import JudgingSettings, TargetSettings
from llamaduo.evaluation.standing import aims
from llamaduo.records import Judgements, JudgingEffort, Response, Scores, Standing

Ask = Callable[[Sequence[Due]], Awaitable[Judgements]]
"""Gets these judgements from every judge."""


@dataclass(frozen=True, slots=True)
class Looks:
    """The rounds of judging ``responses``: after each of them the scores may be looked at.

    ``rounds`` has (prompts, responses to each, judgements of each), each including the one
    before. With ``judging.stopping: fixed`` there is one, of everything.
    """

    responses: Sequence[Response]
    rounds: tuple[tuple[int, int, int], ...]

    def confidence(self, number: int) -> float:
        """What the intervals after round ``number``, from 0, must have for those of all looks to
        hold together in 95 of 100 runs."""
        return looks_confidences(self.rounds, CONFIDENCE)[number]

    def growth(self, number: int) -> float | None:
        """How many times the judgements of the round before round ``number`` has, where both are
        of the same prompts."""
        if not number or self.rounds[number - 1][0] != self.rounds[number][0]:
            return None
        (_, k, m), (_, before_k, before_m) = self.rounds[number], self.rounds[number - 1]
        return (k * m) / (before_k * before_m)

    def due(self, number: int) -> list[Due]:
        """The judgements that round ``number``, from 0, adds to those before it.

        Prompts come in the order of their pairs' ids, which are hashes: a random order, and the
        same one whenever a run is resumed. Judgements of one prompt stand together.
        """
        before = set(self._within(self.rounds[number - 1])) if number else set()
        within = self._within(self.rounds[number])
        return [place for place in within if place not in before]

    def _within(self, look: tuple[int, int, int]) -> list[Due]:
        width, k, m = look
        prompts = set(sorted({response.pair_id for response in self.responses})[:width])
        asked = sorted(self.responses, key=lambda response: (response.pair_id, response.index))
        return [
            (response, index)
            for response in asked
            if response.pair_id in prompts and response.index < k
            for index in range(m)
        ]


def plan_looks(responses: Sequence[Response], settings: JudgingSettings) -> Looks:
    """The rounds that ``judging.stopping`` asks for."""
    prompts = len({response.pair_id for response in responses})
    k = 1 + max((response.index for response in responses), default=0)
    whole = (prompts, k, settings.judgements_per_response)
    adaptive = settings.stopping == "adaptive" and prompts > 0
    return Looks(responses, plan_rounds(*whole) if adaptive else (whole,))


Look = Callable[[Judgements, int], Scores]
"""The scores after a round, by its number, with the intervals of that look."""


async def judge_in_rounds(
    looks: Looks, ask: Ask, look: Look, target: TargetSettings
) -> tuple[Judgements, int]:
    """Judge round by round until the target is met or missed, or more cannot tell, or all is
    judged: the judgements in the order of asking, and how many rounds it took."""
    found = Judgements((), ())
    before: Scores | None = None
    last = len(looks.rounds) - 1
    for number in range(last):
        later = await ask(looks.due(number))
        found = Judgements(found.scored + later.scored, found.unscored + later.unscored)
        scores = look(found, number)
        if standing(scores, target) != "undecided":
            return found, number + 1
        growth = looks.growth(number)
        if growth and before and not _may_decide(scores, before, growth, target):
            return found, number + 1
        before = scores
    later = await ask(looks.due(last))
    return Judgements(found.scored + later.scored, found.unscored + later.unscored), last + 1


def standing(scores: Scores, target: TargetSettings) -> Standing:
    """Where the intervals leave what is judged: met if all of it is, missed if any of it is.

    Metrics that cost nothing and win rates are known whole before the first round: they can show
    the target to be missed, but more judgements make neither of them clearer.
    """
    if any(aim.by_interval == "missed" for aim in aims(scores, target)):
        return "missed"
    judged = {aim.by_interval for aim in aims(scores, target) if aim.judged}
    return "undecided" if "undecided" in judged else "met"


def _may_decide(scores: Scores, before: Scores, growth: float, target: TargetSettings) -> bool:
    """Whether more judgements of the same prompts may still clear one of the targets."""
    for now, earlier in zip(aims(scores, target), aims(before, target), strict=True):
        if not now.judged or now.by_interval != "undecided":
            continue
        if now.value is None or now.interval is None or earlier.interval is None:
            return True
        if may_decide(now.value, now.bound, now.interval, earlier.interval, growth):
            return True
    return False


def effort(
    judgements: Judgements, looks: Looks, settings: JudgingSettings, rounds: int, where: Standing
) -> JudgingEffort:
    """What judging took, and what it would have taken without stopping early."""
    asked = len(judgements.scored) + len(judgements.unscored)
    judges = {one.judge for one in judgements.scored} | {one.judge for one in judgements.unscored}
    return JudgingEffort(
        stopping=settings.stopping,
        rounds=rounds,
        asked=asked,
        fixed=len(judges) * len(looks.responses) * settings.judgements_per_response,
        standing=where,
        confidence=looks.confidence(rounds - 1),
    )
