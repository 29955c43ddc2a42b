"""How the local LLM answers, and what runs it meanwhile."""

from __future__ import annotations

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llamaduo.errors import Contradictions
from llamaduo.records import EngineKind

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_A_SERVER = ("base_url", "model", "serve_command", "sleep")


class InferenceSettings(BaseModel):
    """The ``inference`` section. ``responses_per_prompt`` is the paper's K (Section 3.3)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    responses_per_prompt: int = Field(4, ge=1)
    temperature: float = Field(0.7, ge=0, le=2, description="0 is greedy.")
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        description="Left out: half as long again as the longest reference in the train split.",
    )
    batch_size: int = Field(8, ge=1, description="Prompts in one batch.")
    seed: int = Field(0, ge=0, lt=2**32)
    constrained: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Hold answers to the JSON schema of their pair. auto: where the engine can;"
        " on: fail where it cannot.",
    )
    engine: EngineKind = Field(
        "transformers",
        description="transformers: in this process; xllamacpp: each checkpoint as GGUF on"
        " llama.cpp; openai: a server that speaks the OpenAI API, as vLLM, SGLang and Ollama do.",
    )
    gguf: Literal["F16", "Q8_0"] = Field(
        "Q8_0", description="With engine xllamacpp: how the weights are stored."
    )
    base_url: str | None = Field(
        None,
        description="With engine openai: the server's address.",
        examples=["http://127.0.0.1:8000/v1"],
    )
    token_env: str = Field(
        "LLAMADUO_TOKEN",
        description="The environment variable with the token that the server wants, if it wants"
        " one; never the token.",
    )
    model: str | None = Field(
        None,
        description="With engine openai: what the server calls the base model. Left out: the"
        " only model there, or the one called as local.model.",
    )
    serve_command: tuple[str, ...] = Field(
        (),
        description="With engine openai: started for each checkpoint and ended after it, so that"
        " training has the GPU. {model} is a folder with merged weights, {name} what to call it.",
        examples=[["vllm", "serve", "{model}", "--served-model-name", "{name}"]],
    )
    start_seconds: float = Field(
        900.0, gt=0, description="How long serve_command may take until its server answers."
    )
    sleep: bool = Field(
        False,
        description="With engine openai: have vLLM sleep while nothing is asked, so that training"
        " has the GPU. Its sleep mode must be on.",
    )
    concurrency: int = Field(32, ge=1, le=1024, description="Requests to the server at once.")
    timeout_seconds: float = Field(600.0, gt=0, description="For one request to the server.")

    @field_validator("token_env")
    @classmethod
    def _names_a_variable(cls, name: str) -> str:
        if not _VARIABLE.fullmatch(name):
            raise ValueError("this is the NAME of an environment variable, never the token")
        return name

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an address such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("an address has no user name, password or query; use token_env")
        return url.rstrip("/")

    @field_validator("serve_command")
    @classmethod
    def _names_the_model(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if command and not any("{model}" in part for part in command):
            raise ValueError("{model} is nowhere in it: it would serve the same to every cycle")
        return command

    @model_validator(mode="after")
    def _nothing_contradicts(self) -> Self:
        found = []
        if self.engine == "openai" and self.base_url is None:
            found.append("engine openai needs base_url, as in http://127.0.0.1:8000/v1")
        if self.engine != "openai":
            given = [name for name in _OF_A_SERVER if getattr(self, name)]
            found += [f"{name} is for engine openai; engine is {self.engine}" for name in given]
        elif self.sleep and self.serve_command:
            found.append("sleep and serve_command: a server that is ended has no need of sleep")
        if found:
            raise Contradictions(found)
        return self
