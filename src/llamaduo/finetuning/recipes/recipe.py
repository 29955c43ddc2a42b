"""From a few dials to the recipe of one training, and the recipe in words. Pure: no I/O, no torch.

``choices.py`` has where the values come from, ``fitting.py`` what fits onto the device,
``estimate.py`` the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from llamaduo.errors import StageFailed
from llamaduo.finetuning.recipes.choices import Basis, choices, step_tokens
from llamaduo.finetuning.recipes.estimate import Load, flops, seconds
from llamaduo.finetuning.recipes.fitting import Batch, Wanted, fit, in_gb
from llamaduo.finetuning.recipes.hardware import Machine
from llamaduo.finetuning.recipes.sizes import ModelSize
from llamaduo.finetuning.recipes.window import Data, none_fits, window_for
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Forecast, Recipe


def derive(
    settings: FinetuningSettings,
    size: ModelSize,
    lengths: Sequence[tuple[int, int]],
    machine: Machine,
    window: int,
    *,
    adapter: tuple[int, int] | None = None,
) -> Recipe:
    """The recipe for pairs of these prompt and response tokens.

    ``window`` is the model's. ``adapter`` has rank and alpha of the adapter that training starts
    from: LoRA goes on with it, the others merge it into the weights.

    Raises:
        ExtraMissing: what was asked for needs a package that is not installed.
        StageFailed: no pair fits into the window, or the machine cannot do it: no such
            quantization, too few GPUs, too little memory. The hint says what would fit.
    """
    totals = [prompt + response for prompt, response in lengths]
    longest = window_for(totals, settings.max_tokens, window)
    if min(totals, default=longest + 1) > longest:
        raise none_fits(totals, longest)
    data = Data.of(lengths, longest, settings.validation_fraction)
    basis = Basis(settings, size, data, machine, adapter)
    _check_devices(basis)
    chosen = choices(basis)
    values = {name: value for name, (value, _) in chosen.items()}
    batch = _batch(basis, values)
    return Recipe(
        **values,
        window=longest,
        micro_batch=batch.load.rows,
        accumulation=batch.accumulation,
        activation_checkpointing=batch.load.checkpointing,
        warmup=settings.warmup,
        validation_pairs=data.validation,
        save_every_seconds=60 * settings.save_every_minutes,
        processes=settings.processes,
        report_to=settings.report_to,
        seed=settings.seed,
        reasons={name: why for name, (_, why) in chosen.items()} | _reasons(basis, batch),
        forecast=_forecast(basis, values, batch),
    )


def _check_devices(basis: Basis) -> None:
    machine, asked = basis.machine, basis.settings.processes
    if machine.device != "cpu" and asked > machine.count:
        raise StageFailed(
            f"finetuning.processes asks for {asked} GPUs, and there are {machine.count}"
            f" ({machine.name}).",
            hint=f"Set finetuning.processes to {machine.count}, or look at CUDA_VISIBLE_DEVICES.",
        )


def _batch(basis: Basis, values: Mapping[str, Any]) -> Batch:
    settings, data = basis.settings, basis.data
    devices, packing = max(1, settings.processes), values["packing"]
    mean = float(data.window) if packing else data.mean
    rows = max(1, round(step_tokens(basis)[0] / mean / devices))
    if settings.batch_size is not None:
        rows = settings.batch_size // devices
    if settings.micro_batch is not None:
        rows = max(rows, settings.micro_batch)
    wanted = Wanted(
        rows,
        mean,
        exact=settings.batch_size is not None,
        micro=settings.micro_batch,
        checkpointing=settings.activation_checkpointing,
    )
    return fit(wanted, _one_row(basis, values), basis.size, basis.machine)


def _one_row(basis: Basis, values: Mapping[str, Any]) -> Load:
    """The longest there is."""
    data, packing = basis.data, values["packing"]
    responses = data.window * data.response_share if packing else data.longest_response
    length = data.window if packing else data.longest
    return Load(
        method=values["method"],
        dtype=values["dtype"],
        rank=values["lora_rank"],
        dropout=values["lora_dropout"] > 0,
        checkpointing=False,
        attention=values["attention"],
        liger=values["liger"],
        packing=packing,
        rows=1,
        row_tokens=length,
        scored=min(length, math.ceil(responses)),
        parallel=basis.settings.processes > 1,
        apart=basis.machine.device == "cpu",
    )


# --- told before it starts ------------------------------------------------------------------


def _reasons(basis: Basis, batch: Batch) -> dict[str, str]:
    data, machine = basis.data, basis.machine
    every = data.pairs + data.validation + data.set_aside
    held = f"{in_gb(batch.memory.total)} of {in_gb(machine.memory_bytes)}"
    return {
        "window": f"of the {every:,} pairs, {data.set_aside:,} are longer and set aside"
        if data.set_aside
        else f"all {every:,} pairs fit",
        "batch": step_tokens(basis)[1],
        "micro_batch": batch.why,
        "accumulation": "parts of a step, one after the other",
        "activation_checkpointing": batch.why_checkpointing,
        "validation_pairs": "taken out of the training pairs" if data.validation else "none asked",
        "memory": f"{held} on {machine.name}",
    }


def _forecast(basis: Basis, values: Mapping[str, Any], batch: Batch) -> Forecast:
    settings, data, epochs = basis.settings, basis.data, float(values["epochs"])
    devices = max(1, settings.processes)
    trained_on = data.pairs / (data.pairs + data.validation)
    work = epochs * trained_on * flops(basis.size, batch.load, data.lengths)
    rows = data.tokens / data.window if values["packing"] else data.pairs
    in_a_step = batch.load.rows * batch.accumulation * devices
    return Forecast(
        seconds=seconds(
            work, batch.memory.weights, values["method"], basis.machine, settings.processes
        ),
        memory_bytes=batch.memory.total,
        tokens=round(epochs * data.tokens),
        steps=max(1, math.ceil(epochs * math.ceil(rows / in_a_step))),
    )


# --- in words -------------------------------------------------------------------------------


def in_words(recipe: Recipe) -> str:
    """A line that sums the recipe up, and a line for each value: what, how much and why, with
    tabs between."""
    return "\n".join([_summary(recipe), *("\t".join(row) for row in _rows(recipe))])


def _summary(recipe: Recipe) -> str:
    told = recipe.forecast
    how = {"qlora": "QLoRA", "lora": "LoRA", "full": "all weights"}[recipe.method]
    takes = f"about {duration(told.seconds)}" if told.seconds else "for a time nobody knows"
    epochs, steps = _plural(recipe.epochs, "epoch"), _plural(told.steps, "step")
    size = f"{epochs}, {steps}, {told.tokens:,} tokens"
    return f"{how}, {size}: {takes}, {in_gb(told.memory_bytes)}"


def _plural(number: float, noun: str) -> str:
    exact = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{exact} {noun}" if number == 1 else f"{exact} {noun}s"


def _rows(recipe: Recipe) -> list[tuple[str, str, str]]:
    why = recipe.reasons
    unit = "rows" if recipe.packing else "pairs"
    adapter = f"rank {recipe.lora_rank}, alpha {recipe.lora_alpha}"
    at_once = f"{recipe.micro_batch} {unit} × {recipe.accumulation}"
    if recipe.processes > 1:
        at_once += f" × {recipe.processes} processes"
    rows = [
        ("method", f"{recipe.method}, {recipe.dtype}", why["method"]),
        ("epochs", f"{recipe.epochs:g}", why["epochs"]),
        ("learning rate", f"{recipe.learning_rate:g}", why["learning_rate"]),
        ("step", f"{recipe.rows_in_a_step} {unit}", why["batch"]),
        ("at once", at_once, why["micro_batch"]),
        ("window", f"{recipe.window:,} tokens", why["window"]),
        ("packing", _yes(recipe.packing), why["packing"]),
        ("checkpointing", _yes(recipe.activation_checkpointing), why["activation_checkpointing"]),
        ("attention", recipe.attention, why["attention"]),
        ("memory", in_gb(recipe.forecast.memory_bytes), why["memory"]),
    ]
    if recipe.lora_rank:
        rows[1:1] = [
            ("adapter", adapter, why["lora_rank"]),
            ("dropout", f"{recipe.lora_dropout:g}", why["lora_dropout"]),
        ]
    if recipe.validation_pairs:
        rows.append(("validation", f"{recipe.validation_pairs:,} pairs", why["validation_pairs"]))
    return rows


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
