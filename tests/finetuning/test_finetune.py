"""Fine-tuning: what is trained on, what is set aside, and that it can be repeated."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from llamaduo.errors import ModelError, StageFailed
from llamaduo.finetuning.adapter import WEIGHTS, check_adapter
from llamaduo.finetuning.finetune import finetune
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Checkpoint, Event, TrainSplit
from tests.finetuning.made import pair, tickets

SETTINGS = FinetuningSettings(epochs=2, batch_size=4, learning_rate=5e-3, lora_rank=8, processes=0)


@pytest.fixture(scope="module")
def trained(tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    into = tmp_path_factory.mktemp("cycles") / "000" / "checkpoint"
    return finetune(tickets(16), SETTINGS, start=tiny, cycle=0, into=into)[0]


def weights(checkpoint: Checkpoint) -> dict[str, object]:
    from safetensors.torch import load_file

    assert checkpoint.adapter is not None
    return dict(load_file(Path(checkpoint.adapter) / WEIGHTS))


def mean_response_loss(checkpoint: Checkpoint, train: TrainSplit) -> float:
    """Cross-entropy per response token, computed the long way: all logits, then a slice."""
    import torch
    from transformers import AutoModelForCausalLM

    from llamaduo.finetuning.models.model_folder import read_tokenizer
    from llamaduo.tasks.chat import encode_pair

    model = AutoModelForCausalLM.from_pretrained(checkpoint.base, dtype=torch.float32)
    tokenizer = read_tokenizer(Path(checkpoint.base))
    losses = []
    for each in train.pairs:
        encoded = encode_pair(tokenizer, each.messages, each.response)
        ids = torch.tensor([[*encoded.prompt, *encoded.response]])
        with torch.no_grad():
            scores = model(ids).logits[0].log_softmax(-1)
        for place, token in enumerate(encoded.response, start=len(encoded.prompt)):
            losses.append(-scores[place - 1, token].item())
    return math.fsum(losses) / len(losses)


def test_figures_and_events_count_every_step(tiny: Checkpoint, tmp_path: Path) -> None:
    events: list[Event] = []
    checkpoint, figures = finetune(
        tickets(16), SETTINGS, start=tiny, cycle=3, into=tmp_path / "a", notify=events.append
    )
    recipe, *steps = events
    assert (recipe.unit, recipe.done) == ("recipe", 0)
    assert [event.done for event in steps] == list(range(1, 9))
    assert {(event.total, event.unit) for event in steps} == {(8, "steps")}
    assert re.fullmatch(rf"loss {figures.first_loss:.3f}, \d\.\d GB", steps[0].detail)
    assert re.fullmatch(r"loss \d\.\d{3}, [\d,]+ tokens/s, \d\.\d GB, \d+ s left", steps[1].detail)
    assert (figures.pairs, figures.set_aside, figures.steps) == (16, 0, 8)
    assert figures.last_loss < figures.first_loss
    assert (checkpoint.cycle, checkpoint.author) == (3, "local")
    assert (checkpoint.base, checkpoint.window) == (tiny.base, tiny.window)


def test_which_weights_validation_chose_is_said(tiny: Checkpoint, tmp_path: Path) -> None:
    events: list[Event] = []
    hasty = SETTINGS.model_copy(
        update={"validation_fraction": 0.5, "learning_rate": 0.3, "epochs": 9.0, "patience": 1}
    )
    _, figures = finetune(
        tickets(8), hasty, start=tiny, cycle=0, into=tmp_path / "a", notify=events.append
    )
    said = [event.detail for event in events if event.unit == "notice"]
    best, loss = min(figures.validation, key=lambda each: each[1])
    assert said == [
        f"kept the weights of step {best} of {figures.steps}: validation loss {loss:.3f}"
    ]
    assert best == figures.best_step
    assert figures.steps < 9


def test_the_loss_is_on_the_response_only(tiny: Checkpoint, tmp_path: Path) -> None:
    # A new adapter changes nothing, so the first step's loss is the base model's.
    train = tickets(6)
    whole = SETTINGS.model_copy(update={"batch_size": 6, "epochs": 1.0})
    _, figures = finetune(train, whole, start=tiny, cycle=0, into=tmp_path / "a")
    assert figures.steps == 1
    assert figures.first_loss == pytest.approx(mean_response_loss(tiny, train), abs=1e-4)


def test_the_same_seed_gives_the_same_weights(
    tiny: Checkpoint, trained: Checkpoint, tmp_path: Path
) -> None:
    again, _ = finetune(tickets(16), SETTINGS, start=tiny, cycle=0, into=tmp_path / "a")
    other = SETTINGS.model_copy(update={"seed": 1})
    different, _ = finetune(tickets(16), other, start=tiny, cycle=0, into=tmp_path / "b")
    digests = [
        check_adapter(Path(c.adapter or "")).weights_sha256 for c in (trained, again, different)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_the_previous_adapter_is_trained_on(trained: Checkpoint, tmp_path: Path) -> None:
    import torch

    still = SETTINGS.model_copy(update={"learning_rate": 1e-12, "lora_rank": 2})
    continued, _ = finetune(tickets(16), still, start=trained, cycle=1, into=tmp_path / "a")
    before, after = weights(trained), weights(continued)
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(tensor, after[name])
    assert check_adapter(tmp_path / "a").lora_rank == SETTINGS.lora_rank
    moved, _ = finetune(tickets(16), SETTINGS, start=trained, cycle=1, into=tmp_path / "b")
    assert any(not torch.equal(before[n], t) for n, t in weights(moved).items())  # type: ignore[arg-type]


def test_pairs_that_are_too_long_are_set_aside_and_counted(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    long = pair("word " * 300, "shipping")
    train = TrainSplit((*tickets(4).pairs, long))
    generous = SETTINGS.model_copy(update={"max_tokens": 5000})  # the window is the limit then
    _, figures = finetune(train, generous, start=tiny, cycle=0, into=tmp_path / "a")
    assert (figures.pairs, figures.set_aside) == (4, 1)


def test_nothing_left_to_train_on_fails_before_the_model_is_loaded(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    narrow = SETTINGS.model_copy(update={"max_tokens": 16})
    with pytest.raises(StageFailed, match="None of the 4 pairs") as caught:
        finetune(tickets(4), narrow, start=tiny, cycle=0, into=tmp_path / "a")
    assert "max_tokens" in caught.value.hint
    with pytest.raises(StageFailed, match="None of the 0 pairs"):
        finetune(TrainSplit(()), SETTINGS, start=tiny, cycle=0, into=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_loss_that_is_not_a_number_stops_the_stage(tiny: Checkpoint, tmp_path: Path) -> None:
    wild = SETTINGS.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(StageFailed, match="diverged") as caught:
        finetune(tickets(16), wild, start=tiny, cycle=0, into=tmp_path / "a")
    assert "learning_rate" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_the_adapter_is_replaced_whole_and_carries_no_path(
    tiny: Checkpoint, trained: Checkpoint, tmp_path: Path
) -> None:
    into = tmp_path / "a"
    into.mkdir()
    (into / "half-written").write_text("x")
    named = replace(tiny, model="OWNER/NAME")
    finetune(tickets(4), SETTINGS, start=named, cycle=0, into=into)
    assert sorted(path.name for path in into.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "checkpoint.json",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "recipe.json"]
    assert check_adapter(into).fingerprint == tiny.fingerprint != ""
    texts = [(into / name).read_text() for name in ("adapter_config.json", "checkpoint.json")]
    assert all("OWNER/NAME" in text and tiny.base not in text for text in texts)


def test_a_damaged_adapter_is_not_trained_on(trained: Checkpoint, tmp_path: Path) -> None:
    import shutil

    damaged = Path(shutil.copytree(trained.adapter or "", tmp_path / "damaged"))
    with (damaged / WEIGHTS).open("ab") as file:
        file.write(b"x")
    start = Checkpoint(model="m", base=trained.base, adapter=str(damaged), window=trained.window)
    with pytest.raises(ModelError, match="changed or damaged"):
        finetune(tickets(4), SETTINGS, start=start, cycle=1, into=tmp_path / "a")
    (damaged / "checkpoint.json").unlink()
    with pytest.raises(ModelError, match="not a finished LoRA adapter"):
        finetune(tickets(4), SETTINGS, start=start, cycle=1, into=tmp_path / "a")
