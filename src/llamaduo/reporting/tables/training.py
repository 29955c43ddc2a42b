"""How each cycle was trained: the recipe that was chosen or configured, and what it came to."""

from __future__ import annotations

from collections.abc import Iterator

from llamaduo.records import Recipe, TrainingFigures
from llamaduo.reporting.evidence import Evidence
from llamaduo.reporting.formatting import UNKNOWN, count, gigabytes, plural
from llamaduo.reporting.tables.table import Column, Row, Table


def recipes(evidence: Evidence) -> Table | None:
    """The recipe of every cycle; None where no cycle has one."""
    columns = (
        Column("Set", numeric=False),
        Column("Method", numeric=False),
        Column("Rank, alpha"),
        Column("Epochs"),
        Column("Learning rate"),
        Column("Step"),
        Column("Window"),
        Column("Validation loss"),
        Column("Weights of step"),
        Column("Memory"),
    )
    known = [cycle for cycle in evidence.cycles if cycle.recipe]
    rows = tuple(
        (f"Cycle {cycle.cycle}", *_recipe(cycle.recipe), *_came_to(cycle.training))
        for cycle in known
        if cycle.recipe
    )
    if not rows:
        return None
    setbacks = [
        words
        for cycle in known
        if cycle.training
        for words in _setbacks(f"Cycle {cycle.cycle}", cycle.training)
    ]
    return Table("Recipes", columns, rows, " ".join([_NOTE, *setbacks]))


_NOTE = (
    "recipe.json beside each checkpoint has every value with its reason. Window: tokens of the"
    " longest pair. Validation loss: the best, in nats a response token, of pairs held back from"
    " the training data. Memory: the most that the process, or a GPU, held."
)


def _recipe(recipe: Recipe) -> Row:
    unit = "row" if recipe.packing else "pair"
    return (
        f"{recipe.method}, {recipe.dtype}",
        f"{recipe.lora_rank}, {recipe.lora_alpha}" if recipe.lora_rank else UNKNOWN,
        f"{recipe.epochs:g}",
        f"{recipe.learning_rate:g}",
        plural(recipe.rows_in_a_step, unit),
        count(recipe.window),
    )


def _came_to(training: TrainingFigures | None) -> Row:
    if training is None:
        return (UNKNOWN,) * 3
    losses = [loss for _, loss in training.validation]
    kept = training.steps if training.best_step is None else training.best_step
    return (
        f"{min(losses):.2f}" if losses else UNKNOWN,
        f"{kept:,} of {training.steps:,}",
        gigabytes(training.peak_memory_bytes or None),
    )


def _setbacks(name: str, training: TrainingFigures) -> Iterator[str]:
    if training.resumed:
        yield f"{name} went on from a checkpoint {plural(training.resumed, 'time')}."
    if training.halved:
        yield f"{name} ran out of memory, and halved its rows {plural(training.halved, 'time')}."
