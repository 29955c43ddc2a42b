"""What each kind of task adds to the prompts: how to judge it, and how to write more of it."""

from __future__ import annotations

from typing import Final

from llamaduo.tasks.settings import TaskKind

JUDGING: Final[dict[TaskKind, str]] = {
    "free": (
        "Weigh what the response says, not how it is phrased. Different wording, order or layout"
        " costs nothing unless the instruction asked for a particular one."
    ),
    "classification": (
        "The decision is what counts. A wrong label is not made better by a good explanation."
        " Where several labels were asked for, give credit for each that is right. Explanations"
        " that nobody asked for cost points, because a program reads the response."
    ),
    "summarization": (
        "Look for the source's main points and for statements that the source does not make."
        " An invented statement weighs more than an omission. A length or form that the"
        " instruction set must be kept."
    ),
    "coding": (
        "Judge what the code would do when it is run: correct results, edge cases, and any"
        " interface that the instruction fixed. Names, comments and style count only where the"
        " instruction mentions them. Code that would not run scores low."
    ),
    "closed_qa": (
        "The text supplied with the question is the only source. An answer it does not support"
        " is wrong even if it is true elsewhere; saying that the text does not tell is right"
        " when it does not."
    ),
}

SYNTHESIS: Final[dict[TaskKind, str]] = {
    "free": "Vary subject, length and difficulty as far as the examples themselves do.",
    "classification": (
        "Spread the new pairs over all labels, the rare ones too, and include cases that a"
        " hasty reader would get wrong. Every response must be the right label for its text."
    ),
    "summarization": (
        "Write a new source text inside every instruction, as long and as dense as those of the"
        " examples, and a summary that contains nothing which that text does not say."
    ),
    "coding": (
        "Set new problems of similar difficulty in the same language, and answer each with"
        " complete code that runs and does what was asked."
    ),
    "closed_qa": (
        "Write a new supporting text inside every instruction, then ask something it answers."
        " The response must follow from that text alone."
    ),
}
