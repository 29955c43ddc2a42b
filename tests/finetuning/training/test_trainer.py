"""The loss, the methods, what goes on from what, and what is refused before training."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from llamaduo.errors import ModelError, StageFailed
from llamaduo.finetuning.adapter import check_adapter, checkpoint_in
from llamaduo.finetuning.merge import merge
from llamaduo.finetuning.training.packing import Collator, rows_of
from llamaduo.finetuning.training.trainer import (
    ResponseTrainer,
    arguments,
    require_something_to_learn,
    set_aside_for_validation,
)
from llamaduo.finetuning.training.work import carry_out
from llamaduo.inference.loading import load_model
from llamaduo.records import Checkpoint, Event, TrainingFigures, silent
from llamaduo.tasks.chat import EncodedPair
from llamaduo.tasks.quiet import quiet
from tests.finetuning.made import tickets
from tests.finetuning.recipes.examples import encoded, job, loaded, recipe
from tests.finetuning.test_finetune import mean_response_loss, weights

quantizes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="pip install 'llamaduo[qlora]'"
)
TRAIN = tickets(12)


@pytest.fixture(scope="module")
def pairs(tiny: Checkpoint) -> list[EncodedPair]:
    return encoded(tiny, TRAIN.pairs)


def done(
    start: Checkpoint, pairs: Sequence[EncodedPair], into: Path, **changes: Any
) -> tuple[Checkpoint, TrainingFigures]:
    work = job(start, pairs, into, **changes)
    figures = carry_out(work, silent)
    return checkpoint_in(into, start, cycle=0), figures


def logits(checkpoint: Checkpoint) -> torch.Tensor:
    model = load_model(checkpoint, as_trained=True)
    with torch.inference_mode():
        return model(torch.tensor([[5, 9, 44, 120, 7]])).logits  # type: ignore[no-any-return]


# --- the loss -------------------------------------------------------------------------------

LAYOUTS: dict[str, dict[str, Any]] = {
    "pairs": {"packing": False, "micro_batch": 12},
    "pairs, accumulated": {"packing": False, "micro_batch": 5, "accumulation": 3},
    "packed": {"window": 100, "micro_batch": 12},
    "packed, accumulated": {"window": 100, "micro_batch": 2, "accumulation": 6},
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_loss_of_a_step_is_the_mean_over_its_response_tokens(
    tiny: Checkpoint, pairs: list[EncodedPair], tmp_path: Path, layout: str, attention: str
) -> None:
    # A new adapter changes nothing, so the first step's loss is the base model's.
    _, figures = done(tiny, pairs, tmp_path / "c", attention=attention, **LAYOUTS[layout])
    assert figures.steps == 1
    assert figures.first_loss == pytest.approx(mean_response_loss(tiny, TRAIN), abs=1e-4)
    assert figures.tokens == sum(len(pair) for pair in pairs)
    assert figures.loss_tokens == sum(len(pair.response) for pair in pairs)


def test_rows_with_nothing_to_learn_change_nothing(
    tiny: Checkpoint, pairs: list[EncodedPair], tmp_path: Path
) -> None:
    """What fills up the last step where several processes share it: beside rows, and alone."""
    rows = rows_of(pairs, size=None, seed=0)
    for flat in (True, False):
        model = loaded(tiny, tmp_path)
        model.set_attn_implementation("llamaduo_documents" if flat else "sdpa")
        collate = Collator(0, flat)
        trainer = ResponseTrainer(
            model=model,
            args=arguments(recipe(), job(tiny, pairs, tmp_path / "c")),
            train_dataset=rows,
            data_collator=collate,
        )
        full, filled = ([rows[i] for i in places] for places in ((0, 1), (0, None, 1)))
        losses = [trainer.compute_loss(model, collate(each)).item() for each in (full, filled)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
        nothing = trainer.compute_loss(
            model, collate([rows[None]]), num_items_in_batch=torch.tensor(5)
        )
        nothing.backward()  # type: ignore[no-untyped-call]
        assert nothing.item() == 0
        assert all(
            p.grad is not None and not p.grad.any() for p in model.parameters() if p.requires_grad
        )


def test_packing_and_accumulating_train_to_the_same_weights(
    tiny: Checkpoint, pairs: list[EncodedPair], tmp_path: Path
) -> None:
    # All pairs are in every step, so nothing may hang on how they lie in it.
    trained = [
        weights(done(tiny, pairs, tmp_path / str(i), epochs=4.0, warmup=0.0, **layout)[0])
        for i, layout in enumerate(LAYOUTS.values())
    ]
    for other in trained[1:]:
        for name, tensor in trained[0].items():
            torch.testing.assert_close(tensor, other[name], atol=2e-4, rtol=1e-3)


def test_side_by_side_is_the_same_loss_as_flat(
    tiny: Checkpoint, pairs: list[EncodedPair], tmp_path: Path
) -> None:
    """What a GPU without FlashAttention does: padded rows, and masks made from positions."""
    from torch.utils.data import DataLoader

    rows = rows_of(pairs, size=100, seed=0)
    losses = []
    for flat in (True, False):
        model = loaded(tiny, tmp_path)
        model.set_attn_implementation("llamaduo_documents" if flat else "sdpa")
        collator = Collator(0, flat)
        trainer = ResponseTrainer(
            model=model,
            args=arguments(recipe(micro_batch=4), job(tiny, pairs, tmp_path / "c")),
            train_dataset=rows,
            data_collator=collator,
        )
        (batch,) = DataLoader(rows, batch_size=99, collate_fn=collator)
        losses.append(trainer.compute_loss(model, batch).item())
        assert trainer.mean_loss(rows) == pytest.approx(losses[0], abs=1e-4)
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


@pytest.mark.parametrize("bias", [False, True])
def test_quick_layers_give_the_gradients_of_the_originals(
    tiny: Checkpoint, pairs: list[EncodedPair], tmp_path: Path, bias: bool
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from llamaduo.finetuning.training.fused import fuse

    gradients = []
    for quick in (False, True):
        torch.manual_seed(0)
        lora = LoraConfig(r=4, lora_alpha=12, target_modules="all-linear", task_type="CAUSAL_LM")
        with quiet(logging):
            base = AutoModelForCausalLM.from_pretrained(tiny.base, attention_bias=bias)
            model = get_peft_model(base, lora)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
        if quick:
            assert fuse(model) == 2 * 7 + 5 - (2 * 4 if bias else 0)
        ids = torch.tensor([[*pairs[0].prompt, *pairs[0].response]])
        model(ids, labels=ids).loss.backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.requires_grad})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-5, rtol=1e-4)


def test_activation_checkpointing_changes_no_weight(
    tiny: Checkpoint, pairs: list[EncodedPair], tmp_path: Path
) -> None:
    plain, _ = done(tiny, pairs, tmp_path / "a", warmup=0.0)
    saving, _ = done(tiny, pairs, tmp_path / "b", warmup=0.0, activation_checkpointing=True)
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(tensor, weights(saving)[name], atol=1e-6, rtol=1e-5)


# --- methods, and what goes on from what ----------------------------------------------------


@quantizes
def test_qlora_trains_an_adapter_on_quantized_weights(
    tiny: Checkpoint, pairs: list[EncodedPair], tmp_path: Path
) -> None:
    from bitsandbytes.nn import Linear4bit  # type: ignore[attr-defined]

    model = loaded(tiny, tmp_path, method="qlora")
    quantized = [module for module in model.modules() if isinstance(module, Linear4bit)]
    assert len(quantized) == 2 * 7
    weight: Any = quantized[0].weight
    state = weight.quant_state
    assert (state.quant_type, state.nested) == ("nf4", True)
    trained, figures = done(tiny, pairs, tmp_path / "c", method="qlora", epochs=6.0, window=100)
    assert figures.last_loss < figures.first_loss
    assert (trained.base, figures.method) == (tiny.base, "qlora")
    assert (logits(trained) - logits(tiny)).abs().max() > 1e-3


@quantizes
def test_qlora_goes_on_with_a_merged_base_and_leaves_one_adapter(
    tiny: Checkpoint, pairs: list[EncodedPair], tmp_path: Path
) -> None:
    first, _ = done(tiny, pairs, tmp_path / "a", method="qlora", epochs=6.0, window=100)
    still: dict[str, Any] = {"method": "qlora", "lora_rank": 2, "lora_alpha": 6}
    second, _ = done(first, pairs, tmp_path / "b" / "c", learning_rate=1e-12, **still)
    card = check_adapter(tmp_path / "b" / "c")
    assert (card.lora_rank, card.lora_alpha) == (4 + 2, 6)
    assert second.base == tiny.base  # no base of its own to keep
    # Nothing was learned on top, so nothing has changed.
    torch.testing.assert_close(logits(second), logits(first), atol=1e-4, rtol=1e-4)
    moved, _ = done(first, pairs, tmp_path / "d", **still | {"epochs": 6.0, "window": 100})
    assert (logits(moved) - logits(first)).abs().max() > 1e-3
    assert not list(tmp_path.rglob("merged"))
    merge(moved, tmp_path / "whole", "float32")
    whole = replace(tiny, base=str(tmp_path / "whole"))
    torch.testing.assert_close(logits(whole), logits(moved), atol=1e-4, rtol=1e-4)


@quantizes
def test_what_is_trained_next_is_the_merged_model(
    tiny: Checkpoint, pairs: list[EncodedPair], tmp_path: Path
) -> None:
    first, _ = done(tiny, pairs, tmp_path / "a", epochs=30.0, window=100)
    fresh, on_top = (
        done(start, pairs, tmp_path / name, method="qlora", micro_batch=9)[1].first_loss
        for start, name in ((tiny, "b"), (first, "c"))
    )
    assert on_top < fresh - 0.5


def test_all_weights_are_trained_and_need_no_base(
    tiny: Checkpoint, pairs: list[EncodedPair], tmp_path: Path
) -> None:
    whole, figures = done(
        tiny, pairs, tmp_path / "a", method="full", lora_rank=0, epochs=6.0, window=100
    )
    assert figures.last_loss < figures.first_loss
    assert (whole.base, whole.adapter, whole.author) == (str(tmp_path / "a"), None, "local")
    assert whole.fingerprint not in {"", tiny.fingerprint}
    assert check_adapter(tmp_path / "a").lora_rank == 0
    assert tiny.base not in (tmp_path / "a" / "config.json").read_text()
    # Any method goes on from there, and all weights from an adapter.
    adapted, _ = done(whole, pairs, tmp_path / "b", warmup=0.0)
    assert adapted.base == whole.base
    again, _ = done(adapted, pairs, tmp_path / "c", method="full", learning_rate=1e-12)
    torch.testing.assert_close(logits(again), logits(adapted), atol=1e-4, rtol=1e-4)


# --- validation -----------------------------------------------------------------------------


def test_the_best_weights_are_kept_and_training_stops_early(
    tiny: Checkpoint, pairs: list[EncodedPair], tmp_path: Path
) -> None:
    # At this rate the loss falls, and then flies away.
    work = job(
        tiny,
        pairs,
        tmp_path / "c",
        epochs=40.0,
        learning_rate=0.3,
        packing=False,
        micro_batch=4,
        validation_pairs=4,
        patience=3,
    )
    events: list[Event] = []
    figures = carry_out(work, events.append)
    best = min(figures.validation, key=lambda each: each[1])
    assert figures.best_step == best[0]
    assert figures.steps < 40 * 2
    assert len([step for step, _ in figures.validation if step > best[0]]) == 3
    assert any("validation loss" in event.detail for event in events)
    held_back = set_aside_for_validation(pairs, work.recipe)[1]
    kept = [p for p, e in zip(TRAIN.pairs, pairs, strict=True) if e in held_back]
    model: Any = load_model(checkpoint_in(tmp_path / "c", tiny, 0))
    total = tokens = 0.0
    for pair in held_back:
        ids = torch.tensor([[*pair.prompt, *pair.response]])
        with torch.no_grad():
            scores = model(ids).logits[0].log_softmax(-1)
        for place, token in enumerate(pair.response, start=len(pair.prompt)):
            total, tokens = total - scores[place - 1, token].item(), tokens + 1
    assert len(kept) == 4
    assert total / tokens == pytest.approx(best[1], abs=1e-3)


def test_validation_is_drawn_by_the_seed(pairs: list[EncodedPair]) -> None:
    learned, held_back = set_aside_for_validation(pairs, recipe(validation_pairs=3))
    assert len(held_back) == 3
    assert sorted([*learned, *held_back], key=pairs.index) == pairs
    assert set_aside_for_validation(pairs, recipe(validation_pairs=3, seed=1))[1] != held_back


# --- bad input ------------------------------------------------------------------------------


def test_a_pair_with_nothing_to_learn_is_named() -> None:
    good = EncodedPair((1, 2), (3,))
    with pytest.raises(StageFailed, match=r"1 of the 2 pairs .* number 2") as caught:
        require_something_to_learn([good, EncodedPair((1, 2), ())])
    assert "chat_template" in caught.value.hint
    require_something_to_learn([good])


def test_a_model_that_lora_finds_nothing_in_is_refused() -> None:
    from llamaduo.finetuning.training.loading import with_adapter

    class Lookup(torch.nn.Module):
        """Embeddings, and no linear layer."""

        def __init__(self) -> None:
            super().__init__()
            from transformers import LlamaConfig

            self.config = LlamaConfig()
            self.embed_tokens = torch.nn.Embedding(4, 4)

        def prepare_inputs_for_generation(self) -> None: ...

        def get_output_embeddings(self) -> None: ...

    with pytest.raises(ModelError, match="LoRA") as caught:
        with_adapter(Lookup(), recipe())
    assert "method: full" in caught.value.hint
