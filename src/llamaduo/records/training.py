"""Fine-tuning: the recipe that a cycle is trained by, and what the training measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["qlora", "lora", "full"]
Attention = Literal["sdpa", "flash_attention_2", "eager"]
Precision = Literal["bfloat16", "float32"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a training is going to take, reckoned before it starts."""

    seconds: float
    """All steps, and loading the model. 0: the speed of the device is not known."""
    memory_bytes: int
    """The most that one device holds at once, weights included."""
    tokens: int
    """Prompt and response tokens seen, all epochs."""
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """``cycles/NNN/recipe.json``: every value with which a cycle is trained, and why."""

    method: Method
    dtype: Precision
    """Of the computation; what the weights are kept in follows from it and the method."""
    epochs: float
    learning_rate: float
    warmup: float
    """Share of all steps."""
    window: int
    """Tokens of the longest pair that is trained on."""
    packing: bool
    """Rows of ``window`` tokens are filled with several pairs, which do not see each other."""
    micro_batch: int
    """Rows on a device at once: pairs, or packed rows."""
    accumulation: int
    """Micro-batches of one device in one optimizer step."""
    lora_rank: int
    """0: no adapter, all weights are trained."""
    lora_alpha: int
    lora_dropout: float
    activation_checkpointing: bool
    attention: Attention
    liger: bool
    validation_pairs: int
    """Taken out of the mixture, never of the test split. 0: none."""
    patience: int
    """Validations without improvement before training stops. 0: never."""
    save_every_seconds: float
    """How often a checkpoint to resume from is written. 0: never."""
    processes: int
    """0: in this process; 1: a child; n: a child for each of n devices."""
    report_to: tuple[str, ...]
    seed: int
    reasons: dict[str, str]
    """Why, for a person, by field."""
    forecast: Forecast

    @property
    def rows_of_a_device(self) -> int:
        """Pairs or packed rows in one optimizer step, on one device."""
        return self.micro_batch * self.accumulation

    @property
    def rows_in_a_step(self) -> int:
        """Those of all devices together."""
        return self.rows_of_a_device * max(1, self.processes)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFigures:
    """What a fine-tuning measured. Losses are mean cross-entropy per response token, in nats."""

    pairs: int
    """Trained on, or held back to validate with."""
    set_aside: int
    """Pairs longer than the window, counted and not trained on."""
    epochs: float
    steps: int
    tokens: int
    """Prompt and response tokens seen, all epochs."""
    seconds: float
    first_loss: float
    last_loss: float
    method: Method = "lora"
    loss_tokens: int = 0
    """Response tokens trained on, all epochs. 0: nobody counted."""
    tokens_per_second: float = 0.0
    """Prompt and response tokens, while steps were made. 0: nobody measured."""
    peak_memory_bytes: int = 0
    """Of the process or of its device, the most of all devices. 0: nobody measured."""
    resumed: int = 0
    """How often it went on from a checkpoint."""
    halved: int = 0
    """How often the micro-batch was halved because memory ran out."""
    validation_pairs: int = 0
    """Of ``pairs``: those that were validated with and not trained on."""
    validation: tuple[tuple[int, float], ...] = ()
    """Step and loss of every validation."""
    best_step: int | None = None
    """The step whose weights were kept, where validation chose it."""
