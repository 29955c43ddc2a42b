"""Whether parity is what the kept answers come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llamaduo.deployment.parity import Candidate, compare
from llamaduo.errors import RunError
from llamaduo.records import Pair, Parity, ParityCheck
from llamaduo.verification.checks import Finding
from llamaduo.verification.records import Records


@dataclass(frozen=True, slots=True)
class _Answer:
    """What every file of answers has, whichever form gave them."""

    pair_id: str
    text: str


def parity(records: Records, finding: Finding) -> None:
    """Identical answers, exact matches and the first divergence of every form, counted again.

    Points of score are taken as recorded: they were judged for parity alone.
    """
    recorded = records.one("parity.json", Parity)
    expected = _answers(records, "training-time")
    asked = tuple(pair for pair in records.split("test") if pair.id in expected)
    finding.require(
        recorded.prompts == len(asked) == len(expected),
        f"parity.json counts {recorded.prompts} prompts; training-time.jsonl has {len(expected)}"
        f" answers, {len(asked)} of them to test prompts",
    )
    for check in recorded.checks:
        found = _answers(records, _file_of(check.form))
        finding.checked += len(found)
        if expected.keys() != found.keys():
            finding.differ(f"{_file_of(check.form)}.jsonl answers other prompts")
            continue
        again = _again(check, asked, expected, found, recorded.required)
        finding.same(f"parity.json, {check.form}", check, again)
    if any(check.score_difference for check in recorded.checks):
        finding.notes.append("Its differences of score were not judged again.")


def _again(
    check: ParityCheck,
    asked: tuple[Pair, ...],
    expected: Mapping[str, str],
    found: Mapping[str, str],
    required: float,
) -> ParityCheck:
    candidate = Candidate(check.form, found, check.template_note)
    scored = check.score_difference or None
    return compare(asked, expected, candidate, required=required, scored=scored)


def _file_of(form: str) -> str:
    """The file, without its ending, that has the answers of ``form``."""
    kind, _, rest = form.partition(" ")
    return {"gguf": f"model-{rest}", "server": "server"}.get(kind, kind)


def _answers(records: Records, name: str) -> dict[str, str]:
    if "/" in name or name.startswith("."):
        raise RunError(f"parity.json names a form that has no file: {name}.")
    answers = records.many(f"parity/{name}.jsonl", _Answer)
    return {one.pair_id: one.text for one in answers}
