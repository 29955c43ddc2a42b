"""How much known attacks lift what a judge gives: measured with the judges that are configured.

References stand for good responses, references of other prompts for bad ones, so that nothing is
needed but a test split. What matters is the lift of a bad response: that is how a local LLM that
has learned nothing but to talk to judges would pass.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean, variance
from typing import Literal

from llamaduo.errors import StageFailed
from llamaduo.evaluation.attacks import ATTACKS, Attack
from llamaduo.evaluation.controls import RIGHT, controls
from llamaduo.evaluation.judge import judge
from llamaduo.evaluation.settings import JudgingSettings
from llamaduo.records import (
    Judgements,
    Measure,
    Metric,
    Notify,
    Pair,
    Response,
    silent,
)
from llamaduo.service.protocol import ServiceLLM
from llamaduo.tasks.settings import TaskSettings

STAGE = "attack"
"""What the ledger calls these questions."""
MOST_LIFT = 5.0
"""Points. A judge that an attack lifts bad responses with by more than this is not resistant."""
_MOST_DOUBT = 0.05
_LEAST_NOISE = 1 / 6
"""The variance of a difference of two scores that are known to ±0.5 point."""
_PLAIN = "plain"

Side = Literal["good", "bad"]
_SIDES: tuple[Side, Side] = ("bad", "good")
_Key = tuple[str, Side, str, Metric]
"""Judge, side, attack, metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """What one attack does to one judge's marks for one metric: attacked minus plain, in points.

    ``plain`` and ``attacked`` are mean scores, 0–100, None where nothing was scored. ``real`` says
    that the lift is above :data:`MOST_LIFT` with its whole interval, and by more than chance
    gives to the luckiest of as many lifts as were looked at.
    """

    judge: str
    attack: str
    side: Side
    metric: Metric
    plain: float | None
    attacked: float | None
    lift: Measure
    unscored: int
    real: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Resistance:
    """The lifts on bad responses first, the worst at the top, then those on good ones."""

    prompts: int
    attacks: int
    judgements: int
    unscored: int
    lifts: tuple[Lift, ...]

    @property
    def broken(self) -> tuple[Lift, ...]:
        """Attacks that lift a bad response for real."""
        return tuple(one for one in self.lifts if one.side == "bad" and one.real)

    @property
    def doubtful(self) -> tuple[Lift, ...]:
        """Lifts of a bad response that are real by their own interval alone: among so many, some
        are by chance."""
        return tuple(
            one for one in self.lifts if one.side == "bad" and not one.real and _is_above(one.lift)
        )


async def resist(
    pairs: Sequence[Pair],
    judges: Sequence[ServiceLLM],
    settings: JudgingSettings,
    task: TaskSettings,
    *,
    prompts: int = 4,
    attacks: Sequence[Attack] = ATTACKS,
    notify: Notify = silent,
) -> Resistance:
    """Have the judges mark good and bad responses to ``prompts`` of ``pairs``, plain and under
    every attack: judges × prompts × 2 × (attacks + 1) × M judgements at most.

    Raises:
        UsageError: no judge, or two judges of one name.
        StageFailed: no prompt has a good and a bad response; or a judge scored no plain one.
        ServiceError: as :func:`llamaduo.evaluation.judge.judge` does.
    """
    responses = attacked_responses(pairs, prompts, attacks)
    judgements = await judge(responses, pairs, judges, settings, task, stage=STAGE, notify=notify)
    names = [one.name for one in judges]
    lifts = _lifts(responses, judgements, names, settings.all_metrics, attacks)
    return Resistance(
        prompts=len({response.pair_id for response in responses}),
        attacks=len(attacks),
        judgements=len(judgements.scored) + len(judgements.unscored),
        unscored=len(judgements.unscored),
        lifts=tuple(sorted(lifts, key=_worst_first)),
    )


def attacked_responses(
    pairs: Sequence[Pair], prompts: int, attacks: Sequence[Attack] = ATTACKS
) -> tuple[Response, ...]:
    """Good and bad responses to ``prompts`` prompts at most, plain and under each attack.

    A good one is the prompt's reference; a bad one the reference of another prompt that is least
    like it. Prompts where either is empty are left out. Ids say which is which.

    Raises:
        StageFailed: there is no such prompt.
    """
    instructions = {pair.id: pair.instruction for pair in pairs}
    usable = [pair for pair in pairs if pair.response.strip()]
    plain = controls(usable, prompts)
    empty = {response.pair_id for response in plain if not response.text.strip()}
    found = tuple(
        _changed(response, attack, instructions[response.pair_id])
        for response in plain
        if response.pair_id not in empty
        for attack in (None, *attacks)
    )
    if not found:
        raise StageFailed(
            "No prompt of the test split has a wrong response: all references are the same, or"
            " empty.",
            hint="Attacks are tried on right and wrong responses; give coverage data whose"
            " references differ.",
        )
    return found


