"""Prompts, responses, the coverage dataset and its splits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]
ReferenceSource = Literal["human", "corrected", "service"]


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
