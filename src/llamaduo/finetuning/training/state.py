"""What training is made of at one moment, as files: tensors as safetensors, the rest as JSON.

Parameters that are trained, the optimizer's state by the names of the parameters it belongs to,
the schedule, and every random generator that training draws from. Nothing is pickled, so nothing
in a file can run. Imports torch: load lazily.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from llamaduo.errors import RunError, StageFailed
from llamaduo.storage.atomic import write_atomic

WEIGHTS, OPTIMIZER = "weights.safetensors", "optimizer.safetensors"
OPTIMIZER_PLAIN, SCHEDULE = "optimizer.json", "schedule.json"


# --- weights ------------------------------------------------------------------------------


def trained_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The parameters that are trained, by name; what is frozen is in the base already."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def save_weights(model: torch.nn.Module, path: Path) -> None:
    """Write the trained parameters; ``path`` is the old file or the new one, never half of it.

    Raises:
        OSError: the disk is full.
    """
    beside = path.with_name(f".{path.name}.writing")
    try:
        _save_tensors(trained_weights(model), beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load_weights(model: torch.nn.Module, path: Path) -> None:
    """Put back what :func:`save_weights` wrote.

    Raises:
        RunError: they are another model's.
    """
    ours, theirs = trained_weights(model), load_file(path)
    _require_same(ours, theirs, path)
    with torch.no_grad():
        for name, tensor in ours.items():
            tensor.copy_(theirs[name])


# --- optimizer and schedule ---------------------------------------------------------------


def save_optimizer(optimizer: Any, model: torch.nn.Module, folder: Path) -> None:
    """Write the optimizer's state. Which number torch gives a parameter hangs on the order they
    were made in; its name does not.

    Raises:
        OSError: the disk is full.
    """
    content = optimizer.state_dict()
    names = _names(optimizer, model)
    tensors: dict[str, torch.Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for number, values in content["state"].items():
        for key, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{names[number]}/{key}"] = value
            else:
                plain.setdefault(names[number], {})[key] = value
    groups = [
        {**group, "params": [names[number] for number in group["params"]]}
        for group in content["param_groups"]
    ]
    _save_tensors(tensors, folder / OPTIMIZER)
    _save_json({"groups": groups, "plain": plain}, folder / OPTIMIZER_PLAIN)


def load_optimizer(optimizer: Any, model: torch.nn.Module, folder: Path) -> None:
    """Put back what :func:`save_optimizer` wrote.

    Raises:
        RunError: it is of other parameters.
    """
    names = _names(optimizer, model)
    numbers = {name: number for number, name in names.items()}
    content = _load_json(folder / OPTIMIZER_PLAIN)
    saved = [name for group in content["groups"] for name in group["params"]]
    _require_same(numbers, dict.fromkeys(saved), folder)
    state: dict[int, dict[str, Any]] = {}
    for name, values in content["plain"].items():
        state.setdefault(numbers[name], {}).update(values)
    for place, tensor in load_file(folder / OPTIMIZER).items():
        name, _, key = place.rpartition("/")
        state.setdefault(numbers[name], {})[key] = tensor
    now = optimizer.state_dict()["param_groups"]
    groups = [
        _group(saved_group, group, numbers)
        for saved_group, group in zip(content["groups"], now, strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def save_schedule(schedule: Any, folder: Path) -> None:
    _save_json(schedule.state_dict(), folder / SCHEDULE)


def load_schedule(schedule: Any, folder: Path) -> None:
    schedule.load_state_dict(_load_json(folder / SCHEDULE))


def _names(optimizer: Any, model: torch.nn.Module) -> dict[int, str]:
    """The name of the parameter that the optimizer's state calls by a number."""
    by_identity = {id(parameter): name for name, parameter in model.named_parameters()}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {number: by_identity[id(p)] for number, p in enumerate(parameters)}


def _group(
    saved: Mapping[str, Any], now: Mapping[str, Any], numbers: Mapping[str, int]
) -> dict[str, Any]:
    """A saved group as torch has them: JSON knows no tuples, such as Adam's betas."""
    restored = {
        key: tuple(value) if isinstance(now.get(key), tuple) else value
        for key, value in saved.items()
    }
    return restored | {"params": [numbers[name] for name in saved["params"]]}


# --- random generators --------------------------------------------------------------------


def save_random(folder: Path, rank: int) -> None:
    """Write the state of every generator of this process: Python's, NumPy's, torch's, its GPU's.

    Raises:
        OSError: the disk is full.
    """
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    content = {
        "python": random.getstate(),
        "numpy": [kind, np.asarray(keys).tolist(), position, has_gauss, cached],
        "torch": _hex(torch.random.get_rng_state()),
        "cuda": _hex(torch.cuda.get_rng_state()) if torch.cuda.is_available() else None,
    }
    _save_json(content, _random_file(folder, rank))


def load_random(folder: Path, rank: int) -> None:
    """Put back what :func:`save_random` wrote in the process of the same ``rank``."""
    content = _load_json(_random_file(folder, rank))
    version, keys, gauss = content["python"]
    random.setstate((version, tuple(keys), gauss))
    kind, numbers, *rest = content["numpy"]
    np.random.set_state((kind, np.asarray(numbers, dtype=np.uint32), *rest))
    torch.random.set_rng_state(_unhex(content["torch"]))
    if content["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(_unhex(content["cuda"]))


def _random_file(folder: Path, rank: int) -> Path:
    return folder / f"random-{rank}.json"


def _hex(state: torch.Tensor) -> str:
    return bytes(state.tolist()).hex()


def _unhex(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)


# --- files --------------------------------------------------------------------------------


def _save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    with full_disk_as_os_error():
        save_file(_apart(tensors), path)


def _apart(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each with memory of its own: 8-bit optimizers share one table among all parameters, which
    safetensors refuses."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        whole = tensor.detach().cpu().contiguous()
        apart[name] = whole.clone() if whole.data_ptr() in seen else whole
        seen.add(whole.data_ptr())
    return apart


@contextmanager
def full_disk_as_os_error() -> Iterator[None]:
    """safetensors wraps what the operating system says, with its number in the text."""
    try:
        yield
    except SafetensorError as error:
        for number in (27, 28, 122):  # EFBIG, ENOSPC, EDQUOT
            if f"os error {number}" in str(error):
                raise OSError(number, os.strerror(number)) from error
        raise


@contextmanager
def written(what: str, place: str | Path) -> Iterator[None]:
    """A block that writes what training cannot go on without.

    Raises:
        StageFailed: the operating system refused, ``what`` could not be written to ``place``.
    """
    try:
        with full_disk_as_os_error():
            yield
    except OSError as error:
        raise StageFailed(
            f"{what} could not be written to {place}: {error.strerror or error}.",
            hint="Free some space and run the same command again: it goes on from the last"
            " checkpoint.",
        ) from error


def _save_json(content: Any, path: Path) -> None:
    write_atomic(path, json.dumps(content))


def _load_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _require_same(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: Path) -> None:
    if ours.keys() != theirs.keys():
        odd = sorted(ours.keys() ^ theirs.keys())
        raise RunError(
            f"{path} is of another model: {len(odd)} parameters differ, {odd[0]} for one.",
            hint="Remove the folder and run again: the fine-tuning then begins anew.",
        )
