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
    "LlamaduoError": "llamaduo.errors",
    "Pair": "llamaduo.records",
    "Scores": "llamaduo.records",
    "Verdict": "llamaduo.records",
}

__all__ = [
    "Config",
    "LlamaduoError",
    "Pair",
    "Run",
    "Scores",
    "Verdict",
    "__version__",
    "load_config",
    "migrate",
]

if TYPE_CHECKING:
    from llamaduo.config import Config, load_config
    from llamaduo.cycle import migrate
    from llamaduo.errors import LlamaduoError
    from llamaduo.records import Pair, Scores, Verdict
    from llamaduo.run import Run


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'llamaduo' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
