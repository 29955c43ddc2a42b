"""The sets of responses that a run has: base, every cycle, final."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from llamaduo.errors import UsageError
from llamaduo.records import Verdict
from llamaduo.storage.jsonl import read_record


def set_folder(run: Path, which: str | None) -> str:
    """The folder of a set of responses: of ``base``, a cycle's number, ``final``, or of the service
    LLM's own answers, ``service`` and ``service-final``.

    None is the best cycle, or the last one that has responses where there is no verdict.

    Raises:
        UsageError: the run has no such set; the message lists those it has.
    """
    sets = dict(_sets(run))
    if which is None:
        which = _best(run, sets)
    name = str(int(which)) if which.isdecimal() else which
    if name not in sets:
        raise UsageError(
            f"{run} has no responses of {_in_words(which)}.",
            hint=f"It has: {', '.join(sets)}." if sets else "No inference has finished yet.",
        )
    return sets[name]


def _sets(run: Path) -> Iterator[tuple[str, str]]:
    """(name, folder) of each set, base first, the service LLM's own last."""
    cycles = (folder.name for folder in sorted((run / "cycles").glob("*")))
    places = [("base", "base")]
    places += [(str(int(name)), f"cycles/{name}") for name in cycles if name.isdecimal()]
    verdict = latest_verdict(run)
    finals = sorted(folder.name for folder in (run / "final").glob("*"))
    best = f"{verdict.best_cycle:03d}" if verdict else ""
    if finals:
        places.append(("final", f"final/{best if best in finals else finals[-1]}"))
    places += [(name, name) for name in ("service", "service-final")]
    return (one for one in places if (run / one[1] / "responses.jsonl").is_file())


def _best(run: Path, sets: dict[str, str]) -> str:
    verdict = latest_verdict(run)
    cycles = [name for name in sets if name.isdecimal()]
    if verdict and str(verdict.best_cycle) in cycles:
        return str(verdict.best_cycle)
    return cycles[-1] if cycles else "base"


def latest_verdict(run: Path) -> Verdict | None:
    """The run's verdict, or the last that a cycle reached."""
    paths = [run / "verdict.json", *sorted((run / "cycles").glob("*/verdict.json"))[::-1]]
    return next((read_record(path, Verdict) for path in paths if path.is_file()), None)


_WORDS = {
    "base": "the base model",
    "final": "the final split",
    "service": "the service LLM",
    "service-final": "the service LLM on the final split",
}


def _in_words(which: str) -> str:
    return _WORDS.get(which, f"cycle {which}")


def split_of(where: str) -> Literal["test", "final"]:
    """The split whose prompts the set in the folder ``where`` answers."""
    return "final" if where == "service-final" or where.startswith("final") else "test"


def set_words(where: str) -> str:
    """``cycle 1`` of ``cycles/001``."""
    kind, _, number = where.partition("/")
    return f"cycle {int(number)}" if kind == "cycles" else _in_words(kind)
