"""The user's own llama.cpp converter, for models that our GGUF writer does not cover."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from llamaduo.deployment.gguf_files import partial_file, read_head
from llamaduo.deployment.settings import GgufKind
from llamaduo.errors import ExportUnsupported, ModelError
from llamaduo.records import Event, Notify, silent

_SCRIPT = "convert_hf_to_gguf.py"
_LAST_LINES = 8


def convert_with(
    converter: Path, model: Path, into: Path, kind: GgufKind, *, notify: Notify = silent
) -> Path:
    """Write the model folder ``model`` to the file ``into`` with llama.cpp's converter.

    Args:
        converter: ``convert_hf_to_gguf.py``, or the llama.cpp checkout that has it.
        model: a merged model folder.
        into: the file; what was there is replaced once the new one is whole.
        kind: passed on as ``--outtype``.
        notify: told before and after: the converter does not say how far it is.

    Raises:
        ModelError: there is no converter at that place.
        ExportUnsupported: it failed, or left no GGUF file.
        ExtraMissing: the ``gguf`` package is not installed.
    """
    script = require_script(converter)
    stage = f"gguf {kind}"
    notify(Event(stage, 0, 1, "files", detail=str(script)))
    with partial_file(into) as partial:
        _run(script, model, partial, kind)
        _check(script, partial)
    notify(Event(stage, 1, 1, "files"))
    return into


def require_script(converter: Path) -> Path:
    """The converter's script: itself, or that of a llama.cpp checkout.

    Raises:
        ModelError: there is none.
    """
    script = converter / _SCRIPT if converter.is_dir() else converter
    if not script.is_file():
        raise ModelError(
            f"{script} is missing: deployment.converter does not lead to llama.cpp's converter.",
            hint=f"Set it to a llama.cpp checkout, or to its {_SCRIPT}.",
        )
    return script.resolve()


def _run(script: Path, model: Path, partial: Path, kind: GgufKind) -> None:
    command = [sys.executable, str(script), str(model.resolve())]
    command += ["--outfile", str(partial.resolve()), "--outtype", kind.lower()]
    done = subprocess.run(  # noqa: S603 - no shell; the user's own script, named in the settings
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join(done.stderr.strip().splitlines()[-_LAST_LINES:]) or "(nothing)"
        raise ExportUnsupported(
            f"{script} could not convert {model} (exit code {done.returncode}). It said:\n{said}",
            hint=f"Run it by hand to see all of it: {' '.join(command)}\nIt needs the packages"
            " in the checkout's requirements.txt, and a llama.cpp that knows the model.",
        )


def _check(script: Path, partial: Path) -> None:
    try:
        tensors = read_head(partial).tensors
    except ModelError as error:
        raise ExportUnsupported(
            f"{script} ended well, but left no whole GGUF file: {error.message}",
            hint="Give it another llama.cpp checkout, or free disk space.",
        ) from error
    if not tensors:
        raise ExportUnsupported(
            f"{script} ended well, but the GGUF file that it left has no tensors.",
            hint="Give it another llama.cpp checkout.",
        )
