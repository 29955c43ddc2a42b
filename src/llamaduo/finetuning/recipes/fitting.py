"""How many rows fit onto a device at once, and what to do if not even one does. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from llamaduo.errors import StageFailed
from llamaduo.finetuning.recipes.estimate import GB, Load, Memory, memory
from llamaduo.finetuning.recipes.hardware import Machine
from llamaduo.finetuning.recipes.sizes import ModelSize
from llamaduo.finetuning.recipes.window import WINDOWS
from llamaduo.records import Method

USABLE = {"cuda": 0.92, "cpu": 0.8}
"""Of the memory. The rest is for fragments, for the display, and for other programs."""

FILLED = {"cuda": 8192, "cpu": 2048}
"""Tokens at once beyond which a device gets no faster."""
ENOUGH = {"cuda": 2048, "cpu": 512}
"""Tokens at once that are enough to do without activation checkpointing: it costs a third of the
time, smaller products cost less."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A step as it should be: ``rows`` on each device, of ``mean`` tokens. ``exact``: not one
    more or less. What is None is to be found."""

    rows: int
    mean: float
    exact: bool
    micro: int | None
    checkpointing: bool | None


@dataclass(frozen=True, slots=True)
class Batch:
    """A step as it fits: ``accumulation`` times ``load`` on each device."""

    load: Load
    accumulation: int
    memory: Memory
    why: str
    """The reason for the number of rows at once."""
    why_checkpointing: str


def usable(machine: Machine) -> int:
    return int(USABLE[machine.device] * machine.memory_bytes)


def fit(wanted: Wanted, load: Load, size: ModelSize, machine: Machine) -> Batch:
    """``load`` with as many rows as ``wanted``, in parts that fit.

    More memory never gives fewer rows at once: checkpointing is used only below
    :data:`ENOUGH`, and left only from there on.

    Raises:
        StageFailed: one row alone does not fit; the message says what would.
    """

    def needs(rows: int, checkpointing: bool) -> int:
        return memory(size, replace(load, rows=rows, checkpointing=checkpointing), device).total

    device, most = machine.device, usable(machine)
    least = 1 if wanted.checkpointing is None else wanted.checkpointing
    if needs(1, bool(least)) > most:
        _refuse(load, size, machine, wanted.checkpointing)
    if wanted.micro is not None:
        rows, checkpointing, why = _as_given(wanted, wanted.micro, needs, most)
    else:
        rows, checkpointing, why = _found(wanted, needs, machine)
    fitted = replace(load, rows=rows, checkpointing=checkpointing)
    why_not = "as configured"
    if wanted.checkpointing is None:
        without = needs(rows, False)
        why_not = f"without it {in_gb(without)}" if checkpointing else "not needed"
    parts = math.ceil(wanted.rows / rows)
    return Batch(fitted, parts, memory(size, fitted, device), why, why_not)


def _as_given(
    wanted: Wanted, micro: int, needs: Callable[[int, bool], int], most: int
) -> tuple[int, bool, str]:
    checkpointing = wanted.checkpointing
    if checkpointing is None:
        checkpointing = needs(micro, False) > most
    need = needs(micro, checkpointing)
    if need <= most:
        return micro, checkpointing, "as configured"
    why = f"as configured, though {in_gb(need)} are more than the {in_gb(most)} to be used:"
    return micro, checkpointing, f"{why} it is halved when memory runs out"


def _found(
    wanted: Wanted, needs: Callable[[int, bool], int], machine: Machine
) -> tuple[int, bool, str]:
    device, most = machine.device, usable(machine)
    filled = min(wanted.rows, max(1, round(FILLED[device] / wanted.mean)))
    enough = min(filled, max(1, round(ENOUGH[device] / wanted.mean)))

    def largest(limit: int, checkpointing: bool) -> int:
        return next((n for n in range(limit, 0, -1) if needs(n, checkpointing) <= most), 0)

    if wanted.checkpointing is None:
        rows = largest(filled, False)
        if checkpointing := rows < enough:
            rows = largest(enough, True)
    else:
        checkpointing = wanted.checkpointing
        rows = largest(filled, checkpointing)
    parts = _in_equal_parts(wanted, rows)
    if parts == wanted.rows:
        return parts, checkpointing, "a whole step at once"
    bound = "what fits" if rows < filled else f"{FILLED[device]:,} tokens keep it busy"
    return parts, checkpointing, f"a part of a step of {wanted.rows}: {bound}"


def _in_equal_parts(wanted: Wanted, most: int) -> int:
    """Rows at once, ``most`` at most, so that the parts of a step are alike."""
    if wanted.exact:
        return next(n for n in range(min(most, wanted.rows), 0, -1) if wanted.rows % n == 0)
    return math.ceil(wanted.rows / math.ceil(wanted.rows / most))


# --- what does not fit ----------------------------------------------------------------------


def check_free(need: int, machine: Machine) -> None:
    """Check that a GPU has ``need`` bytes left, or all that can be used where a micro-batch that
    was set looks larger. Of a processor's memory, the system can take from others; its figures
    are no reason to refuse.

    Raises:
        StageFailed: something else holds it.
    """
    if machine.device == "cpu" or min(need, usable(machine)) <= machine.free_bytes:
        return
    raise StageFailed(
        f"Fine-tuning needs about {in_gb(need)}, and of the {in_gb(machine.memory_bytes)} of"
        f" {machine.name} only {in_gb(machine.free_bytes)} are free: another program holds the"
        " rest.",
        hint="Stop it (a model server?), or train on another GPU: CUDA_VISIBLE_DEVICES."
        " docs/finetuning.md has it for one and two GPUs. `nvidia-smi` names the program.",
    )


def _refuse(load: Load, size: ModelSize, machine: Machine, checkpointing: bool | None) -> None:
    one = replace(load, rows=1, checkpointing=checkpointing is not False)
    need, most = memory(size, one, machine.device), usable(machine)
    would = [*_what_fits(one, size, machine)]
    if checkpointing is False:
        would.insert(0, "leave finetuning.activation_checkpointing unset")
    raise StageFailed(
        f"{_named(size)} do not fit onto {machine.name} with finetuning.method {load.method}: one"
        f" row of {load.row_tokens:,} tokens needs about {in_gb(need.total)} ({_parts(need)}), and"
        f" {in_gb(most)} of {in_gb(machine.memory_bytes)} can be used.",
        hint="What would fit: " + "; ".join(would) + ".",
    )


def _what_fits(one: Load, size: ModelSize, machine: Machine) -> Iterator[str]:
    """The least change of the settings that fits; the largest model that fits; the machine."""
    most = usable(machine)

    def fits(load: Load) -> bool:
        return memory(size, load, machine.device).total <= most

    alike = [one, *(replace(one, method=m, rank=one.rank or 8) for m in _thriftier(one))]
    changed = (load for other in alike for load in (other, *_shorter(other)))
    if (found := next(filter(fits, changed), None)) is not None:
        yield _settings_of(found, one, machine)
    need = memory(size, one, machine.device)
    left = most - need.context - need.activations - need.logits
    largest = left / (need.weights + need.trained) * size.parameters
    if largest > 0.1 * GB:
        yield f"a model of about {largest / GB:.1f} B parameters, all else alike"
    what = "a machine" if machine.device == "cpu" else "a GPU"
    yield f"{what} with {in_gb(math.ceil(need.total / USABLE[machine.device]))}"


def _thriftier(one: Load) -> tuple[Method, ...]:
    methods: tuple[Method, ...] = ("full", "lora", "qlora")
    return methods[methods.index(one.method) + 1 :]


def _shorter(one: Load) -> Iterator[Load]:
    for window in reversed((256, 512, *WINDOWS)):
        if window < one.row_tokens:
            yield replace(one, row_tokens=window, scored=min(one.scored, window))


def _settings_of(found: Load, one: Load, machine: Machine) -> str:
    parts = []
    if found.method != one.method:
        missing = found.method == "qlora" and not machine.quantizes
        install = " (pip install 'llamaduo[qlora]')" if missing else ""
        parts.append(f"finetuning.method: {found.method}{install}")
    if found.row_tokens != one.row_tokens:
        parts.append(f"finetuning.max_tokens: {found.row_tokens}, which sets longer pairs aside")
    return " and ".join(parts)


def _named(size: ModelSize) -> str:
    if size.parameters < GB:
        return f"{size.parameters / 10**6:.0f} M parameters"
    return f"{size.parameters / GB:.1f} B parameters"


def _parts(need: Memory) -> str:
    parts = {
        "weights": need.weights,
        "gradients and optimizer": need.trained,
        "activations": need.activations,
        "logits": need.logits,
        "libraries": need.context,
    }
    return ", ".join(f"{name} {in_gb(size)}" for name, size in parts.items())


def in_gb(size: int) -> str:
    return f"{size / GB:.1f} GB"
