"""Two runs, or two cycles, side by side: what was different, and what came of it.

Scores compare only where the same prompts were asked, so that is found out first and said first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from pydantic import ValidationError
from ruamel.yaml import YAML

from llamaduo.records import (
    InferenceFigures,
    Measure,
    Metric,
    Pair,
    Response,
    Scores,
    SplitFigures,
    TrainingFigures,
    Verdict,
)
from llamaduo.reporting.compare_values import (
    Apart,
    Figure,
    Values,
    difference_in,
    read_judgements,
    values_of,
)
from llamaduo.reporting.panel import PanelScore, panel_scores
from llamaduo.reporting.sets import latest_verdict, set_folder, set_words, split_of
from llamaduo.reporting.setup import Setup, read_setup
from llamaduo.service.calls import open_calls
from llamaduo.storage.jsonl import read_record, read_records
from llamaduo.tasks.labels import with_labels
from llamaduo.tasks.metrics import FREE_METRICS
from llamaduo.tasks.settings import TaskSettings

Chosen = tuple[Path, str | None]
"""A run directory and a set of it: ``base``, ``final``, a cycle's number, or None for the best."""
BIGGEST = 5
_ROUNDING = 1e-9
_NOT_COMPARED = ("name", "llamaduo")
_OF_THE_MACHINE = ("base_url", "api_key_env")
"""What only says how a server was reached; a rehearsal's port is another each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two. What the run has not written is None or empty."""

    name: str
    setup: Setup
    settings: dict[str, Any]
    split: SplitFigures | None
    held_out: Literal["test", "final"]
    prompts: dict[str, str]
    """The held-out prompts that this set answers: the instruction by pair id."""
    scores: Scores | None
    by_prompt: dict[str, PanelScore]
    values: Mapping[Figure, Values]
    inference: InferenceFigures | None
    training: TrainingFigures | None
    verdict: Verdict | None
    usd: float

    @property
    def judges(self) -> tuple[str, ...]:
        return tuple(sorted(self.scores.judges)) if self.scores else ()

    @property
    def thresholds(self) -> frozenset[int]:
        panel = self.scores.panel if self.scores else {}
        return frozenset(zeta for one in panel.values() for zeta in one.coverage_percentage)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        scored = self.scores.panel if self.scores else {}
        return tuple(dict.fromkeys((*self.setup.metrics, *scored)))


@dataclass(frozen=True, slots=True)
class Changed:
    """A setting that differs. None where one side does not have it."""

    key: str
    left: Any
    right: Any


@dataclass(frozen=True, slots=True)
class Tally:
    """How many prompts the right side answers better than the left, by one metric."""

    better: int
    worse: int
    equal: int


@dataclass(frozen=True, slots=True)
class PromptChange:
    """One prompt on both sides: the mean over its responses of the panel's score."""

    pair_id: str
    prompt: str
    left: PanelScore
    right: PanelScore

    @property
    def difference(self) -> float:
        """Points, of the mean of all metrics."""
        return self.right.middle - self.left.middle


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides, and what differs. ``tallies``, ``changes`` and ``paired`` are empty where the
    prompts are not the same.

    ``paired`` has the difference prompt by prompt, right minus left, of each figure's mean (None)
    and of the share that reaches ζ, over the prompts that have one on both sides.
    """

    left: Side
    right: Side
    warnings: tuple[str, ...]
    settings: tuple[Changed, ...]
    tallies: dict[Metric, Tally]
    changes: tuple[PromptChange, ...]
    paired: Mapping[tuple[Figure, int | None], Measure]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What either side was judged by: the paper's two first."""
        return tuple(dict.fromkeys((*self.left.metrics, *self.right.metrics)))

    @property
    def same_prompts(self) -> bool:
        return self.left.prompts.keys() == self.right.prompts.keys()


def compare_sides(left: Chosen, right: Chosen, apart: Apart) -> Comparison:
    """Read both runs and lay them side by side; ``apart`` says how sure a difference is.

    Raises:
        UsageError: a run has no such set.
        RunError: a file is missing or damaged.
    """
    sides = _side(*left), _side(*right)
    warnings, settings = tuple(_warnings(*sides)), tuple(_changed(*sides))
    same = sides[0].prompts.keys() == sides[1].prompts.keys()
    changes = _prompt_changes(*sides) if same else ()
    common = [metric for metric in sides[0].metrics if metric in sides[1].metrics]
    tallies = {metric: _tally(changes, metric) for metric in common} if changes else {}
    biggest = sorted(changes, key=lambda one: (-abs(one.difference), one.pair_id))[:BIGGEST]
    shown = tuple(one for one in biggest if abs(one.difference) > _ROUNDING)
    paired = dict(_paired(*sides, apart)) if same else {}
    return Comparison(*sides, warnings, settings, tallies, shown, paired)


# --- one side -----------------------------------------------------------------------------


def _side(run: Path, which: str | None) -> Side:
    setup = read_setup(run / "run.yaml")
    where = set_folder(run, which)
    folder, coverage = run / where, run / "coverage"
    held_out = split_of(where)
    pairs = read_records(coverage / f"{held_out}.jsonl", Pair)
    responses = read_records(folder / "responses.jsonl", Response, torn_tail=True)
    judgements, together = read_judgements(folder), setup.judging.aggregate
    sections = _sections(run / "run.yaml")
    return Side(
        name=f"{run.resolve().name}, {set_words(where)}",
        setup=setup,
        settings=_settings(sections),
        split=_one(coverage / "split.json", SplitFigures),
        held_out=held_out,
        prompts={pair.id: pair.instruction for pair in pairs},
        scores=_one(folder / "scores.json", Scores),
        by_prompt=_by_prompt(responses, panel_scores(judgements, together)),
        values=values_of(responses, judgements, pairs, _task(sections, coverage), together),
        inference=_one(folder / "inference.json", InferenceFigures),
        training=_one(folder / "training.json", TrainingFigures),
        verdict=(which and _one(folder / "verdict.json", Verdict)) or latest_verdict(run),
        usd=_spent(run / "ledger.sqlite"),
    )


