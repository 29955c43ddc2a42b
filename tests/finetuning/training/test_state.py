"""What training is made of, written and read again: no number of it may change."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from llamaduo.errors import RunError
from llamaduo.finetuning.training import state
from llamaduo.finetuning.training.state import full_disk_as_os_error


def model(seed: int = 0) -> torch.nn.Sequential:
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    network.get_parameter("0.bias").requires_grad_(False)
    return network


def stepped(network: torch.nn.Module, kind: Any = torch.optim.AdamW, **options: Any) -> Any:
    """An optimizer of two groups, after two steps."""
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [{"params": trained[1:], "weight_decay": 0.0}, {"params": trained[:1]}]
    optimizer = kind(groups, lr=1e-2, **options)
    for _ in range(2):
        network(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


def test_only_what_is_trained_is_written(tmp_path: Path) -> None:
    first, second = model(0), model(1)
    frozen = second.get_parameter("0.bias").clone()
    state.save_weights(first, tmp_path / "w")
    state.load_weights(second, tmp_path / "w")
    assert set(state.trained_weights(second)) == {"0.weight", "1.weight", "1.bias"}
    for name, tensor in state.trained_weights(first).items():
        assert torch.equal(tensor, state.trained_weights(second)[name])
    assert torch.equal(second.get_parameter("0.bias"), frozen)
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    state.save_weights(model(), tmp_path / "w")
    with pytest.raises(RunError, match="1 parameters differ"):
        state.load_weights(torch.nn.Sequential(*model(), torch.nn.PReLU()), tmp_path / "w")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.AdamW, {"betas": (0.8, 0.95), "amsgrad": True}),
        (torch.optim.SGD, {"momentum": 0.9}),
        (torch.optim.Adafactor, {}),
    ],
)
def test_an_optimizer_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, kind: Any, options: dict[str, Any]
) -> None:
    going = model()
    optimizer = stepped(going, kind, **options)
    state.save_weights(going, tmp_path / "w")
    state.save_optimizer(optimizer, going, tmp_path)
    fresh = model()
    resumed = stepped(fresh, kind, **options)  # its state is another by now
    state.load_weights(fresh, tmp_path / "w")
    state.load_optimizer(resumed, fresh, tmp_path)
    assert resumed.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    for network, each in ((going, optimizer), (fresh, resumed)):
        network(torch.ones(1, 3)).square().sum().backward()
        each.step()
    for name, tensor in state.trained_weights(going).items():
        assert torch.equal(tensor, state.trained_weights(fresh)[name])


def test_tensors_that_share_memory_are_written_apart(tmp_path: Path) -> None:
    # As bitsandbytes' 8-bit optimizers do, whose numbers of steps are plain.
    network = model()
    optimizer = stepped(network)
    table = torch.arange(4.0)
    for values in optimizer.state.values():
        values["qmap1"], values["step"] = table, 7
    state.save_optimizer(optimizer, network, tmp_path)
    other = stepped(model())
    network = model()
    other = stepped(network)
    state.load_optimizer(other, network, tmp_path)
    assert all(torch.equal(values["qmap1"], table) for values in other.state.values())
    assert all(values["step"] == 7 for values in other.state.values())


def test_an_optimizer_of_other_parameters_is_refused(tmp_path: Path) -> None:
    network = model()
    state.save_optimizer(stepped(network), network, tmp_path)
    larger = torch.nn.Sequential(*model(), torch.nn.PReLU())
    with pytest.raises(RunError, match="of another model"):
        state.load_optimizer(torch.optim.AdamW(larger.parameters()), larger, tmp_path)


def test_a_schedule_goes_on(tmp_path: Path) -> None:
    def schedule() -> torch.optim.lr_scheduler.LambdaLR:
        return torch.optim.lr_scheduler.LambdaLR(stepped(model()), lambda step: 1 / (step + 1))

    going = schedule()
    for _ in range(5):
        going.optimizer.step()
        going.step()
    state.save_schedule(going, tmp_path)
    resumed = schedule()
    state.load_schedule(resumed, tmp_path)
    assert resumed.state_dict() == going.state_dict()


def draw() -> tuple[Any, ...]:
    return (
        [random.random() for _ in range(3)],
        random.gauss(0, 1),
        np.random.random(3).tolist(),
        np.random.standard_normal(),
        torch.rand(3).tolist(),
    )


def test_every_generator_goes_on(tmp_path: Path) -> None:
    draw()
    random.gauss(0, 1)  # which keeps a second number for the next time, as NumPy's does
    state.save_random(tmp_path, 3)
    before = draw()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    state.load_random(tmp_path, 3)
    assert draw() == before


def test_nothing_is_a_pickle(tmp_path: Path) -> None:
    network = model()
    state.save_weights(network, tmp_path / state.WEIGHTS)
    state.save_optimizer(stepped(network), network, tmp_path)
    state.save_random(tmp_path, 0)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}


def test_a_full_disk_is_told_from_other_errors() -> None:
    with pytest.raises(OSError, match="No space left") as full, full_disk_as_os_error():
        raise SafetensorError("I/O error: No space left on device (os error 28)")
    assert full.value.errno == 28
    with pytest.raises(SafetensorError, match="odd"), full_disk_as_os_error():
        raise SafetensorError("something odd")
