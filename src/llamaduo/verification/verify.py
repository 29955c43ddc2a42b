"""`llamaduo verify`: everything that follows from a run's records, derived again offline.

Nothing is sent and nothing is written into the run. A run that is unfinished is verified as far
as it got. What cannot be derived again is what the local LLM did: that would take the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

from llamaduo.config import read_resolved
from llamaduo.errors import ExtraMissing, LlamaduoError
from llamaduo.records import Notify, silent
from llamaduo.service.calls import open_calls
from llamaduo.storage.manifest import read_manifest
from llamaduo.storage.run_directory import RunDirectory
from llamaduo.verification import data, files, judging, money, synthesis, verdicts
from llamaduo.verification.checks import Check, Finding
from llamaduo.verification.records import Records

Inspect = Callable[[Records, Finding], None]


def verify(directory: RunDirectory, *, notify: Notify = silent) -> tuple[Check, ...]:
    """Every check of the run in ``directory``, in the order of its stages.

    Raises:
        RunError: ``manifest.json`` or ``run.yaml`` cannot be read, so that nothing else can be.
        RunIncompatible: another version wrote the run.
    """
    manifest = read_manifest(directory.manifest)
    config, _ = read_resolved(directory.configuration)
    with ExitStack() as stack:
        calls = None
        if directory.ledger.is_file():
            calls = stack.enter_context(open_calls(directory.ledger))
        records = Records(directory, config, manifest, calls, notify)
        return tuple(_carry_out(name, inspect, records) for name, inspect in _inspections(records))


def _carry_out(name: str, inspect: Inspect, records: Records) -> Check:
    """One check. A file that cannot be read, or fits no other, is a difference."""
    finding = Finding()
    try:
        inspect(records, finding)
    except ExtraMissing as missing:
        finding.left_out = f"{missing.message} {missing.hint}"
    except LlamaduoError as error:
        finding.differ(error.message)
    except KeyError as stranger:
        finding.differ(f"a record names {stranger}, which is not there")
    return finding.close(name)


def _inspections(records: Records) -> Iterator[tuple[str, Inspect]]:
    yield "files", files.hashes
    if records.found_calls is not None or _was_paid(records):
        yield "ledger", money.ledger
    if records.is_finished("import"):
        yield "import", data.imported
    if records.is_finished("split"):
        yield "split", data.divided
    for stage in records.manifest.stages:
        yield from _of_stage(stage)
    yield "verdict", verdicts.verdicts
    if _was_paid(records):
        yield "spend", money.spent
    if records.directory.bundle.exists():
        yield "bundle", files.bundle


def _was_paid(records: Records) -> bool:
    return any(stage.endswith(("/judge", "/synthesize")) for stage in records.manifest.stages)


def _of_stage(stage: str) -> Iterator[tuple[str, Inspect]]:
    """What is checked of a stage of base, a cycle or final."""
    where, _, kind = stage.rpartition("/")
    number = where.rpartition("/")[2]
    cycle = int(number) if number.isdecimal() else 0
    if kind == "finetune":
        yield f"{where}/training", partial(data.trained, cycle=cycle)
    if kind == "infer":
        yield f"{where}/responses", partial(data.answered, where=where)
    if kind == "judge":
        yield f"{where}/judgements", partial(judging.judged, where=where)
        yield f"{where}/scores", partial(judging.scored, where=where)
    if kind == "synthesize":
        yield f"{where}/synthesis", partial(synthesis.synthesized, cycle=cycle)
    if kind == "curate":
        yield f"{where}/curation", partial(synthesis.curated, cycle=cycle)
