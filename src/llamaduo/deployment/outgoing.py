"""What would leave this machine when a run is published, and what speaks against it.

A :class:`Plan` is made without any network. Nothing with personal data in it goes public, and
nothing made with a service LLM's replies whose terms are not known to allow it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from llamaduo.deployment.bundle import CARD, MANIFEST, Bundle, open_bundle
from llamaduo.deployment.card import dataset_card
from llamaduo.deployment.dataset import (
    TRAINED_ON,
    DataFacts,
    Personal,
    RunPairs,
    data_facts,
    from_the_service,
    read_pairs,
    rows,
)
from llamaduo.deployment.hub import RepositoryKind
from llamaduo.deployment.licence import hub_name
from llamaduo.errors import BundleError, PublishRefused, UsageError
from llamaduo.redaction.find import PERSONAL, find
from llamaduo.storage.atomic import write_atomic
from llamaduo.storage.jsonl import write_record
from llamaduo.tasks.settings import TaskSettings

DATASET_MANIFEST = "dataset.json"
ANSWERS = "answers in bundle.json"
"""What the parity check quotes there: the first answers that differ."""
SHOWN_IDS = 5
"""How many ids of pairs a refusal names."""
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Package:
    """The files of one repository, by the name they get there."""

    repository: str
    kind: RepositoryKind
    files: Mapping[str, Path]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(path.stat().st_size for path in self.files.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would leave this machine. ``personal`` is by place: a split, or :data:`ANSWERS`.

    ``exposed`` names the splits that count against publishing: those that are sent, and those
    that the model was trained on. ``from_service`` has the ids of their pairs that a service
    LLM wrote.
    """

    bundle: Bundle
    packages: tuple[Package, ...]
    data: DataFacts
    personal: Mapping[str, Personal]
    exposed: tuple[str, ...]
    from_service: tuple[str, ...]
    public: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know beside the figures."""
        return tuple(_notes(self))


def plan(
    run: Path,
    folder: Path,
    repository: str,
    task: TaskSettings,
    *,
    public: bool,
    dataset: bool,
    staging: Path,
) -> Plan:
    """Collect what would leave, without any network.

    Args:
        run: the run directory; ``folder``: its bundle, every file of which is checked.
        repository: OWNER/NAME; the dataset goes to OWNER/NAME-data.
        staging: an empty folder for the dataset's files.

    Raises:
        BundleError: the bundle is damaged, or has no card.
        RunError: a file of the run is missing or damaged.
        UsageError: ``repository`` cannot be one's name.
    """
    _check_name(repository)
    bundle = open_bundle(folder)
    if CARD not in bundle.files:
        raise BundleError(
            f"{folder} has no {CARD}: nothing is published without a model card.",
            hint="Pack it again with `llamaduo deploy`.",
        )
    pairs = read_pairs(run)
    facts = data_facts(pairs)
    model = {name: folder / name for name in (*sorted(bundle.files), MANIFEST)}
    packages = [Package(repository, "model", model)]
    if dataset:
        files = _write_dataset(pairs, facts, bundle, task, repository, staging)
        packages.append(Package(f"{repository}-data", "dataset", files))
    trained = TRAINED_ON if bundle.cycle is not None else ()
    exposed = tuple(split for split in pairs.splits if dataset or split in trained)
    return Plan(
        bundle=bundle,
        packages=tuple(packages),
        data=facts,
        personal=dict(facts.personal) | {ANSWERS: _in_answers(bundle)},
        exposed=exposed,
        from_service=tuple(pair.id for pair in from_the_service(pairs.of(*exposed))),
        public=public,
    )


def _check_name(repository: str) -> None:
    if not _REPOSITORY.fullmatch(repository) or re.search(r"\.\.|--|\.git$", repository):
        raise UsageError(
            f"--repo {repository!r} cannot be a repository's name.",
            hint="Give OWNER/NAME: a user or an organization, and letters, digits, '.', '_', '-'.",
        )


def _write_dataset(
    pairs: RunPairs,
    facts: DataFacts,
    bundle: Bundle,
    task: TaskSettings,
    repository: str,
    staging: Path,
) -> dict[str, Path]:
    schemas = any(pair.json_schema for pair in pairs.of(*pairs.splits))
    texts = {
        f"data/{split}.jsonl": rows(found, schemas=schemas)
        for split, found in pairs.splits.items()
        if found
    }
    name = f"{repository.partition('/')[2]}-data"
    texts[CARD] = dataset_card(name, facts, task, bundle.terms, rehearsed=bundle.rehearsed)
    for place, text in texts.items():
        write_atomic(staging / place, text)
    write_record(
        staging / DATASET_MANIFEST,
        DatasetManifest(1, facts.split_sha256, dict(facts.counts), bundle.rehearsed),
    )
    return {place: staging / place for place in (*texts, DATASET_MANIFEST)}


@dataclass(frozen=True, slots=True)
class DatasetManifest:
    """``dataset.json`` of a published dataset: which split it is, and how many pairs it has."""

    format: int
    split_sha256: str
    pairs: dict[str, int]
    rehearsed: bool


def _in_answers(bundle: Bundle) -> Personal:
    """Personal data in the answers that ``bundle.json`` quotes where two forms differ."""
    found: dict[str, list[str]] = {}
    for check in bundle.parity.checks if bundle.parity else ():
        if parted := check.first_divergence:
            for finding in find(f"{parted.expected}\n\n{parted.found}"):
                found.setdefault(finding.kind, []).append(parted.pair_id)
    return Personal(
        {kind: len(ids) for kind, ids in found.items()},  # type: ignore[misc]
        {kind: tuple(dict.fromkeys(ids)) for kind, ids in found.items()},  # type: ignore[misc]
    )


def _notes(plan: Plan) -> Iterator[str]:
    bundle = plan.bundle
    if bundle.rehearsed:
        yield "This is a REHEARSAL: a program stood in for the service LLM. The card says so."
    if bundle.verdict.outcome != "passed":
        yield "The target was missed. The card says so first."
    if _base_is_here(bundle):
        yield f"{MANIFEST} names the base model by a folder of this machine: {bundle.model}"
        yield "It is an adapter of that folder: nobody else can run it. Pack it merged instead."


def _base_is_here(bundle: Bundle) -> bool:
    """Whether it is an adapter of a folder of this machine, which its files name."""
    return bundle.form == "adapter" and hub_name(bundle.model) is None


# --- what speaks against it ---------------------------------------------------------------


def check_public(plan: Plan) -> None:
    """Nothing goes public that must not.

    Raises:
        PublishRefused: with every reason, the kinds, some of the pairs, and the next step.
    """
    if not plan.public:
        return
    personal, terms = list(_personal_reasons(plan)), list(_terms_reasons(plan))
    rehearsal = [_REHEARSED] if plan.bundle.rehearsed else []
    base = [_OF_A_FOLDER] if _base_is_here(plan.bundle) else []
    if reasons := personal + terms + rehearsal + base:
        lines = "\n".join(f"  - {reason}" for reason in reasons)
        open_terms = terms and plan.bundle.terms is None
        wanted = {_WITHOUT: personal, _STATE: open_terms, _MERGED: base}
        steps = [_PRIVATELY, *(step for step, needed in wanted.items() if needed)]
        raise PublishRefused(
            f"This run cannot be published publicly:\n{lines}", hint=" ".join(steps)
        )


_PRIVATELY = "Leave --public out to publish it privately."
_WITHOUT = (
    "For a public one, take these pairs out of the coverage data, or what is personal out of"
    " them, and run again with --name."
)
_STATE = (
    "State the terms that you accepted under service.terms, and pack the bundle again with"
    " `llamaduo deploy`."
)
_OF_A_FOLDER = (
    "it is an adapter of a folder of this machine, whose path would be public, and without which"
    " nobody can run it."
)
_MERGED = "Pack it merged: `llamaduo deploy --form merged`."
_REHEARSED = "it is a rehearsal: its scores come from a program, not from a judge."


def _personal_reasons(plan: Plan) -> Iterator[str]:
    for place in (*plan.exposed, ANSWERS):
        found = plan.personal[place]
        if found.kinds:
            what = ", ".join(f"{number} × {PERSONAL[kind]}" for kind, number in found.kinds.items())
            sent = any(package.kind == "dataset" for package in plan.packages)
            behind = "" if sent or place == ANSWERS else " (the model was trained on them)"
            yield (
                f"personal data that is not redacted in {place}{behind}: {what},"
                f" in {_some(found.affected)}."
            )


def _terms_reasons(plan: Plan) -> Iterator[str]:
    terms = plan.bundle.terms
    if terms is not None and not terms.allow_publishing:
        yield (
            f"the terms of {terms.service}, as accepted, do not allow publishing"
            " (service.terms.allow_publishing is false)."
        )
    elif terms is None and plan.from_service:
        yield (
            f"a service LLM wrote {len(plan.from_service)} of the responses, and its provider's"
            f" terms are not stated: {_some(plan.from_service)}."
        )


def _some(ids: tuple[str, ...]) -> str:
    """``3 pairs: a, b, c``; the first few of many."""
    noun = "pair" if len(ids) == 1 else "pairs"
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    return f"{len(ids)} {noun}: {', '.join(ids[:SHOWN_IDS])}{more}"
