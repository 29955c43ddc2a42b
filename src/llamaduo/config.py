"""``llamaduo.yaml`` → one validated, frozen :class:`Config`, made of each room's own settings.

All problems are reported at once, each with file and line, what is wrong and what would be
right. What a run was started with is written into it as ``run.yaml``.
"""

from __future__ import annotations

import difflib
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from llamaduo.coverage.settings import CoverageSettings
from llamaduo.curation.settings import CurationSettings
from llamaduo.deployment.settings import DeploymentSettings
from llamaduo.errors import ConfigError, Contradictions, Problem, RunError, UsageError
from llamaduo.evaluation.settings import (
    JudgingSettings,
    LimitSettings,
    MetricTarget,
    TargetSettings,
)
from llamaduo.finetuning.settings import FinetuningSettings, LocalSettings
from llamaduo.inference.settings import InferenceSettings
from llamaduo.records import METRICS
from llamaduo.redaction.settings import RedactionSettings
from llamaduo.reporting.settings import CostSettings
from llamaduo.service.settings import ServiceSettings
from llamaduo.synthesis.settings import SynthesisSettings
from llamaduo.tasks.metrics import free_metrics
from llamaduo.tasks.settings import TaskSettings


class Config(BaseModel):
    """Everything a run depends on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        "main",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="The run's folder within runs/.",
    )
    task: TaskSettings = TaskSettings()
    coverage: CoverageSettings
    redaction: RedactionSettings = RedactionSettings()
    service: ServiceSettings = ServiceSettings()
    local: LocalSettings = LocalSettings()
    finetuning: FinetuningSettings = FinetuningSettings()
    inference: InferenceSettings = InferenceSettings()
    judging: JudgingSettings = JudgingSettings()
    synthesis: SynthesisSettings = SynthesisSettings()
    curation: CurationSettings = CurationSettings()
    target: TargetSettings = TargetSettings(precision=MetricTarget(mean_score=80.0))
    limits: LimitSettings = LimitSettings()
    deployment: DeploymentSettings = DeploymentSettings()
    cost: CostSettings = CostSettings()

    @model_validator(mode="after")
    def _judges_differ(self) -> Config:
        models = [judge.model for judge in self.judging.judges]
        if twice := sorted({model for model in models if models.count(model) > 1}):
            raise ValueError(
                f"judging.judges names {', '.join(twice)} more than once; list each model once,"
                " and let judging.judgements_per_response repeat it"
            )
        return self

    @model_validator(mode="after")
    def _targets_are_measured(self) -> Config:
        for metric in (*METRICS, *self.target.metrics):
            asked = set(self.target.of(metric).coverage_percentage)
            if missing := asked - set(self.judging.score_thresholds):
                names = ", ".join(map(str, sorted(missing)))
                raise ValueError(
                    f"target.{metric}.coverage_percentage asks for ζ {names}, which"
                    " judging.score_thresholds does not measure; add it there"
                )
        if strangers := sorted(set(self.target.metrics) - set(self.judging.metrics)):
            raise ValueError(
                f"target.metrics asks for {', '.join(strangers)}, which no judge is asked about;"
                " describe it in judging.metrics"
            )
        measured = free_metrics(self.task)
        if strangers := sorted(set(self.target.free) - set(measured)):
            raise ValueError(
                f"target.free asks for {', '.join(strangers)}; this task has {', '.join(measured)}"
            )
        return self

    @model_validator(mode="after")
    def _the_service_can_be_compared_with(self) -> Config:
        if self.target.win_rate is not None and not self.judging.pairwise:
            raise ValueError(
                "target.win_rate needs responses to be compared; set judging.pairwise to true"
            )
        if self.target.not_worse_than_service_by is None:
            return self
        if not self.judging.service_responses:
            raise ValueError(
                "target.not_worse_than_service_by compares with the service LLM's own answers; set"
                " judging.service_responses to 1"
            )
        if not self.coverage.final_fraction:
            raise ValueError(
                "target.not_worse_than_service_by is decided on the final split; set"
                " coverage.final_fraction"
            )
        return self

    @model_validator(mode="after")
    def _a_label_cap_has_labels(self) -> Config:
        labelled = self.task.labels or self.task.kind == "classification"
        if self.curation.max_per_label is not None and not labelled:
            raise ValueError(
                f"curation.max_per_label caps labels, and a task of kind {self.task.kind} has none;"
                " name them in task.labels, or set task.kind to classification"
            )
        return self

    @property
    def judges(self) -> tuple[ServiceSettings, ...]:
        """The judges; the service LLM itself where none is configured. One that has no
        ``egress_hosts`` of its own may go where the service LLM may, and nowhere else."""
        allowed = {"egress_hosts": self.service.egress_hosts}
        return tuple(
            judge if judge.egress_hosts is not None else judge.model_copy(update=allowed)
            for judge in self.judging.judges
        ) or (self.service,)


# --- reading ------------------------------------------------------------------------------


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read ``path`` and apply ``overrides`` of the form ``finetuning.epochs=2``.

    Raises:
        UsageError: there is no such file.
        ConfigError: with every problem found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"{path} does not exist.",
            hint="`llamaduo init --from YOUR_DATA` writes one; --config names another.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    return parse_config(text, str(path), overrides)


def parse_config(text: str, place: str, overrides: Sequence[str] = ()) -> Config:
    """Like :func:`load_config`, from text; ``place`` names it in messages."""
    values, lines = _parse_yaml(text, place)
    origins = {_apply(values, override): override for override in overrides}
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        apart = [one for each in error.errors() for one in _apart(each)]
        found = [_problem(one, lines, place, origins) for one in apart]
        raise ConfigError(sorted(found, key=_line)) from None


def _parse_yaml(text: str, place: str) -> tuple[dict[str, Any], Any]:
    """The plain values, and the same tree with line numbers."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        values = YAML(typ="safe", pure=True).load(text)
        lines = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{place}, line {mark.line + 1}" if mark else place
        raise ConfigError(
            [Problem(where, f"not YAML: {error.problem}", "Check quotes, colons and indentation.")]
        ) from None
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: the 45th of a month
        raise ConfigError([Problem(place, f"not YAML: {error}")]) from None
    if values is None:
        values, lines = {}, {}
    if not isinstance(values, dict):
        raise ConfigError(
            [Problem(f"{place}, line 1", "not a mapping of sections", "Begin with `coverage:`.")]
        )
    return values, lines