def _changed(plain: Response, attack: Attack | None, instruction: str) -> Response:
    side: Side = "good" if plain.id.startswith(RIGHT) else "bad"
    name = attack.name if attack else _PLAIN
    text = attack.on(plain.text, instruction) if attack else plain.text
    return replace(plain, id=f"{side}:{name}:{plain.pair_id}", text=text)


# --- lifts ----------------------------------------------------------------------------------


def _lifts(
    responses: Sequence[Response],
    judgements: Judgements,
    judges: Sequence[str],
    metrics: Sequence[Metric],
    attacks: Sequence[Attack],
) -> Iterator[Lift]:
    places = {response.pair_id: place for place, response in enumerate(responses)}
    scores, unscored = _by_prompt(judgements), _unscored(judgements)
    looked_at = len(judges) * len(metrics) * len(attacks)
    for name, side, metric in product(judges, _SIDES, metrics):
        plain = scores[name, side, _PLAIN, metric]
        if not plain:
            raise _says_nothing(name)
        attacked = {attack.name: scores[name, side, attack.name, metric] for attack in attacks}
        lifts = {attack: _lift(found, plain, places) for attack, found in attacked.items()}
        luck = _luck([_differences(found, plain) for found in attacked.values()], looked_at)
        for attack, lift in lifts.items():
            yield Lift(
                judge=name,
                attack=attack,
                side=side,
                metric=metric,
                plain=_mean(plain.values()),
                attacked=_mean(attacked[attack].values()),
                lift=lift,
                unscored=unscored[name, side, attack],
                real=_is_above(lift) and (lift.value or 0.0) - luck > MOST_LIFT,
            )


def _lift(
    attacked: Mapping[str, float], plain: Mapping[str, float], places: Mapping[str, int]
) -> Measure:
    """The lift and its interval. Both arguments have a score by prompt."""
    from llamaduo.evaluation.intervals import students_difference_of

    if not attacked.keys() & plain.keys():
        return Measure(None, None, 0, 0)
    numbers = [[places[id_] for id_ in scores] for scores in (attacked, plain)]
    value, interval, prompts = students_difference_of(
        list(attacked.values()), numbers[0], list(plain.values()), numbers[1]
    )
    return Measure(value, interval, prompts, prompts)


def _luck(differences: Sequence[Sequence[float]], looked_at: int) -> float:
    """How many points the luckiest of ``looked_at`` attacks may gain by the judge's noise alone,
    in 95 of 100 cases (Bonferroni).

    The noise is that of all attacks together: 4 prompts tell little about one. Half of it is the
    plain score's, which all lifts of a prompt share, so that it is known as well as from four
    attacks (Satterthwaite 1946), however many there are.
    """
    from scipy.special import stdtrit

    several = [one for one in differences if len(one) > 1]
    if not several:
        return math.inf
    noise = max(_LEAST_NOISE, fmean(variance(one) for one in several))
    prompts = min(map(len, several))
    t = float(stdtrit(4 * (prompts - 1), 1 - _MOST_DOUBT / looked_at))
    return t * math.sqrt(noise / prompts)


def _differences(attacked: Mapping[str, float], plain: Mapping[str, float]) -> list[float]:
    return [attacked[id_] - plain[id_] for id_ in attacked if id_ in plain]


def _is_above(lift: Measure) -> bool:
    return lift.interval is not None and lift.interval.low > MOST_LIFT


def _by_prompt(judgements: Judgements) -> defaultdict[_Key, dict[str, float]]:
    """The mean over repeats of every response's scores, by pair id."""
    marks: defaultdict[tuple[_Key, str], list[int]] = defaultdict(list)
    for one in judgements.scored:
        side, attack = _read_id(one.response_id)
        for metric, mark in one.marks.items():
            marks[(one.judge, side, attack, metric), one.pair_id].append(mark.score)
    found: defaultdict[_Key, dict[str, float]] = defaultdict(dict)
    for (key, pair_id), scores in marks.items():
        found[key][pair_id] = fmean(scores)
    return found


def _unscored(judgements: Judgements) -> defaultdict[tuple[str, Side, str], int]:
    found: defaultdict[tuple[str, Side, str], int] = defaultdict(int)
    for one in judgements.unscored:
        found[one.judge, *_read_id(one.response_id)] += 1
    return found


def _read_id(response_id: str) -> tuple[Side, str]:
    side, attack, _ = response_id.split(":", maxsplit=2)
    return ("good" if side == "good" else "bad"), attack


def _mean(scores: Iterable[float]) -> float | None:
    found = list(scores)
    return fmean(found) if found else None


def _says_nothing(name: str) -> StageFailed:
    return StageFailed(
        f"{name} scored none of the responses that nothing was done to.",
        hint="What it replied is in the run's ledger; a judge must keep to a JSON schema.",
    )


def _worst_first(one: Lift) -> tuple[bool, bool, float, str, str, str]:
    value = one.lift.value
    return (
        one.side == "good",
        value is None,
        -(value or 0.0),
        one.judge,
        one.attack,
        one.metric,
    )
