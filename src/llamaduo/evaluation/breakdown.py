"""Scores in slices: by the label of the reference, by language, by length of the instruction.

A mean over all prompts hides what a model cannot do at all. The weakest slice stands first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from llamaduo.evaluation.free import Each, measure_each, names_in, over, prompt_numbers
from llamaduo.records import Breakdown, Confusion, Measure, Metric, Pair, Response, Slice
from llamaduo.tasks.labels import label_in, label_set
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.words import words

MOST_SLICES = 30
"""Of one kind. Those with the fewest prompts beyond it are summed."""
OTHERS = "(others)"
NO_LABEL = "(no label)"

_Kind = Literal["label", "language", "length"]
_Names = Mapping[str, str]
"""Pair id → the slice of one kind that the pair is in."""


def break_down(
    responses: Sequence[Response],
    pairs: Sequence[Pair],
    panel: Mapping[str, Mapping[Metric, float]],
    task: TaskSettings,
    script_of: Callable[[str], str],
    each: Each | None = None,
) -> Breakdown:
    """Slices of ``responses``, and what labels they give on a task that has a closed set.

    Kinds come in the order label, language, length. Within each the weakest slice is first: by
    the panel's precision, then by the first free metric. Labels are :func:`label_set`'s.

    Args:
        panel: response id → metric → the panel's score, 0 to 100, of those that were judged.
        each: what the responses measure by free metrics, where that is known already.
        script_of: names the script or language of an instruction.

    Raises:
        StageFailed: a response answers a prompt that is not among ``pairs``.
    """
    free = measure_each(responses, pairs, task) if each is None else each
    answered = {response.pair_id for response in responses}
    asked = [pair for pair in pairs if pair.id in answered]
    labels = label_set(task, pairs)
    table = _Table(responses, panel, free)
    slices = [
        *table.slices("label", _by_label(asked, labels)),
        *table.slices("language", {pair.id: script_of(pair.instruction) for pair in asked}),
        *table.slices("length", _by_length(asked)),
    ]
    return Breakdown(slices=tuple(slices), confusion=_confusion(responses, asked, labels))


class _Table:
    """One row a response: its prompt, and what the panel and the free metrics say."""

    def __init__(
        self,
        responses: Sequence[Response],
        panel: Mapping[str, Mapping[Metric, float]],
        free: Sequence[Mapping[str, float]],
    ) -> None:
        self._pairs = [response.pair_id for response in responses]
        self._prompts = prompt_numbers(responses)
        self._free_names = names_in(free)
        judged = [panel.get(response.id, {}) for response in responses]
        self._names = [*dict.fromkeys(name for row in judged for name in row), *self._free_names]
        self._rows = [{**scores, **costless} for scores, costless in zip(judged, free, strict=True)]

    def slices(self, by: _Kind, names: _Names) -> list[Slice]:
        """The slices of one kind, the weakest first."""
        names = _at_most(names)
        members: dict[str, list[int]] = defaultdict(list)
        for place, pair in enumerate(self._pairs):
            if pair in names:
                members[names[pair]].append(place)
        found = [self._slice(by, name, places) for name, places in members.items()]
        return sorted(found, key=self._strength)

    def _slice(self, by: _Kind, name: str, places: Sequence[int]) -> Slice:
        rows, prompts = [self._rows[p] for p in places], [self._prompts[p] for p in places]
        measures: dict[str, Measure] = {m: over(m, rows, prompts) for m in self._names}
        return Slice(
            by=by, name=name, prompts=len(set(prompts)), responses=len(rows), measures=measures
        )

    def _strength(self, some: Slice) -> tuple[bool, float, float, str]:
        """What slices are ordered by. What nothing is known of comes last, others after all."""
        names = ("precision", *self._free_names[:1])
        found = [some.measures[name].value if name in some.measures else None for name in names]
        known = [float("inf") if value is None else value for value in (*found, None)]
        return some.name == OTHERS, known[0], known[1], some.name


def _at_most(names: _Names) -> _Names:
    """``names`` with what is beyond :data:`MOST_SLICES` under one name."""
    counts = Counter(names.values())
    if len(counts) <= MOST_SLICES:
        return names
    kept = set(sorted(counts, key=lambda name: (-counts[name], name))[: MOST_SLICES - 1])
    return {pair: name if name in kept else OTHERS for pair, name in names.items()}


def _by_label(pairs: Sequence[Pair], labels: Sequence[str]) -> _Names:
    if not labels:
        return {}
    return {pair.id: label_in(pair.response, labels) or NO_LABEL for pair in pairs}


def _by_length(pairs: Sequence[Pair]) -> _Names:
    """Thirds by the words of the instruction, named by their bounds. Equals stay together."""
    lengths = {pair.id: len(words(pair.instruction)) for pair in pairs}
    ordered = sorted(lengths.values())
    if not ordered:
        return {}
    cuts = [ordered[(len(ordered) * third - 1) // 3] for third in (1, 2)]
    third = {pair: sum(length > cut for cut in cuts) for pair, length in lengths.items()}
    spans: dict[int, list[int]] = defaultdict(list)
    for pair, length in lengths.items():
        spans[third[pair]].append(length)
    names = {which: _span(min(some), max(some)) for which, some in spans.items()}
    return {pair: names[which] for pair, which in third.items()}


def _span(low: int, high: int) -> str:
    if low == high:
        return f"{low} word" if low == 1 else f"{low} words"
    return f"{low}–{high} words"


def _confusion(
    responses: Sequence[Response], pairs: Sequence[Pair], labels: Sequence[str]
) -> Confusion | None:
    """None without labels. One that no reference has and no response gives is left out, and so
    is a response whose reference gives none."""
    if not labels:
        return None
    right = {pair.id: label_in(pair.response, labels) for pair in pairs}
    counts = Counter(
        (right[r.pair_id], label_in(r.text, labels)) for r in responses if right[r.pair_id]
    )
    seen = {label for both in counts for label in both}
    rows = tuple(label for label in labels if label in seen)
    return Confusion(
        labels=rows,
        counts=tuple(tuple(counts[row, column] for column in (*rows, None)) for row in rows),
    )
