"""llamaduo: carry a task from a service LLM to a small local LLM, and prove that it arrived.

The public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Config": "llamaduo.config",
    "load_config": "llamaduo.config",
    "Run": "llamaduo.run",
    "migrate": "llamaduo.cycle",
    "curate": "llamaduo.curation.curate",
    "CurationSettings": "llamaduo.curation.settings",
    "TaskSettings": "llamaduo.tasks.settings",
    "LlamaduoError": "llamaduo.errors",
    "FinalSplit": "llamaduo.records",
    "Message": "llamaduo.records",
    "Pair": "llamaduo.records",
    "Provenance": "llamaduo.records",
    "Scores": "llamaduo.records",
    "TestSplit": "llamaduo.records",
    "TrainSplit": "llamaduo.records",
    "Verdict": "llamaduo.records",
}

__all__ = [
    "Config",
    "CurationSettings",
    "FinalSplit",
    "LlamaduoError",
    "Message",
    "Pair",
    "Provenance",
    "Run",
    "Scores",
    "TaskSettings",
    "TestSplit",
    "TrainSplit",
    "Verdict",
    "__version__",
    "curate",
    "load_config",
    "migrate",
]

if TYPE_CHECKING:
    from llamaduo.config import Config, load_config
    from llamaduo.curation.curate import curate
    from llamaduo.curation.settings import CurationSettings
    from llamaduo.cycle import migrate
    from llamaduo.errors import LlamaduoError
    from llamaduo.records import (
        FinalSplit,
        Message,
        Pair,
        Provenance,
        Scores,
        TestSplit,
        TrainSplit,
        Verdict,
    )
    from llamaduo.run import Run
    from llamaduo.tasks.settings import TaskSettings


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'llamaduo' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
