"""What a run was asked to do: the facts of its ``run.yaml`` that a report prints.

The configuration itself belongs to a layer above; here it is read back as plain YAML, and what
an older or newer version wrote besides is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from llamaduo.errors import RunError
from llamaduo.records import METRICS, Metric
from llamaduo.reporting.settings import CostSettings


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What the run was about."""

    kind: str = "free"
    topic: str = ""


@dataclass(frozen=True, slots=True)
class PriceFacts:
    """US dollars per million tokens."""

    input: float
    output: float


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A service LLM, a judge or the local LLM. ``price`` only where the user stated one."""

    model: str = ""
    revision: str | None = None
    base_url: str | None = None
    price: PriceFacts | None = None


@dataclass(frozen=True, slots=True)
class StandInFacts(ModelFacts):
    """The real model behind a rehearsed one, which the ledger calls ``name``."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class JudgingFacts:
    """Who judged: no judges means the service LLM itself. M and ζ are None and empty if unknown.

    ``metrics`` has the configured ones beside the paper's two, each with its rubric.
    """

    judges: tuple[ModelFacts, ...] = ()
    judgements_per_response: int | None = None
    score_thresholds: tuple[int, ...] = ()
    metrics: dict[Metric, str] = field(default_factory=dict)
    aggregate: Literal["mean", "median"] = "mean"
    stopping: str = ""
    service_responses: int | None = None
    pairwise: bool = False


@dataclass(frozen=True, slots=True)
class InferenceFacts:
    """How the local LLM answered: K and the sampling."""

    responses_per_prompt: int | None = None
    temperature: float | None = None
    top_p: float | None = None


@dataclass(frozen=True, slots=True)
class MetricTarget:
    """ε for one metric: a mean score, and a percentage for each ζ."""

    mean_score: float | None = None
    coverage_percentage: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """ε: for the judged metrics, for the free ones, and against the service LLM."""

    precision: MetricTarget = MetricTarget()
    similarity: MetricTarget = MetricTarget()
    metrics: dict[Metric, MetricTarget] = field(default_factory=dict)
    free: dict[str, float] = field(default_factory=dict)
    win_rate: float | None = None
    not_worse_than_service_by: float | None = None
    evidence: str = "point"


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """When the loop had to stop."""

    cycles: int | None = None
    patience: int | None = None
    min_gain: float | None = None
    budget_usd: float | None = None


@dataclass(frozen=True, slots=True)
class SynthesisFacts:
    """How many pairs were asked for: ``pairs`` after cycle 0, then ``growth`` times as many."""

    pairs: int | None = None
    growth: float = 1.0

    def asked(self, cycle: int) -> int | None:
        """Pairs asked for after ``cycle``; None when the run does not say."""
        return None if self.pairs is None else round(self.pairs * self.growth**cycle)


@dataclass(frozen=True, slots=True)
class OriginFacts:
    """The ``llamaduo`` key: who wrote the run, and whether the service LLM was a program.

    ``stands_in_for`` has the real models of a rehearsal.
    """

    version: str = ""
    format: int | str | None = None
    rehearsed: bool = False
    stands_in_for: tuple[StandInFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Setup:
    """The facts of ``run.yaml``."""

    task: TaskFacts = TaskFacts()
    service: ModelFacts = ModelFacts()
    local: ModelFacts = ModelFacts()
    judging: JudgingFacts = JudgingFacts()
    inference: InferenceFacts = InferenceFacts()
    target: TargetFacts = TargetFacts()
    limits: LimitFacts = LimitFacts()
    synthesis: SynthesisFacts = SynthesisFacts()
    cost: CostSettings | None = None
    llamaduo: OriginFacts = OriginFacts()

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What judges were asked for: the paper's two, then the configured ones, in their order."""
        return tuple(dict.fromkeys((*METRICS, *self.judging.metrics)))

    def target_of(self, metric: Metric) -> MetricTarget:
        paper = {"precision": self.target.precision, "similarity": self.target.similarity}
        return paper.get(metric) or self.target.metrics.get(metric) or MetricTarget()

    @property
    def judges(self) -> tuple[str, ...]:
        """The judges' models; the service LLM's own if none was named."""
        return tuple(judge.model for judge in self.judging.judges) or (self.service.model,)

    def real(self, model: str) -> ModelFacts | None:
        """The service LLM that the ledger and run.yaml call ``model``, or the real one that it
        stood in for; None when the run does not say what it was."""
        known: tuple[ModelFacts, ...] = (self.service, *self.judging.judges)
        if not self.llamaduo.rehearsed:
            return next((one for one in known if one.model == model), None)
        return next((one for one in self.llamaduo.stands_in_for if one.name == model), None)

    @property
    def real_service(self) -> str:
        """The name of the service LLM that the run is about, rehearsed or not."""
        real = self.real(self.service.model)
        return real.model if real else self.service.model


def read_setup(path: Path) -> Setup:
    """Read ``run.yaml``.

    Raises:
        RunError: it is missing, not YAML, or not a run's configuration.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        return _SETUP.validate_python(content)
    except FileNotFoundError as error:
        raise RunError(
            f"{path} is missing, so {path.parent} is not a run.",
            hint="Name a folder that llamaduo run wrote, as in runs/NAME.",
        ) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is not YAML: {error}.", hint=_RESTORE) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "the file"
        raise RunError(f"{path}, {place}: {first['msg']}.", hint=_RESTORE) from error


_SETUP = TypeAdapter(Setup)
_RESTORE = "The file was changed or damaged; restore it, or start a new run with --name."
