"""The exception tree: every error that llamaduo raises on purpose.

    LlamaduoError                  exit code 1
    ├── UsageError                 exit code 2: the user can mend it before anything runs
    │   ├── ConfigError            llamaduo.yaml, with every problem it has
    │   ├── DataError              coverage data that cannot be read or split
    │   ├── ModelError             a local model that is missing, unsafe or unsuitable
    │   ├── BundleError            a bundle that is damaged, unsafe or of another version
    │   ├── ExportUnsupported      a model that cannot be written exactly in another format
    │   ├── PublishRefused         what must not be published, or not there
    │   ├── KeyMissing             an API key or a token that is not set
    │   └── ExtraMissing           an optional dependency that is not installed
    ├── RunError                   a run directory that cannot be used
    │   ├── RunLocked              another process owns the run
    │   └── RunIncompatible        written by another version, or with another configuration
    ├── ServiceError               the service LLM did not do what was asked
    │   ├── ServiceRefused         it never will: bad key, no quota, unknown model
    │   │   └── QuestionRefused    it will not answer this one question; others may pass
    │   ├── ServiceUnavailable     it did not answer before the deadline
    │   └── BudgetExceeded         the next call could overshoot limits.budget_usd
    ├── StageFailed                a stage lost more than it may
    ├── PublishFailed              the Hub refused, could not be reached, or lost a file
    └── ParityMissed               a form of the model that answers differently: not promoted

Every message names the thing and the place; ``hint`` is the next step. Nothing below catches
``Exception`` to hide it: what is not in this tree is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class LlamaduoError(Exception):
    """Base of the tree. ``message`` says what and where, ``hint`` what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(LlamaduoError):
    """Wrong usage or configuration: nothing has run, nothing was written."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration: where, what, and what would be right."""

    place: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" + (f"\n    {self.fix}" if self.fix else "")


class ConfigError(UsageError):
    """Every problem of a configuration at once, in ``problems``."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        noun = "problem" if count == 1 else "problems"
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{count} {noun} in the configuration:\n{lines}")
        self.problems = tuple(problems)


class Contradictions(ValueError):
    """Settings of one section that do not go together: pydantic makes a ValidationError of it,
    and the configuration a problem of each. Every one begins with the name of a setting."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class DataError(UsageError):
    """Coverage data that cannot be read, imported or split."""


class ModelError(UsageError):
    """A local model that is missing, unsafe to load, or unsuitable for the data."""


class BundleError(UsageError):
    """A bundle that is damaged, unsafe to load, or was packed by another version."""


class ExportUnsupported(UsageError):
    """A model whose shape or tokenizer another format cannot hold exactly: never approximated."""


class PublishRefused(UsageError):
    """Something in the run, or on the Hub, speaks against publishing it like this."""


class KeyMissing(UsageError):
    """The API key of a service LLM, or the token of the Hub, is not set or not valid."""


class ExtraMissing(UsageError):
    """An optional dependency is not installed; the hint is the command that installs it."""


class RunError(LlamaduoError):
    """A run directory that cannot be used."""


class RunLocked(RunError):
    """Another process owns the run directory."""


class RunIncompatible(RunError):
    """The run was written by another version, or with another configuration."""


class ServiceError(LlamaduoError):
    """The service LLM did not do what was asked."""


class ServiceRefused(ServiceError):
    """A refusal that asking again will not change: bad key, no quota, unknown model."""


class QuestionRefused(ServiceRefused):
    """One question that will not be answered: filtered, too long, or answered with what is no
    reply. ``reason`` is short, for a record; ``call`` finds the raw replies in the ledger."""

    def __init__(
        self, message: str, *, reason: str = "", call: str | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason or message
        self.call = call


class ServiceUnavailable(ServiceError):
    """No usable answer arrived before the deadline."""


class BudgetExceeded(ServiceError):
    """The next call could overshoot ``limits.budget_usd``; it was not sent."""

    exit_code = 3  # stopped without meeting the target


class StageFailed(LlamaduoError):
    """A stage lost more of its work than it may."""


class PublishFailed(LlamaduoError):
    """The Hub refused, could not be reached, or does not show what was sent."""


class ParityMissed(LlamaduoError):
    """A form of the model answers too differently from the one that was judged: not promoted."""

    exit_code = 3  # stopped without meeting the target
