"""Where the course of a training is reported to, besides its parent."""

from __future__ import annotations

from importlib.util import find_spec

from llamaduo.errors import ExtraMissing
from llamaduo.finetuning.settings import FinetuningSettings


def check_trackers(settings: FinetuningSettings) -> None:
    """Before a run spends anything: transformers looks for a tracker when the model is loaded.

    Raises:
        ExtraMissing: a tracker is named that is not installed.
    """
    missing = [name for name in settings.report_to if find_spec(name) is None]
    if missing:
        raise ExtraMissing(
            f"finetuning.report_to names {' and '.join(missing)}, which this environment lacks.",
            hint=f"pip install {' '.join(missing)}, or take it out of finetuning.report_to.",
        )
