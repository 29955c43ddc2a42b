"""Which engine runs a checkpoint, and where it finds it."""

from __future__ import annotations

from pathlib import Path

from llamaduo.inference.protocol import LocalLLM
from llamaduo.inference.served import Served
from llamaduo.inference.settings import InferenceSettings
from llamaduo.records import Checkpoint, Notify, silent

Place = Path | Served | None
"""A GGUF file of the checkpoint, a server that runs it, or its own folders."""


def open_engine(
    checkpoint: Checkpoint,
    settings: InferenceSettings,
    at: Place,
    *,
    as_trained: bool = False,
    notify: Notify = silent,
) -> LocalLLM:
    """The engine for ``at``. No weights are loaded yet; only the one chosen is imported.

    Raises:
        ExtraMissing: it is not installed.
    """
    if isinstance(at, Served):
        from llamaduo.inference.served_llm import ServedLLM

        return ServedLLM(checkpoint, at, settings, notify)
    if isinstance(at, Path):
        from llamaduo.inference.gguf_llm import GgufLLM

        return GgufLLM(checkpoint, at, settings)
    from llamaduo.inference.engine import TransformersEngine

    return TransformersEngine(checkpoint, batch_size=settings.batch_size, as_trained=as_trained)
