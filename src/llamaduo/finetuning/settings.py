"""Which local LLM, and how it is fine-tuned."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llamaduo.errors import Contradictions


class LocalSettings(BaseModel):
    """The ``local`` section: the small model that is to take over the task."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str = Field(
        "smollm2-135m-instruct",
        description="The embedded model, a folder with safetensors, a Llama's GGUF file, or a Hub"
        " name.",
    )
    revision: str | None = Field(None, description="A Hub revision; pin it.")


Reporter = Literal["tensorboard", "wandb", "mlflow", "trackio"]


class FinetuningSettings(BaseModel):
    """The ``finetuning`` section. What is null is chosen for every cycle, from the model, the
    data and the machine: ``docs/finetuning.md`` says how. What is set is never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: Literal["auto", "qlora", "lora", "full"] = Field(
        "auto", description="auto: qlora on a GPU (Table 5), lora elsewhere; full: all weights."
    )
    start_from: Literal["previous", "base"] = Field(
        "previous", description="Eq. 1 continues the last checkpoint; the experiments the base."
    )
    epochs: float | None = Field(None, gt=0, le=1000, description="null: 1 to 3, by the pairs.")
    learning_rate: float | None = Field(None, gt=0, description="null: by the model's width.")
    warmup: float = Field(0.1, ge=0, le=1, description="Share of all steps.")
    batch_tokens: int | None = Field(
        None, ge=1, description="Tokens in one optimizer step. null: by the data."
    )
    batch_size: int | None = Field(
        None, ge=1, description="Pairs in one optimizer step, instead of batch_tokens."
    )
    micro_batch: int | None = Field(
        None, ge=1, description="Pairs, or packed rows, on a device at once. null: what fits."
    )
    lora_rank: int | None = Field(
        None, ge=1, description="null: 8, 16 or 32, by the pairs (Table 5)."
    )
    lora_alpha: int | None = Field(None, ge=1, description="null: twice the rank (Table 5).")
    lora_dropout: float | None = Field(
        None, ge=0, lt=1, description="null: 0.05 on a GPU (Table 5), 0 elsewhere."
    )
    max_tokens: int | None = Field(
        None,
        ge=16,
        description="Longer pairs are set aside and counted, never cut. null: 1,024, more where"
        " the data needs it.",
    )
    packing: bool | None = Field(
        None, description="Several pairs in a row, isolated. null: where it saves time."
    )
    activation_checkpointing: bool | None = Field(
        None, description="Less memory for more time. null: where memory needs it."
    )
    attention: Literal["sdpa", "flash_attention_2", "eager"] | None = Field(
        None, description="null: flash_attention_2 where it is installed and helps, else sdpa."
    )
    liger: bool | None = Field(
        None, description="Liger's GPU kernels. null: where liger-kernel is installed."
    )
    loss_on: Literal["last", "all"] = Field(
        "last", description="Which responses of a conversation are learned."
    )
    validation_fraction: float = Field(
        0.0, ge=0, lt=1, description="Share of the training pairs to validate with."
    )
    patience: int | None = Field(
        None,
        ge=0,
        description="Validations without improvement before training stops; 0: never. null: 3"
        " where there is a validation.",
    )
    processes: int = Field(
        1, ge=0, description="GPUs to train on, a process each; 0: in llamaduo's own process."
    )
    save_every_minutes: float = Field(
        10.0, ge=0, description="How often to write what an interrupted cycle resumes from."
    )
    report_to: tuple[Reporter, ...] = Field(
        (), description="tensorboard, wandb, mlflow, trackio: those that are installed."
    )
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _nothing_contradicts(self) -> FinetuningSettings:
        adapter = (self.lora_rank, self.lora_alpha, self.lora_dropout)
        at_once = (self.micro_batch or 1) * max(1, self.processes)
        contradictions = {
            "method full trains all weights: it has no lora_rank, lora_alpha or lora_dropout": (
                self.method == "full" and any(value is not None for value in adapter)
            ),
            "batch_size and batch_tokens both say how large a step is; give one of them": (
                self.batch_size is not None and self.batch_tokens is not None
            ),
            "packing fills rows with as many pairs as fit; give batch_tokens, not batch_size": (
                self.batch_size is not None and bool(self.packing)
            ),
            "patience counts validations, and there are none; set validation_fraction": (
                bool(self.patience) and not self.validation_fraction
            ),
            "batch_size is no multiple of micro_batch × processes, which share it evenly": (
                self.batch_size is not None and self.batch_size % at_once != 0
            ),
            "report_to names a tracker twice": len(set(self.report_to)) < len(self.report_to),
        }
        if found := [words for words, holds in contradictions.items() if holds]:
            raise Contradictions(found)
        return self
