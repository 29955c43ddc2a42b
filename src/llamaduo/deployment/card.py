"""The model card: ``README.md`` of a bundle, in the Hub's format.

Whether the target was met stands first. What the run did not measure or was not told is said to
be unknown; nothing is put in its place. Text of others (topic, model names, the verdict's reason)
is escaped, and the provider's terms are printed word for word in a block of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamaduo.deployment.bundle import Bundle
from llamaduo.deployment.dataset import SYNTHETIC, TRAINED_ON, DataFacts, Personal, together
from llamaduo.deployment.licence import hub_name, shown_name
from llamaduo.records import METRICS, Interval, Measure, Metric, MetricScores, Scores, Terms
from llamaduo.redaction.find import PERSONAL
from llamaduo.tasks.settings import TaskKind, TaskSettings
from llamaduo.tasks.showing import markdown_block, markdown_inline

if TYPE_CHECKING:
    from jinja2 import Environment

REHEARSAL = (
    "REHEARSAL: a program stood in for the service LLM and for the judges. No score here says"
    " anything about quality."
)
KINDS: Mapping[TaskKind, str] = {
    "free": "Free-form answers",
    "classification": "Classification",
    "summarization": "Summarization",
    "coding": "Coding",
    "closed_qa": "Closed question answering",
}
_HUB_LICENCES = """
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd-2-clause bsd-3-clause bsl-1.0 cc-by-2.0 cc-by-3.0 cc-by-4.0
    cc-by-nc-4.0 cc-by-nc-nd-4.0 cc-by-nc-sa-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0
    creativeml-openrail-m ecl-2.0 epl-2.0 eupl-1.1 gemma gpl-2.0 gpl-3.0 isc lgpl-2.1 lgpl-3.0
    llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 mit mpl-2.0 ms-pl odc-by openrail openrail++
    osl-3.0 other postgresql unlicense wtfpl zlib
"""
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a model card is made of.

    ``bundle`` need not be sealed: its ``files`` are not read. ``files`` are the names of the
    files beside the card, which say how the model can be run. ``data`` counts the pairs that
    this checkpoint was trained and judged on; ``base`` are the base model's scores on the same
    test split.
    """

    bundle: Bundle
    data: DataFacts
    task: TaskSettings
    base: Scores | None = None
    languages: tuple[str, ...] = ()
    intended_use: str = ""
    files: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        return self.bundle.verdict.outcome == "passed"

    @property
    def undecided(self) -> bool:
        return self.bundle.verdict.outcome == "undecided"

    @property
    def trained(self) -> bool:
        return self.bundle.cycle is not None

    @property
    def gguf(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.files if name.endswith(".gguf")))

    @property
    def personal(self) -> Personal:
        """What was found in the pairs that the model may repeat."""
        return together(self.data.personal.get(split, Personal()) for split in TRAINED_ON)

    @property
    def use(self) -> str:
        """The intended use as configured, or what follows from the task."""
        if self.intended_use:
            return self.intended_use
        about = f" about {self.task.topic}" if self.task.topic else ""
        kind = KINDS[self.task.kind]
        return f"{kind}{about}: prompts like those of the test split, and nothing else."


def card(facts: CardFacts) -> str:
    """``README.md``: front matter for the Hub, then the card in Markdown."""
    return front_matter(_metadata(facts)) + _environment().get_template("model_card.md.j2").render(
        facts=facts,
        bundle=facts.bundle,
        data=facts.data,
        task=facts.task,
        rehearsal=REHEARSAL if facts.bundle.rehearsed else "",
        evaluations=list(_evaluations(facts)),
        parity_metrics=_parity_metrics(facts.bundle),
        thresholds=_thresholds(facts),
        ollama=re.sub(r"[^a-z0-9._-]", "-", facts.bundle.name.lower()),
        base_for_code=_base_for_code(facts.bundle),
    )


def dataset_card(
    name: str, data: DataFacts, task: TaskSettings, terms: Terms | None, *, rehearsed: bool
) -> str:
    """``README.md`` of the dataset that a bundle was made from."""
    files = [{"split": split, "path": f"data/{split}.jsonl"} for split in data.counts]
    coverage = [file for file in files if file["split"] != SYNTHETIC and data.counts[file["split"]]]
    configs = [{"config_name": "coverage", "data_files": coverage, "default": True}]
    if data.counts.get(SYNTHETIC):
        made = [{"split": "train", "path": f"data/{SYNTHETIC}.jsonl"}]
        configs.append({"config_name": SYNTHETIC, "data_files": made})
    tags = ["llamaduo", task.kind, *(["rehearsal"] if rehearsed else [])]
    matter = {"task_categories": ["text-generation"], "tags": tags, "configs": configs}
    return front_matter(matter) + _environment().get_template("dataset_card.md.j2").render(
        name=name,
        data=data,
        task=task,
        terms=terms,
        personal=together(data.personal.values()),
        rehearsal=REHEARSAL if rehearsed else "",
    )


