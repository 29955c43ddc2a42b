"""How much calls use: what is thought before they are sent, and what they turn out to use."""

from __future__ import annotations

from dataclasses import dataclass, field

_MEMORY = 50.0
"""Calls whose sizes an estimate is the mean of."""
LEARNED = "learned"
"""The bucket of a limit that nobody names; it holds requests."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a call will use: its input tokens, estimated, and the most output it may have."""

    input_tokens: int
    output_tokens: int


def amounts(read: float, both: float, written: float) -> dict[str, float]:
    """What a call takes from each kind of bucket."""
    return {
        "requests": 1.0,
        "tokens": both,
        "input_tokens": read,
        "output_tokens": written,
        LEARNED: 1.0,
    }


@dataclass(slots=True)
class _Mean:
    """A running mean that forgets slowly."""

    value: float = 0.0
    seen: int = 0

    def add(self, value: float) -> None:
        self.seen += 1
        self.value += (value - self.value) / min(self.seen, _MEMORY)


@dataclass(slots=True)
class Sizes:
    """What calls turn out to use, against what was thought."""

    _thought: _Mean = field(default_factory=_Mean)
    _read: _Mean = field(default_factory=_Mean)
    _written: _Mean = field(default_factory=_Mean)

    def add(self, need: Need, read: int, written: int) -> None:
        """A call that was thought to need ``need`` has used this."""
        self._thought.add(need.input_tokens)
        self._read.add(read)
        self._written.add(written)

    def expected(self, need: Need) -> dict[str, float]:
        """What a call is expected to take; before any was seen, the most.

        Providers count ``tokens`` with all the output that a call may have, and
        ``output_tokens`` as they are written: there, a reservation of the most would leave most
        of the limit unused.
        """
        factor = self._read.value / self._thought.value if self._thought.value else 1.0
        read, written = need.input_tokens * factor, float(need.output_tokens)
        if self._written.seen:
            written = min(written, self._written.value)
        return amounts(read, read + need.output_tokens, written)
