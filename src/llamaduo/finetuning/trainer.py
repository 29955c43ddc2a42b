"""TRL's SFT with LoRA, set up for small data and small machines. Imports torch: load lazily."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from llamaduo.errors import StageFailed
from llamaduo.finetuning.settings import FinetuningSettings
from llamaduo.records import Checkpoint, Event, Notify
from llamaduo.tasks.chat import EncodedPair

_IGNORED = -100  # the label that cross-entropy leaves out


@dataclass(frozen=True, slots=True)
class Trained:
    """A PEFT model after training, the loss of each step, and the tokens it has seen."""

    model: Any
    losses: tuple[float, ...]
    tokens: int


def train_adapter(
    start: Checkpoint,
    pairs: Sequence[EncodedPair],
    tokenizer: Any,
    settings: FinetuningSettings,
    notify: Notify,
) -> Trained:
    """Train a LoRA adapter, a new one or the one of ``start``, on ``pairs``.

    Raises:
        StageFailed: the loss is no longer a number, or the device is out of memory.
    """
    progress = _Progress(notify)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = _ResponseTrainer(
            model=_adapted_model(start, settings),
            args=_recipe(settings, scratch),
            train_dataset=Dataset.from_list([_example(pair) for pair in pairs]),
            processing_class=tokenizer,
            callbacks=[progress],
        )
        trainer.remove_callback(PrinterCallback)  # it prints every log to stdout
        try:
            trainer.train()
        except torch.OutOfMemoryError as error:
            raise StageFailed(
                "Fine-tuning ran out of memory.",
                hint="Lower finetuning.batch_size or finetuning.max_tokens.",
            ) from error
    return Trained(trainer.model, tuple(progress.losses), trainer.tokens_seen)


class _ResponseTrainer(SFTTrainer):
    """SFT that projects only the response's positions to the vocabulary.

    On a CPU, TRL projects every position and masks afterwards. With a vocabulary of 49,000, a
    prompt of 60 tokens and a response of 5, that is a third of all the work.
    """

    tokens_seen: int = 0

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: ARG002  # the signature is transformers'
        num_items_in_batch: Any = None,  # noqa: ARG002
    ) -> torch.Tensor:
        """Mean cross-entropy per response token of one batch, which is one optimizer step."""
        labels = inputs.pop("labels")
        self.tokens_seen += int(inputs["attention_mask"].sum())
        # Position i predicts token i + 1.
        targets = functional.pad(labels[:, 1:], (0, 1), value=_IGNORED)
        scored = (targets != _IGNORED).any(dim=0).nonzero().flatten()
        logits = model(**inputs, use_cache=False, logits_to_keep=scored).logits
        return functional.cross_entropy(
            logits.flatten(0, 1).float(), targets[:, scored].flatten(), ignore_index=_IGNORED
        )


class _Progress(TrainerCallback):
    """One event for each optimizer step, with its loss."""

    def __init__(self, notify: Notify) -> None:
        self.losses: list[float] = []
        self._notify = notify

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002  # the signature is transformers'
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **event: Any,
    ) -> None:
        logs = event["logs"]
        if "loss" not in logs:  # the summary after the last step
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise StageFailed(
                f"Fine-tuning diverged: the loss of step {state.global_step} is {loss}.",
                hint="Lower finetuning.learning_rate.",
            )
        self.losses.append(loss)
        self._notify(
            Event("finetune", state.global_step, state.max_steps, "steps", f"loss {loss:.3f}")
        )


def _recipe(settings: FinetuningSettings, scratch: str) -> SFTConfig:
    on_gpu = torch.cuda.is_available()
    return SFTConfig(
        scratch,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,  # below 1 it is a share of all steps
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=on_gpu,
        use_cpu=not on_gpu,
        activation_checkpointing=False,
        max_length=None,  # longer pairs were set aside; nothing is ever cut
        dataset_kwargs={"skip_prepare_dataset": True},  # the pairs come as token ids
        train_sampling_strategy="group_by_length",
        dataloader_pin_memory=on_gpu,
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        save_strategy="no",
    )


def _example(pair: EncodedPair) -> dict[str, list[int]]:
    return {
        "input_ids": [*pair.prompt, *pair.response],
        "labels": [_IGNORED] * len(pair.prompt) + list(pair.response),
    }


def _adapted_model(start: Checkpoint, settings: FinetuningSettings) -> Any:
    base = AutoModelForCausalLM.from_pretrained(
        start.base,
        dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    if start.adapter is not None:
        return PeftModel.from_pretrained(base, start.adapter, is_trainable=True)
    set_seed(settings.seed)  # the new adapter's first weights are drawn here
    return get_peft_model(
        base,
        LoraConfig(
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.lora_dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
