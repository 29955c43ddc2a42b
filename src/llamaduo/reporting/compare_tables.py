"""A comparison as tables, every cell already written as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from llamaduo.records import PANEL, Measure, Metric, MetricScores
from llamaduo.reporting.compare import Comparison, Side, difference
from llamaduo.reporting.compare_values import Figure
from llamaduo.reporting.formatting import (
    UNKNOWN,
    count,
    decimal,
    measured,
    measured_points,
    of,
    points,
    ranged,
    usd,
)
from llamaduo.reporting.inside_tables import one_line
from llamaduo.reporting.metric_names import title_of, words_of
from llamaduo.reporting.tables import Column, Row, Table

_LONGEST = 70


def comparison_tables(comparison: Comparison) -> tuple[Table, ...]:
    """What differs between the two, the verdicts first."""
    return (
        _verdicts(comparison),
        _scores(comparison),
        _prompts(comparison),
        _changes(comparison),
        _counts(comparison),
        _settings(comparison),
    )


def _columns(
    comparison: Comparison, first: str, *, numeric: bool = True, ranged: bool = False
) -> tuple[Column, ...]:
    sides = (comparison.left, comparison.right)
    return (
        Column(first, numeric=False),
        *(Column(one_line(side.name), numeric=numeric, ranged=ranged) for side in sides),
    )


# --- verdicts and scores ------------------------------------------------------------------


def _verdicts(comparison: Comparison) -> Table:
    sides = comparison.left, comparison.right
    rows: list[Row] = [
        ("Outcome", *(side.verdict.outcome if side.verdict else UNKNOWN for side in sides)),
        ("Best cycle", *(str(s.verdict.best_cycle) if s.verdict else UNKNOWN for s in sides)),
        ("Reason", *(one_line(side.verdict.reason) if side.verdict else UNKNOWN for side in sides)),
    ]
    return Table("Verdict of the run", _columns(comparison, "", numeric=False), tuple(rows))


def _scores(comparison: Comparison) -> Table:
    difference_column = Column("Difference", ranged=True)
    columns = (*_columns(comparison, "Score", ranged=True), difference_column)
    note = _SAME_PROMPTS if comparison.same_prompts else _OTHER_PROMPTS
    return Table("Scores", columns, tuple(_score_rows(comparison)), note)


_SAME_PROMPTS = (
    "The difference is right minus left, in points: with an interval the mean over the prompts that"
    " have a score on both sides, prompt by prompt. In brackets the 95 % intervals, clustered by"
    " prompt; where that of a difference holds 0, the two cannot be told apart."
)
_OTHER_PROMPTS = (
    "The prompts are not the same on both sides: the differences mean little, and have no interval."
)


def _score_rows(comparison: Comparison) -> Iterator[Row]:
    left, right = comparison.left.scores, comparison.right.scores
    if left is None and right is None:
        return
    panels = [scores.panel if scores else {} for scores in (left, right)]
    judges = sorted(set(comparison.left.judges) | set(comparison.right.judges))
    metrics = comparison.metrics
    paired = comparison.paired
    yield from _metric_rows("", metrics, panels, paired)
    for judge in judges if len(judges) > 1 else ():
        sides = [scores.judges.get(judge, {}) if scores else {} for scores in (left, right)]
        yield from _metric_rows(judge, metrics, sides, paired)
    yield from _free_rows(left.free if left else {}, right.free if right else {}, paired)
    yield from _service_rows(comparison)


_Paired = Mapping[tuple[Figure, int | None], Measure]


def _metric_rows(
    judge: str,
    metrics: Sequence[Metric],
    sides: Sequence[Mapping[Metric, MetricScores]],
    paired: _Paired,
) -> Iterator[Row]:
    """Of a judge, or with "" of the panel."""
    for metric in metrics:
        found, figure = [scores.get(metric) for scores in sides], Figure(judge, metric)
        name = f"{one_line(judge)}: {words_of(metric)}" if judge else words_of(metric)
        yield _row(f"{name}, mean", map(_mean, found), paired.get((figure, None)))
        for zeta in sorted({z for one in found if one for z in one.coverage_percentage}):
            shares = (_share(one, zeta) for one in found)
            yield _row(f"{name} ≥ {zeta}, %", shares, paired.get((figure, zeta)))


_Known = tuple[float | None, str]
"""A figure, and how it is written."""


def _mean(scores: MetricScores | None) -> _Known:
    if scores is None:
        return None, UNKNOWN
    return scores.mean_score, ranged(scores.mean_score, scores.interval)


def _share(scores: MetricScores | None, zeta: int) -> _Known:
    if scores is None:
        return None, UNKNOWN
    share = scores.coverage_percentage.get(zeta)
    return share, ranged(share, scores.intervals.get(zeta))


def _free_rows(
    left: Mapping[str, Measure], right: Mapping[str, Measure], paired: _Paired
) -> Iterator[Row]:
    for name in dict.fromkeys((*left, *right)):
        found = (left.get(name), right.get(name))
        known = ((one.value if one else None, measured(one)) for one in found)
        yield _row(title_of(name), known, paired.get((Figure("", name), None)))


def _service_rows(comparison: Comparison) -> Iterator[Row]:
    """How far each side is from its own service LLM, and how often it wins against it."""
    sides = [side.scores for side in (comparison.left, comparison.right)]
    for metric in comparison.metrics:
        found = [one.versus_service.get(metric) if one else None for one in sides]
        if any(found):
            name = f"{words_of(metric)}, above the service LLM"
            yield _row(name, ((m.value if m else None, measured_points(m)) for m in found))
    rates = [one.win_rates.get(PANEL) if one else None for one in sides]
    if any(rates):
        found = [one.rate if one else None for one in rates]
        words = "win rate against the service LLM, %"
        yield _row(words, ((m.value if m else None, measured(m)) for m in found))


def _row(name: str, sides: Iterable[_Known], paired: Measure | None = None) -> Row:
    """Both figures, and how they differ: prompt by prompt where that is known."""
    left, right = sides
    plain = difference(left[0], right[0])
    apart = measured_points(paired) if paired and plain is not None else points(plain)
    return name, left[1], right[1], apart


# --- prompts ------------------------------------------------------------------------------


def _prompts(comparison: Comparison) -> Table:
    columns = (
        Column("Metric", numeric=False),
        Column("Better"),
        Column("Worse"),
        Column("Equal"),
    )
    rows = tuple(
        (words_of(metric), count(one.better), count(one.worse), count(one.equal))
        for metric, one in comparison.tallies.items()
    )
    note = "Prompts by the panel's mean over their responses: right against left."
    return Table("Prompt by prompt", columns, rows, note)


def _changes(comparison: Comparison) -> Table:
    columns = (*_columns(comparison, "Prompt"), Column("Difference"), Column("Pair", numeric=False))
    rows = tuple(
        (
            one_line(one.prompt, _LONGEST),
            decimal(one.left.middle),
            decimal(one.right.middle),
            points(one.difference),
            one.pair_id,
        )
        for one in comparison.changes
    )
    return Table("The biggest changes", columns, rows, "The mean of all metrics.")


# --- counts and settings ------------------------------------------------------------------


def _counts(comparison: Comparison) -> Table:
    rows = tuple(
        (name, read(comparison.left), read(comparison.right)) for name, read in _COUNTED.items()
    )
    note = [_split_words(comparison), "" if comparison.settings else "Every setting is the same."]
    words = " ".join(part for part in note if part)
    return Table("Data, effort, money", _columns(comparison, ""), rows, words)


def _split_words(comparison: Comparison) -> str:
    left, right = comparison.left.split, comparison.right.split
    if not left or not right:
        return ""
    if left.sha256 == right.sha256:
        return "The split is the same on both sides. Dollars are the whole run's."
    return "The splits are different ones. Dollars are the whole run's."


def _judged(side: Side) -> str:
    metric = next(iter(side.scores.panel.values()), None) if side.scores else None
    return of(metric.scored, metric.scored + metric.unscored) if metric else UNKNOWN


_COUNTED: dict[str, Callable[[Side], str]] = {
    "Split": lambda side: side.split.sha256[:12] if side.split else UNKNOWN,
    "Train pairs": lambda side: count(side.split.train if side.split else None),
    "Test pairs": lambda side: count(side.split.test if side.split else None),
    "Final pairs": lambda side: count(side.split.final if side.split else None),
    "Pairs trained on": lambda side: count(side.training.pairs if side.training else None),
    "Prompts answered": lambda side: count(side.scores.prompts if side.scores else None),
    "Responses": lambda side: count(side.scores.responses if side.scores else None),
    "Judgements scored": _judged,
    "New tokens/s": lambda side: decimal(
        side.inference.tokens_per_second if side.inference else None
    ),
    "Spent": lambda side: usd(side.usd),
}


def _settings(comparison: Comparison) -> Table:
    rows = tuple(
        (one_line(one.key), _setting(one.left), _setting(one.right)) for one in comparison.settings
    )
    return Table("Settings that differ", _columns(comparison, "Setting", numeric=False), rows)


def _setting(value: object) -> str:
    return UNKNOWN if value is None else one_line(str(value), _LONGEST)