def _apply(values: dict[str, Any], override: str) -> tuple[str, ...]:
    """Set one ``a.b=value`` in ``values``, the value read as YAML; returns its path."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    name, equals, raw = override.partition("=")
    path = tuple(name.strip().split("."))
    if not equals or not all(path):
        raise ConfigError(
            [Problem(f"--set {override}", "not KEY=VALUE", "As in --set finetuning.epochs=2.")]
        )
    try:
        value = YAML(typ="safe", pure=True).load(raw)
    except (YAMLError, ValueError, RecursionError):
        raise ConfigError(
            [Problem(f"--set {override}", "the value is not YAML", "Quote it.")]
        ) from None
    section = values
    for key in path[:-1]:
        inner = section.get(key)
        section[key] = dict(inner) if isinstance(inner, dict) else {}
        section = section[key]
    section[path[-1]] = value
    return path


def _apart(error: ErrorDetails) -> list[ErrorDetails]:
    """An error for each of the contradictions of a section, at the setting that it begins with."""
    cause = error.get("ctx", {}).get("error")
    if not isinstance(cause, Contradictions):
        return [error]
    return [
        {**error, "type": _CONTRADICTION, "loc": (*error["loc"], words.split()[0]), "msg": words}
        for words in cause.problems
    ]


_CONTRADICTION = "contradiction"


def _problem(
    error: ErrorDetails, lines: Any, place: str, origins: Mapping[tuple[str, ...], str]
) -> Problem:
    loc = tuple(part for part in error["loc"] if part != "[key]") or _named_in(error["msg"])
    names = tuple(str(part) for part in loc)
    override = next((text for path, text in origins.items() if path[: len(names)] == names), None)
    where = f"--set {override}" if override and names else _place_of(loc, lines, place)
    dotted = ".".join(names) or "the configuration"
    if error["type"] == "extra_forbidden":
        return Problem(where, f"unknown key {dotted}", _nearest(loc))
    if error["type"] == "missing":
        return Problem(where, f"{dotted} is missing", _advice(loc))
    if error["type"] == _CONTRADICTION:
        return Problem(where, f"{'.'.join(names[:-1])}.{error['msg']}")
    what = error["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
    hidden = isinstance(error["input"], dict | BaseModel) or names[-1:] in _NEVER_ECHOED
    shown = "" if hidden else f" (found {error['input']!r})"
    return Problem(where, f"{dotted}: {what}{shown}", _advice(loc))


_NEVER_ECHOED = (("api_key_env",), ("api_key_file",), ("base_url",), ("token_env",))
"""Where people paste a key by mistake."""


def _named_in(message: str) -> tuple[str, ...]:
    """The setting that a check across sections begins its message with."""
    first = message.removeprefix("Value error, ").partition(" ")[0]
    return tuple(first.split(".")) if first.partition(".")[0] in Config.model_fields else ()


def _place_of(loc: Sequence[int | str], lines: Any, place: str) -> str:
    """``FILE, line N`` of the deepest part of ``loc`` that is in the file."""
    line = 1
    node: Any = lines
    for part in loc:
        try:
            find = node.lc.item if isinstance(part, int) else node.lc.key
            line, node = find(part)[0] + 1, node[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return f"{place}, line {line}"


def _line(problem: Problem) -> int:
    """Where it is in the file; what the command line says comes last."""
    line = problem.place.rpartition(", line ")[2]
    return int(line) if line.isdecimal() else sys.maxsize


def _nearest(loc: Sequence[int | str]) -> str:
    model = _model_at(loc[:-1])
    if model is None:
        return ""
    known = list(model.model_fields)
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(known)}."


def _advice(loc: Sequence[int | str]) -> str:
    """What the field is for, and an example or its default."""
    model = _model_at(loc[:-1]) if loc else None
    field = model.model_fields.get(str(loc[-1])) if model else None
    if field is None:
        return ""
    parts = [field.description] if field.description else []
    if field.examples:
        parts.append(f"Example: {field.examples[0]!r}.")
    elif not field.is_required() and not isinstance(field.default, BaseModel | None):
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        parts.append(f"Default: {default!r}.")
    return " ".join(parts)


def _model_at(loc: Sequence[int | str]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Config
    for part in loc:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part) if model else None
        model = _model_in(field.annotation) if field else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in get_args(annotation) if (m := _model_in(a))), None)


# --- what a run keeps ---------------------------------------------------------------------

FREE_TO_CHANGE = (
    "target",
    "limits",
    "local.revision",
    "judging.max_unscored",
    "synthesis.max_failed",
    "inference.batch_size",
    "inference.base_url",
    "inference.token_env",
    "inference.model",
    "inference.serve_command",
    "inference.start_seconds",
    "inference.sleep",
    "inference.concurrency",
    "inference.timeout_seconds",
    "finetuning.batch_size",
    "finetuning.micro_batch",
    "finetuning.activation_checkpointing",
    "finetuning.attention",
    "finetuning.liger",
    "finetuning.processes",
    "finetuning.save_every_minutes",
    "finetuning.report_to",
    "service.base_url",
    "service.api_key_env",
    "service.api_key_file",
    "service.project",
    "service.location",
    "service.structured",
    "service.mode",
    "service.batch",
    "service.rates",
    "service.egress_hosts",
    "service.price",
    "service.concurrency",
    "service.timeout_seconds",
    "service.deadline_seconds",
    "service.terms",
    "deployment",
    "cost",
)
"""What may differ when a run is resumed: it changes no record that is there already. The batch
sizes are among them because running out of memory is mended by lowering them; the revision,
because the base model is held to by its fingerprint."""

_OPERATIONAL = tuple(
    name.removeprefix("service.") for name in FREE_TO_CHANGE if name.startswith("service.")
)


def dump_config(
    config: Config,
    *,
    version: str,
    rehearsed: bool,
    stands_in_for: Mapping[str, ServiceSettings] | None = None,
) -> str:
    """``run.yaml``: the resolved configuration, and what resolved it.

    ``stands_in_for`` has the real settings of each service LLM that a rehearsal replaced, by
    the name of its stand-in: what a report prices the calls by.
    """
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe", pure=True)  # its attributes are typed as None
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    origin: dict[str, Any] = {"version": version, "rehearsed": rehearsed}
    if stands_in_for:
        real = {"model", "base_url", "price"}
        origin["stands_in_for"] = [
            {"name": name, **settings.model_dump(mode="json", include=real)}
            for name, settings in stands_in_for.items()
        ]
    header = {"llamaduo": origin}
    buffer = io.StringIO()
    yaml.dump(header | config.model_dump(mode="json"), buffer)
    return buffer.getvalue()


def read_resolved(path: Path) -> tuple[Config, bool]:
    """The configuration a run was last carried on with, and whether it was rehearsed.

    Raises:
        RunError: ``run.yaml`` is missing or damaged.
    """
    try:
        values, _ = _parse_yaml(path.read_text(encoding="utf-8"), str(path))
        header = values.pop("llamaduo")
        values.setdefault("redaction", {"mode": "off"})  # a run from before there was any
        values["finetuning"].setdefault("method", "lora")  # or from before there was a choice
        return Config.model_validate(values), bool(header["rehearsed"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ConfigError) as error:
        raise RunError(
            f"{path} is not the configuration of a run: {error}",
            hint="Restore the file, or start a new run with --name.",
        ) from error


def differences(before: Config, now: Config) -> dict[str, str]:
    """Keys that differ and may change records that a run has, each with both values in words."""
    old, new = (_flat(config.model_dump(mode="json")) for config in (before, now))
    return {
        key: f"{key}: the run has {old.get(key)!r}, the configuration {new.get(key)!r}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not _free(key)
    }


def _free(key: str) -> bool:
    if key == "name" or any(key == name or key.startswith(f"{name}.") for name in FREE_TO_CHANGE):
        return True
    parts = key.split(".")
    return parts[:2] == ["judging", "judges"] and len(parts) > 3 and parts[3] in _OPERATIONAL


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    items: list[tuple[str, Any]]
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = [(str(i), v) for i, v in enumerate(value)]
    else:
        return {prefix: value}
    if not items:
        return {prefix: value}
    return {k: v for name, v1 in items for k, v in _flat(v1, f"{prefix}.{name}".strip(".")).items()}
