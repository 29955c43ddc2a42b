"""What the steps compare: the words of a pair, with and without the shared frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llamaduo.curation.frames import Frames, Run, learn_frames
from llamaduo.records import Pair
from llamaduo.tasks.words import words


@dataclass(frozen=True, slots=True)
class Text:
    """The words of one field: the ``whole`` of it, and ``outside`` the stretches that no frame
    covers.

    Two texts resemble each other when they do so in both views. The stretches alone would not
    do: two prompts that say the same outside their frames and differ in which frame they use
    would look equal. So discounting a frame can spare a pair, and never condemns one.
    """

    whole: Run
    outside: tuple[Run, ...]
    remaining: Run
    """The stretches, joined. Where the frames cover everything, the whole as one single word:
    it equals itself and resembles nothing else."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A pair as curation reads it.

    Only the last user message is the instruction: a synthetic pair has its system prompt and
    earlier turns from the train pair that was its seed.
    """

    pair: Pair
    instruction: Text
    response: Text


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads pairs, discounting the frames of the train split's prompts and of its responses."""

    prompts: Frames
    responses: Frames

    def read(self, pair: Pair) -> Reading:
        return Reading(
            pair=pair,
            instruction=read_text(pair.instruction, self.prompts),
            response=read_text(pair.response, self.responses),
        )


def reader_of(train: Sequence[Pair], share: float) -> Reader:
    """A reader that knows the frames of ``train``. ``share`` is ``settings.shared_frame``."""
    return Reader(
        prompts=learn_frames([words(pair.instruction) for pair in train], share),
        responses=learn_frames([words(pair.response) for pair in train], share),
    )


def read_text(text: str, frames: Frames) -> Text:
    whole = tuple(words(text))
    if not whole and text.strip():  # symbols only: the text is its own single word
        whole = (text.strip(),)
    outside = frames.outside(whole)
    remaining = tuple(word for stretch in outside for word in stretch)
    if whole and not remaining:
        remaining = (" ".join(whole),)
    return Text(whole, outside, remaining)
