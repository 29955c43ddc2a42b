"""`llamaduo verify`: everything that follows from a run's records, derived again offline.

Nothing is sent and nothing is written into the run. A run that is unfinished is verified as far
as it got. What cannot be derived again is what the local LLM did: that would take the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from llamaduo.config import read_resolved
from llamaduo.errors import ExtraMissing, LlamaduoError
from llamaduo.records import Notify, silent
from llamaduo.service.calls import open_calls
from llamaduo.storage.manifest import read_manifest
from llamaduo.storage.run_directory import RunDirectory
from llamaduo.verification import data, files, judging, money, parity, synthesis, verdicts
from llamaduo.verification.checks import Check, Finding
from llamaduo.verification.records import Records

Inspect = Callable[[Records, Finding], None]

NOT_CHECKED = (
    "Not checked: whether the local LLM gave these responses, which takes the model; and whether"
    " the ledger is what the services sent: nothing in a run is signed."
)
"""What no check of a run can tell from its records."""


@dataclass(frozen=True, slots=True)
class _Inspection:
    """What is looked at under ``name``, and in which words: ``unit`` held ``against``."""

    name: str
    inspect: Inspect
    unit: str
    against: str


def verify(directory: RunDirectory, *, notify: Notify = silent) -> tuple[Check, ...]:
    """Every check of the run in ``directory``, in the order of its stages.

    Raises:
        RunError: ``manifest.json`` or ``run.yaml`` cannot be read, so that nothing else can be.
        RunIncompatible: another version wrote the run.
    """
    manifest = read_manifest(directory.manifest)
    config, rehearsed = read_resolved(directory.configuration)
    with ExitStack() as stack:
        calls = None
        if directory.ledger.is_file():
            calls = stack.enter_context(open_calls(directory.ledger))
        records = Records(directory, config, manifest, calls, notify, rehearsed)
        return tuple(_carry_out(one, records) for one in _inspections(records))


def _carry_out(one: _Inspection, records: Records) -> Check:
    """One check. A file that cannot be read, or fits no other, is a difference."""
    finding = Finding()
    try:
        one.inspect(records, finding)
    except ExtraMissing as missing:
        finding.left_out = f"{missing.message} {missing.hint}"
    except LlamaduoError as error:
        finding.differ(error.message)
    except KeyError as stranger:
        finding.differ(f"a record names {stranger}, which is not there")
    except (ArithmeticError, IndexError, ValueError) as error:
        finding.differ(f"the records have values that nothing can be computed from: {error}")
    except OSError as error:
        finding.differ(f"{error.filename or records.root}: {error.strerror}")
    return finding.close(one.name, one.unit, one.against)


def _inspections(records: Records) -> Iterator[_Inspection]:
    yield _Inspection("files", files.hashes, "file", "the hashes in manifest.json")
    if records.found_calls is not None or _was_paid(records):
        yield _Inspection("ledger", money.ledger, "call", "the hash of its request")
    if records.is_finished("import"):
        yield _Inspection("import", data.imported, "pair", "the hash in its id")
    if records.is_finished("split"):
        yield _Inspection("split", data.divided, "pair", "splitting again")
    for stage in records.manifest.stages:
        yield from _of_stage(stage)
    yield _Inspection("verdict", verdicts.verdicts, "verdict", "scores and target")
    if _was_paid(records):
        yield _Inspection("spend", money.spent, "answered call", "tokens in its reply, price")
    if (records.root / "parity.json").exists():
        yield _Inspection("parity", parity.parity, "answer", "those of the training-time model")
    if records.directory.bundle.exists():
        yield _Inspection("bundle", files.bundle, "file", "the hashes in bundle.json, and the run")


def _was_paid(records: Records) -> bool:
    return any(
        stage.endswith(("/answer", "/judge", "/synthesize")) for stage in records.manifest.stages
    )


def _of_stage(stage: str) -> Iterator[_Inspection]:
    """What is checked of a stage of base, a cycle or final."""
    where, _, kind = stage.rpartition("/")
    number = where.rpartition("/")[2]
    cycle = int(number) if number.isdecimal() else 0
    if kind == "finetune":
        trained = partial(data.trained, cycle=cycle)
        yield _Inspection(f"{where}/training", trained, "pair", "the splits and what was kept")
    if kind == "infer":
        answered = partial(data.answered, where=where)
        yield _Inspection(f"{where}/responses", answered, "response", "the prompts of its split")
    if kind == "answer":
        replied = partial(judging.answered_by_service, where=where)
        yield _Inspection(f"{where}/responses", replied, "response", "its raw reply")
    if kind == "judge":
        judged = partial(judging.judged, where=where)
        scored = partial(judging.scored, where=where)
        yield _Inspection(f"{where}/judgements", judged, "judgement", "its raw reply")
        yield _Inspection(f"{where}/scores", scored, "figure", "judgements and responses")
    if kind == "synthesize":
        synthesized = partial(synthesis.synthesized, cycle=cycle)
        yield _Inspection(f"{where}/synthesis", synthesized, "pair", "the raw replies")
    if kind == "curate":
        curated = partial(synthesis.curated, cycle=cycle)
        yield _Inspection(f"{where}/curation", curated, "pair", "curating again")