def front_matter(values: Mapping[str, Any]) -> str:
    """Metadata as the Hub reads it. Values are written as JSON, which every YAML reader takes
    for the same value: none becomes a boolean or a date on the way."""
    lines = (f"{key}: {json.dumps(value)}\n" for key, value in values.items() if value)
    return f"---\n{''.join(lines)}---\n\n"


def _metadata(facts: CardFacts) -> dict[str, Any]:
    bundle = facts.bundle
    adapter = bundle.form == "adapter"
    marks = {"lora": adapter, "gguf": bool(facts.gguf), "rehearsal": bundle.rehearsed}
    return {
        **_licence(bundle.licence),
        "base_model": hub_name(bundle.model),
        "base_model_relation": ("adapter" if adapter else "finetune") if facts.trained else None,
        "language": [code for code in facts.languages if _LANGUAGE.fullmatch(code)],
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["llamaduo", facts.task.kind, *(tag for tag, holds in marks.items() if holds)],
    }


def _licence(name: str | None) -> dict[str, str]:
    """The Hub refuses a licence that it does not know, except as another's name."""
    if name is None or name.lower() in _HUB_LICENCES.split():
        return {"license": name.lower()} if name else {}
    return {"license": "other", "license_name": name.lower()}


def _base_for_code(bundle: Bundle) -> str:
    """The base model as the arguments of ``from_pretrained``."""
    revision = f", revision={json.dumps(bundle.revision)}" if bundle.revision else ""
    return json.dumps(shown_name(bundle.model)) + revision


# --- evaluation ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the evaluation table: who scored what."""

    judge: str
    metric: str
    scores: MetricScores


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One table: a title, the scores it is of, and its lines."""

    title: str
    scores: Scores
    lines: tuple[Line, ...]


def _evaluations(facts: CardFacts) -> Iterator[Evaluation]:
    bundle = facts.bundle
    for title, scores in (
        ("This model, test split", bundle.scores),
        ("This model, final split (judged once, after the loop)", bundle.final),
        ("The base model before fine-tuning, test split", facts.base if facts.trained else None),
        (f"{_THE_SERVICE}, test split{_favoured(bundle)}", bundle.ceiling),
        (f"{_THE_SERVICE}, final split{_favoured(bundle)}", bundle.ceiling_final),
    ):
        if scores is not None:
            yield Evaluation(title, scores, tuple(_lines(scores)))


_THE_SERVICE = "The service LLM's own answers"


def _favoured(bundle: Bundle) -> str:
    """A mark for the ceiling that was judged against its own replies, all or in part."""
    return " (favoured)" if "service" in bundle.verdict.reference_sources else ""


def _lines(scores: Scores) -> Iterator[Line]:
    """Each judge's scores; the panel's where it has more than one judge."""
    panels = {"panel (all judges together)": scores.panel} if len(scores.judges) > 1 else {}
    for judge, by_metric in {**panels, **scores.judges}.items():
        for metric, found in by_metric.items():
            yield Line(judge, _metric_words(metric), found)


def _metric_words(name: Metric) -> str:
    return "ROUGE-L" if name == "rouge_l" else name.replace("_", " ")


def _parity_metrics(bundle: Bundle) -> tuple[Metric, ...]:
    """What was scored in the parity check; the paper's two first."""
    checks = bundle.parity.checks if bundle.parity else ()
    scored = (metric for check in checks for metric in check.score_difference)
    return tuple(dict.fromkeys((*METRICS, *scored)))


def _thresholds(facts: CardFacts) -> tuple[int, ...]:
    """Every ζ that was measured."""
    found = (scores for scores in (facts.bundle.scores, facts.bundle.final, facts.base) if scores)
    lines = (line for scores in found for line in _lines(scores))
    return tuple(sorted({zeta for line in lines for zeta in line.scores.coverage_percentage}))


# --- the templates ------------------------------------------------------------------------


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701  Markdown: the filters escape, HTML's would not
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        inline=markdown_inline,
        block=markdown_block,
        shown_name=shown_name,
        decimal=_decimal,
        measured=_measured,
        metric_words=_metric_words,
        ranged=_ranged,
        plural=_plural,
    )
    environment.globals.update(kinds=KINDS, personal_words=PERSONAL)
    return environment


def _decimal(value: float | None) -> str:
    return "—" if value is None else f"{value:,.1f}"


def _ranged(value: float | None, interval: Interval | None) -> str:
    """A figure with its 95 % interval, if it has one: ``84.2 [81.0, 87.1]``."""
    if value is None or interval is None:
        return _decimal(value)
    return f"{_decimal(value)} [{_decimal(interval.low)}, {_decimal(interval.high)}]"


def _measured(measure: Measure) -> str:
    return _ranged(measure.value, measure.interval)


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
