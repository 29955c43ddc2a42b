"""The frozen values that travel between rooms.

Nothing here reads, writes or computes more than a view of its own fields. The glossary in
``ARCHITECTURE.md`` maps each name to the paper's symbol.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]
ReferenceSource = Literal["human", "corrected", "service"]
Author = Literal["base", "local", "service"]
FinishReason = Literal["stop", "length"]
Metric = Literal["similarity", "precision"]
Outcome = Literal["passed", "undecided", "continue", "stopped"]
Form = Literal["merged", "adapter"]

METRICS: tuple[Metric, ...] = ("similarity", "precision")


# --- coverage -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message of a prompt."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a pair comes from.

    ``source`` is ``FILE:LINE`` for a coverage pair and the service LLM's model name for a
    synthetic one; ``cycle`` is the cycle after which it was synthesized; ``seeds`` the ids of
    the train pairs it was modelled on; ``call`` the ledger key of the reply it came in.
    """

    origin: Literal["coverage", "synthetic"]
    source: str
    cycle: int | None = None
    seeds: tuple[str, ...] = ()
    call: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """(I, R): a prompt, as chat messages that end with the user's, and its response.

    ``id`` is a hash of prompt and response (:func:`pair_id`), so the same pair has the same
    id wherever it comes from.
    """

    id: str
    messages: tuple[Message, ...]
    response: str
    reference_source: ReferenceSource
    provenance: Provenance
    json_schema: dict[str, Any] | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def instruction(self) -> str:
        """The last user message: what this pair asks."""
        return self.messages[-1].content

    @property
    def system(self) -> str | None:
        """The system prompt, if the pair has one."""
        return self.messages[0].content if self.messages[0].role == "system" else None