def _one(path: Path, kind: type[Any]) -> Any:
    return read_record(path, kind) if path.is_file() else None


def _spent(path: Path) -> float:
    if not path.is_file():
        return 0.0
    with open_calls(path) as calls:
        return calls.spent_usd()


def _by_prompt(
    responses: Sequence[Response], scores: Mapping[str, PanelScore]
) -> dict[str, PanelScore]:
    prompts: dict[str, list[PanelScore]] = defaultdict(list)
    for response in responses:
        if response.id in scores:
            prompts[response.pair_id].append(scores[response.id])
    return {prompt: _mean(found) for prompt, found in prompts.items()}


def _mean(scores: list[PanelScore]) -> PanelScore:
    """The mean over the responses to one prompt, by metric."""
    by_metric: dict[Metric, list[float]] = defaultdict(list)
    for one in scores:
        for metric, score in one.scores.items():
            by_metric[metric].append(score)
    return PanelScore({metric: fmean(found) for metric, found in by_metric.items()})


def _sections(path: Path) -> dict[str, Any]:
    """The configuration, read plainly: another version's keys compare, too."""
    values: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return values


def _task(sections: Mapping[str, Any], coverage: Path) -> TaskSettings | None:
    """The task with its labels, which free metrics depend on; None where another version means
    something else."""
    try:
        task = TaskSettings.model_validate(sections.get("task", {}))
    except ValidationError:
        return None
    return with_labels(task, read_records(coverage / "accepted.jsonl", Pair))


def _settings(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting by its dotted key."""
    compared = {key: value for key, value in sections.items() if key not in _NOT_COMPARED}
    return {
        key: value for key, value in _flat(compared) if key.split(".")[-1] not in _OF_THE_MACHINE
    }


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{place}.{key}".strip("."))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        yield from _flat({str(number): inner for number, inner in enumerate(value)}, place)
    else:
        yield place, value


# --- what differs -------------------------------------------------------------------------


def _warnings(left: Side, right: Side) -> Iterator[str]:
    if left.prompts.keys() != right.prompts.keys():
        common = len(left.prompts.keys() & right.prompts.keys())
        yield (
            f"{_whose(left, right)}, so the scores are not comparable:"
            f" {len(left.prompts)} prompts against {len(right.prompts)}, {common} in common."
        )
    if left.judges != right.judges and left.judges and right.judges:
        judges = " against ".join(" and ".join(side.judges) for side in (left, right))
        yield f"The judges differ, and with them what a score means: {judges}."
    if left.setup.llamaduo.rehearsed != right.setup.llamaduo.rehearsed:
        side = left if left.setup.llamaduo.rehearsed else right
        yield f"{side.name}, is a rehearsal: its judge is a program."
    versions = [side.setup.llamaduo.version for side in (left, right)]
    if versions[0] != versions[1]:
        yield f"Two versions of llamaduo made them: {versions[0]} and {versions[1]}."


def _whose(left: Side, right: Side) -> str:
    if left.held_out == right.held_out:
        return f"The {left.held_out} splits differ"
    return f"One side answers its {left.held_out} split, the other its {right.held_out} split"


def _changed(left: Side, right: Side) -> Iterator[Changed]:
    for key in sorted(left.settings.keys() | right.settings.keys()):
        values = left.settings.get(key), right.settings.get(key)
        if values[0] != values[1]:
            yield Changed(key, *values)


def _prompt_changes(left: Side, right: Side) -> tuple[PromptChange, ...]:
    """Every prompt that has a score on both sides."""
    return tuple(
        PromptChange(prompt, text, left.by_prompt[prompt], right.by_prompt[prompt])
        for prompt, text in left.prompts.items()
        if prompt in left.by_prompt and prompt in right.by_prompt
    )


def _tally(changes: tuple[PromptChange, ...], metric: Metric) -> Tally:
    both = ((one.left.of(metric), one.right.of(metric)) for one in changes)
    gains = [right - left for left, right in both if left is not None and right is not None]
    better = sum(gain > _ROUNDING for gain in gains)
    worse = sum(gain < -_ROUNDING for gain in gains)
    return Tally(better, worse, len(gains) - better - worse)


def _paired(
    left: Side, right: Side, apart: Apart
) -> Iterator[tuple[tuple[Figure, int | None], Measure]]:
    for figure, values in left.values.items():
        for threshold in _thresholds(figure, left, right) if figure in right.values else ():
            found = difference_in(values, right.values[figure], apart, threshold=threshold)
            if found:
                yield (figure, threshold), found


def _thresholds(figure: Figure, left: Side, right: Side) -> Iterator[int | None]:
    """What there is of ``figure`` on both sides: its mean, and the shares that reach a ζ."""
    yield None
    if figure.metric not in FREE_METRICS:
        yield from sorted(left.thresholds & right.thresholds)


def difference(left: float | None, right: float | None) -> float | None:
    """Right minus left; None where one is unknown."""
    return None if left is None or right is None else right - left
