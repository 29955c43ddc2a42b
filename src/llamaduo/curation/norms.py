"""What a synthetic pair is held to: the settings, the task, and what the train split does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Literal

from llamaduo.curation.habits import HABITS, SYNTAX
from llamaduo.curation.languages import Tongues, letters_outside, scripts_in
from llamaduo.curation.settings import CurationSettings
from llamaduo.records import Pair
from llamaduo.tasks.settings import TaskSettings

Field = Literal["instruction", "response"]
FIELDS: tuple[Field, ...] = ("instruction", "response")

_BLOCK = 1000

MOST_LABELS = 50
"""A closed set of responses has at most this many."""
FEWEST_USES = 3
"""Each response of a closed set occurs at least this often in the train split. So none occurs
once, and the Good–Turing estimate of meeting one not seen yet, singletons ÷ pairs, is 0."""


@dataclass(frozen=True, slots=True)
class Norms:
    """``habits`` and ``scripts`` are what some train pair has in that field; for a coding task
    the habits include what is syntax. ``labels`` are the responses that are allowed, None if
    any is; ``json_schema`` is what each must satisfy. ``tongues`` knows the languages of the
    train pairs, None if ``settings.languages`` is off."""

    settings: CurationSettings
    habits: Mapping[Field, frozenset[str]]
    scripts: Mapping[Field, frozenset[str]]
    labels: frozenset[str] | None
    json_schema: dict[str, Any] | None
    tongues: Mapping[Field, Tongues] | None = None

    def odd(self, field: Field, texts: Sequence[str], habit: str) -> Iterable[int]:
        """Which of ``texts`` do what no train pair does in that field."""
        if habit in self.habits[field]:
            return ()
        return compress(range(len(texts)), HABITS[habit](texts))

    def has_odd_letters(self, field: Field, text: str) -> bool:
        """Whether a letter of ``text`` may be of a script that no train pair uses there."""
        usual = self.scripts[field]
        if not usual or ("LATIN" in usual and text.isascii()):
            return False
        return letters_outside(usual).search(text) is not None


def norms_of(train: Sequence[Pair], task: TaskSettings, settings: CurationSettings) -> Norms:
    """The norms that ``train`` and ``task`` set.

    Raises:
        ExtraMissing: ``settings.languages`` is on and lingua is not installed.
    """
    texts = {field: [text_of(pair, field) for pair in train] for field in FIELDS}
    usual = SYNTAX if task.kind == "coding" else frozenset()
    return Norms(
        settings=settings,
        habits={field: usual | _habits(texts[field]) for field in FIELDS},
        scripts={field: frozenset().union(*map(scripts_in, texts[field])) for field in FIELDS},
        labels=labels_of(train, task),
        json_schema=task.json_schema,
        tongues={f: Tongues.of(texts[f]) for f in FIELDS} if settings.languages else None,
    )


def text_of(pair: Pair, field: Field) -> str:
    return pair.instruction if field == "instruction" else pair.response


def labels_of(train: Sequence[Pair], task: TaskSettings) -> frozenset[str] | None:
    """The task's labels; for a classification without any, the train split's if they are a
    closed set: at most :data:`MOST_LABELS`, each used :data:`FEWEST_USES` times or more."""
    if task.labels:
        return frozenset(map(label_of, task.labels))
    if task.kind != "classification" or not train:
        return None
    uses = Counter(label_of(pair.response) for pair in train)
    closed = len(uses) <= MOST_LABELS and min(uses.values()) >= FEWEST_USES
    return frozenset(uses) if closed else None


def label_of(response: str) -> str:
    """A response as a label: its white space does not count."""
    return " ".join(response.split())


def _habits(texts: Sequence[str]) -> frozenset[str]:
    """What some text does. They are looked at in blocks: at the first that does, it is known."""
    blocks = [texts[i : i + _BLOCK] for i in range(0, len(texts), _BLOCK)]
    return frozenset(
        name for name, does in HABITS.items() if any(any(does(block)) for block in blocks)
    )
