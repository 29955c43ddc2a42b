"""From the options of a command to a run that this process owns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llamaduo.config import Config, load_config
from llamaduo.errors import UsageError
from llamaduo.storage.cache import users_cache
from llamaduo.storage.run_directory import NAME_PATTERN, RunDirectory, run_directory

if TYPE_CHECKING:
    from llamaduo.records import Notify
    from llamaduo.run import Run


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works on. ``real`` is the configuration before a rehearsal changed it."""

    real: Config
    directory: RunDirectory
    root: Path
    rehearse: bool


def begin(
    config: Path, overrides: Sequence[str] | None, name: str | None, rehearse: bool
) -> Session:
    """Read the configuration and find the run's directory, beside the configuration file."""
    real = load_config(config, overrides or ())
    root = config.resolve().parent
    chosen = name or (f"{real.name}-rehearsal" if rehearse else real.name)
    return Session(real, run_directory(root / "runs", chosen), root, rehearse)


def begin_existing(
    config: Path, name: str | None, rehearse: bool, overrides: Sequence[str] | None = None
) -> Session:
    """Like :func:`begin`, for a run that must be there.

    Raises:
        UsageError: it is not.
    """
    session = begin(config, overrides, name, rehearse)
    if session.directory.manifest.is_file():
        return session
    rehearsal = begin(config, None, name, rehearse=True).directory
    found = rehearsal.manifest.is_file()
    raise UsageError(
        f"There is no run in {session.directory.root}.",
        hint="There is a rehearsal: add --rehearse."
        if found
        else "Start it with `llamaduo run`, or name another with --name.",
    )


@contextmanager
def owned(session: Session, notify: Notify, only: str | None = None) -> Iterator[Run]:
    """The run of ``session``, with the rehearsal service beside it if it is rehearsed."""
    from llamaduo.curation.extras import check_extras
    from llamaduo.finetuning.training.trackers import check_trackers
    from llamaduo.run import own_run

    check_extras(session.real.curation)
    check_trackers(session.real.finetuning)
    with ExitStack() as stack:
        config, replaced = session.real, {}
        if session.rehearse:
            from llamaduo.cli.rehearse import originals, stand_in
            from llamaduo.rehearsal.process import running_rehearsal
            from llamaduo.service.client import check_usable

            replaced = originals(config)
            config = stand_in(config, stack.enter_context(running_rehearsal()))
            check_usable(config.service, None)  # the rehearsal is spoken to like OpenAI
        yield stack.enter_context(
            own_run(
                config,
                session.directory,
                root=session.root,
                cache=model_cache(),
                rehearsed=session.rehearse,
                stands_in_for=replaced,
                only=only,
                notify=notify,
            )
        )


def find_run(text: str | None, runs: Path = Path("runs")) -> RunDirectory:
    """The run that ``text`` names: a run directory, or the name of one within ``runs``. None is
    the only run that there is.

    Raises:
        UsageError: there is no such run; the message says where it was looked for.
    """
    known = sorted(path.name for path in runs.glob("*") if _is_run(path))
    here = f"Runs in {runs}: {', '.join(known)}." if known else f"There is no run in {runs}."
    if text is None and len(known) == 1:
        return RunDirectory(runs / known[0])
    if text is None:
        what = "Which run?" if known else "There is no run to look at."
        raise UsageError(what, hint=f"{here} Name one, or the path of a run directory.")
    places = [Path(text), *([runs / text] if re.match(NAME_PATTERN, text) else [])]
    for place in places:
        if _is_run(place):
            return RunDirectory(place)
    looked = " and ".join(str(place) for place in places)
    raise UsageError(f"There is no run {text!r}: looked for {looked}.", hint=here)


def _is_run(place: Path) -> bool:
    return (place / "manifest.json").is_file() or (place / "run.yaml").is_file()


def model_cache() -> Path:
    """Where base models are kept."""
    return users_cache()
