"""What synthesis brought, what curation kept and dropped, and what both did to the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from llamaduo.records.coverage import Pair, TokenStatistics


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