def pair_id(messages: Sequence[Message], response: str) -> str:
    """A stable 16-hex-digit id of a prompt and its response."""
    canonical = json.dumps([[m.role, m.content] for m in messages] + [response], ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class CoverageDataset:
    """D(0): the accepted pairs (Section 3.1)."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class TrainSplit:
    """The pairs that may be trained on and used as seeds. Never a :class:`TestSplit`."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class TestSplit:
    """The pairs that every cycle is judged on."""

    __test__ = False  # not a pytest class

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class FinalSplit:
    """The pairs that are judged once, after the loop has ended."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The coverage dataset, split once. ``sha256`` covers ids and their places."""

    train: TrainSplit
    test: TestSplit
    final: FinalSplit
    sha256: str
    clusters: int
    leaks: tuple[tuple[str, str], ...] = ()
    """Near-duplicate pairs (train id, held-out id) that a group key or size forced apart."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A row of the coverage data that was not imported: where it stands, and why."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Redacted:
    """Personal data of one kind that got stand-ins: how often it was found, in how many pairs.
    ``kind`` is one of the finder's, or the name of a pattern of the user's own."""

    kind: str
    found: int
    pairs: int


@dataclass(frozen=True, slots=True)
class ImportFigures:
    """``coverage/import.json``: what reading the coverage data brought. ``redacted`` is None
    where redaction was off."""

    read: int
    duplicates: int
    refused: tuple[Refused, ...] = ()
    redacted: tuple[Redacted, ...] | None = None


@dataclass(frozen=True, slots=True)
class SplitFigures:
    """``coverage/split.json``: a :class:`Split` without its pairs."""

    train: int
    test: int
    final: int
    sha256: str
    clusters: int
    leaks: tuple[tuple[str, str], ...] = ()

    @property
    def accepted(self) -> int:
        return self.train + self.test + self.final


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStatistics:
    """Table 4: tokens of prompt and response together, as the local LLM counts them.

    ``deviation`` is the population standard deviation.
    """

    pairs: int
    shortest: int
    longest: int
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths in tokens. A pair fits when prompt and response together do not exceed ``window``.

    ``histogram`` holds (upper bound in tokens, pairs): the bounds are powers of two, each
    bar counts the pairs above the bound before it, and empty bars between others are kept.
    """

    pairs: int
    fits: int
    longest_prompt: int
    longest_response: int
    histogram: tuple[tuple[int, int], ...]
    window: int
    longest_train_response: int = 0
    """What the length of answers is bounded by; held-out references have no say in it."""
    tokens: dict[str, TokenStatistics] = field(default_factory=dict)
    """By split: "train", "test" and "final", as far as they have pairs."""

    @property
    def share(self) -> float:
        """The share of pairs that fit, 0 to 1."""
        return self.fits / self.pairs if self.pairs else 0.0


# --- the local LLM ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """π(t): the local LLM after ``cycle``, or the base model when ``cycle`` is None.

    ``base`` is a local folder with safetensors, ``adapter`` the folder of the LoRA adapter
    on top of it, or None where there is none or it is merged into the weights.
    """

    model: str
    base: str
    adapter: str | None = None
    cycle: int | None = None
    window: int
    """Tokens the model can attend to."""
    fingerprint: str = ""
    """Tells the files in ``base`` from those of another model; empty where nobody took it."""
    revision: str | None = None
    """The Hub's commit of ``base``, where it came from there."""

    @property
    def author(self) -> Author:
        return "base" if self.cycle is None else "local"


@dataclass(frozen=True, slots=True)
class BaseFigures:
    """``coverage/base.json``: which base model the run is about."""

    model: str
    window: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFigures:
    """What a fine-tuning measured. Losses are mean cross-entropy per response token, in nats."""

    pairs: int
    set_aside: int
    """Pairs longer than the window, counted and not trained on."""
    epochs: float
    steps: int
    tokens: int
    """Prompt and response tokens seen, all epochs."""
    seconds: float
    first_loss: float
    last_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """R̂: one answer to one test prompt. ``index`` runs from 0 to K − 1."""

    id: str
    pair_id: str
    index: int
    author: Author
    text: str
    finish: FinishReason
    prompt_tokens: int
    new_tokens: int
    seconds: float
    """Wall time of the batch it was generated in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceFigures:
    """What a batch inference measured."""

    prompts: int
    responses: int
    too_long: int
    """Prompts that do not fit the window, set aside and counted."""
    new_tokens: int
    seconds: float
    p50_seconds: float
    p95_seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.new_tokens / self.seconds if self.seconds else 0.0


# --- the service LLM ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request to a service LLM. ``sample`` tells repeats of the same request apart.

    ``schema`` asks for a JSON object of that shape; ``shape`` is the shape's name. ``again``
    counts how often it was asked before, with a reply of no use each time; ``instead_of`` is the
    call that brought the last of those. ``about`` has the ids of the pairs whose text is in the
    messages, for the record of what left this machine. These two change nothing about the request.
    """

    stage: str
    messages: tuple[Message, ...]
    sample: int = 0
    shape: str | None = None
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    again: int = 0
    about: tuple[str, ...] = ()
    instead_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the service LLM answered. ``key`` finds the raw reply in the ledger."""

    key: str
    text: str
    finish: FinishReason
    snapshot: str
    """The model name that the reply carries, which may be a dated snapshot."""
    input_tokens: int
    output_tokens: int
    usd: float
    replayed: bool
    """True when it came from the ledger and cost nothing now."""
    spoiled: int = 0
    """How many replies to the same request came before it that were no replies at all."""


# --- evaluation ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One E_LLM call that counted: whole scores from 0 to 100, with reasons."""

    response_id: str
    pair_id: str
    judge: str
    index: int
    similarity: int
    precision: int
    similarity_reason: str
    precision_reason: str
    snapshot: str
    call: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscored:
    """One E_LLM call that did not count, and why. Never a zero."""

    response_id: str
    pair_id: str
    judge: str
    index: int
    reason: str
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Judgements:
    """All judgements of one set of responses, the unscored ones beside them."""

    scored: tuple[Judgement, ...]
    unscored: tuple[Unscored, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricScores:
    """Eq. 3 and 4 for one judge (or the panel) and one metric.

    ``mean_score`` is 0–100, ``coverage_percentage`` maps ζ to 0–100. Both are None and empty
    when nothing was scored. ``scored`` and ``unscored`` count judgements, ``responses`` those
    with at least one score: the denominator. ``lowest`` and ``highest`` bound the mean score
    if every unscored judgement had been 0 or 100.
    """

    mean_score: float | None
    coverage_percentage: dict[int, float]
    responses: int
    scored: int
    unscored: int
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of one set of responses: per judge, for the panel, and what costs nothing.

    The panel's score of a response is the mean over judges of each judge's score.
    """

    prompts: int
    responses: int
    judges: dict[str, dict[Metric, MetricScores]]
    panel: dict[Metric, MetricScores]
    exact_match: float
    """Share of responses equal to the reference up to white space, 0–100."""
    set_aside: int = 0
    """Prompts beside ``prompts`` that have no response, because they do not fit the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """passed, undecided, continue or stopped, with the reason (Section 3.5, Eq. 9)."""

    outcome: Outcome
    reason: str
    cycle: int
    best_cycle: int
    reference_sources: tuple[ReferenceSource, ...]
    shortfalls: tuple[str, ...] = ()
    """Targets not met by the best cycle, each in words with its numbers."""


# --- synthesis and curation ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBatch:
    """What synthesis after one cycle brought, before curation."""

    cycle: int
    pairs: tuple[Pair, ...]
    requests: int
    salvaged: int
    """Pairs taken out of replies that were cut off."""
    malformed: int
    """Replies, or pairs within replies, that could not be read."""
    set_aside: Mapping[str, int]
    """Requests that brought nothing, by the reason why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A pair that curation did not keep: at which step, why, and the pair it lost to."""

    pair: Pair
    step: str
    reason: str
    lost_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curated:
    """ψ's result (Eq. 7). ``discounted`` shows the shared frames that did not count."""

    kept: tuple[Pair, ...]
    dropped: tuple[Dropped, ...]
    discounted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The instructions, or the responses, of one side of a :class:`Portrait`.

    ``lengths`` are in the portrait's unit, None where there are no pairs. ``scripts`` and
    ``languages`` count the sampled texts; ``languages`` is None where curation does not look at
    them. ``distinct`` are distinct-1, -2 and -3: the share of a text's n-grams that are different
    ones. It falls with the number of n-grams, so it is taken over equally many of both sides,
    as ``distinct_over`` says; None where a side has none.
    """

    lengths: TokenStatistics | None
    scripts: Mapping[str, int]
    languages: Mapping[str, int] | None
    distinct: tuple[float | None, ...]
    distinct_over: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The train split, or the synthetic pairs, of a :class:`Portrait`.

    ``lengths`` and ``labels`` are those of all pairs, everything else of ``sampled`` ones, evenly
    spaced. ``lengths`` are Table 4's: instruction and response together. ``labels`` is None
    where the task has no closed set of them. ``templates`` is how many equally large families
    would make two instructions be of the same as often as they are; None where no two are.
    """

    pairs: int
    sampled: int
    lengths: TokenStatistics | None
    instruction: Wording
    response: Wording
    labels: Mapping[str, int] | None
    refusals: int
    templates: float | None


@dataclass(frozen=True, slots=True)
class Family:
    """Instructions of one template: ``example`` is one of them. ``train`` and ``synthetic`` are
    its shares of each side's sampled pairs, 0 to 1."""

    example: str
    train: float
    synthetic: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """What synthesis does to the data, the paper's "bias": the train split beside the synthetic
    pairs. ``families`` are the largest of either side, ``warnings`` sentences for a person."""

    train: Side
    synthetic: Side
    unit: Literal["words", "tokens"]
    families: tuple[Family, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SynthesisFigures:
    """``synthesis.json``: a :class:`RawBatch` without its pairs."""

    pairs: int
    requests: int
    salvaged: int
    malformed: int
    set_aside: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CurationFigures:
    """``curation.json``: pairs kept, pairs dropped by step, frames discounted."""

    kept: int
    dropped: dict[str, int] = field(default_factory=dict)
    discounted: tuple[str, ...] = ()

    @property
    def pairs(self) -> int:
        """Pairs that went in."""
        return self.kept + sum(self.dropped.values())


# --- deployment ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Two answers to one prompt that differ: ``at`` counts the characters they begin alike with."""

    pair_id: str
    at: int
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityCheck:
    """One form of the model against the training-time model, on the same prompts, greedy.

    ``form`` is "merged", "adapter", "gguf F16", "gguf Q8_0" or "server URL". Differences are in
    points of 0–100, this form's minus the training-time model's. ``score_difference`` is empty
    where no judge was asked. ``templates_equal`` compares the chat template as text, and
    ``template_note`` says what differs.
    """

    form: str
    prompts: int
    identical: int
    templates_equal: bool
    template_note: str = ""
    exact_match_difference: float
    score_difference: dict[Metric, float] = field(default_factory=dict)
    first_divergence: Divergence | None = None
    passed: bool
    reason: str

    @property
    def share(self) -> float:
        """The share of prompts that were answered with the same text, 0 to 1."""
        return self.identical / self.prompts if self.prompts else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """``parity.json``: every form that was checked. ``required`` is ``deployment.parity``."""

    cycle: int | None
    prompts: int
    required: float
    checks: tuple[ParityCheck, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of the service LLM's provider, as the user accepted them. We never judge them.

    ``text`` is empty in ``terms.json`` where the question was left open.
    """

    service: str
    text: str
    allow_publishing: bool = False
    """Whether the user says that they allow data and models made with the replies to be public."""


# --- progress -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """``done`` of ``total`` units of work of one stage. ``unit`` names them.

    A "stage" begins and ends with ``done``; a "warning" and a "notice" are said once, as their
    ``detail``.
    """

    stage: str
    done: int
    total: int | None
    unit: str
    detail: str = ""


Notify = Callable[[Event], None]


def silent(event: Event) -> None:
    """A :data:`Notify` that shows nothing."""
