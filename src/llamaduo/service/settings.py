"""Which service LLM, how it is reached and what it costs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

_HOST = re.compile(
    r"(?:(?:\*\.)?[A-Za-z0-9_-][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?"
)
_LOOKS_LIKE_A_KEY = re.compile(r"(?:sk|gsk|xai|AQ|AIza|ABSK)[-_.A-Za-z0-9]{16,}$")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Price(BaseModel):
    """US dollars per million tokens, for a model that the price table does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(
        None, ge=0, description="Input read from the provider's cache; left out: as other input."
    )


class TermsSettings(BaseModel):
    """The terms of the provider, as the user accepted them: printed, never judged by us."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(
        min_length=1, description="Their address, and what they say about models made with replies."
    )
    allow_publishing: bool = Field(
        False, description="Whether they let data and models made with the replies be public."
    )


class RateSettings(BaseModel):
    """What the provider allows in a minute. What is left out is learned from its replies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int | None = Field(None, ge=1, description="Requests a minute.")
    tokens: int | None = Field(
        None, ge=1, description="Input and output tokens together, as OpenAI counts them."
    )
    input_tokens: int | None = Field(None, ge=1, description="Input tokens a minute.")
    output_tokens: int | None = Field(None, ge=1, description="Output tokens a minute.")


class BatchSettings(BaseModel):
    """How ``mode: batch`` gathers questions and waits for their replies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smallest: int = Field(
        10, ge=1, description="Fewer questions than this are asked one by one, at full price."
    )
    largest: int = Field(10_000, ge=1, description="The most questions in one batch.")
    gather_seconds: float = Field(
        0.5, gt=0, description="A batch departs when nothing new has come for this long."
    )
    poll_seconds: float = Field(60.0, gt=0, description="Between looks at a batch under way.")


class ServiceSettings(BaseModel):
    """The ``service`` section, and each entry of ``judging.judges``.

    No error shows what was found: it may be a key that was pasted into the wrong place.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    model: str = Field(
        "openai-chat:gpt-4o",
        description="PROVIDER:MODEL, as in openai-chat:gpt-4o (chat completions) or openai:gpt-4o.",
        pattern=r"^[a-z][a-z0-9-]*:\S+$",
        examples=["openai-chat:gpt-4o"],
    )
    base_url: str | None = Field(
        None, description="An OpenAI-compatible server instead of the provider's own address."
    )
    api_key_env: str | None = Field(
        None,
        description="The environment variable that holds the key; never the key. Left out: the"
        " provider's usual one.",
        examples=["OPENAI_API_KEY"],
    )
    api_key_file: Path | None = Field(
        None, description="A file that holds the key and nothing else, instead of a variable."
    )
    project: str | None = Field(
        None,
        description="The cloud project: for anthropic-vertex, and for google-cloud unless a key of"
        " express mode is used.",
        pattern=r"^[a-z][a-z0-9:.-]*$",
    )
    location: str | None = Field(
        None,
        description="The cloud region: google-cloud, anthropic-vertex, anthropic-bedrock.",
        pattern=r"^[a-z][a-z0-9-]*$",
        examples=["europe-west4", "eu-central-1"],
    )
    options: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Model settings by pydantic-ai's names, sent with every call.",
        examples=[{"top_p": 0.9, "openai_reasoning_effort": "low"}],
    )
    structured: Literal["native", "prompt"] = Field(
        "native",
        description="native: the provider holds replies to the JSON schema, where the model can."
        " prompt: it is only told in words, for a server that refuses schemas. What was answered"
        " either way is not asked again.",
    )
    mode: Literal["calls", "batch"] = Field(
        "calls", description="batch: the provider's batch API, at half the price, within a day."
    )
    batch: BatchSettings = BatchSettings()
    rates: RateSettings = RateSettings()
    egress_hosts: tuple[str, ...] | None = Field(
        None,
        description="The only hosts that anything may be sent to: HOST, HOST:PORT or *.SUFFIX. This"
        " machine itself always may be; a cloud's sign-in, which gets no data, is not asked.",
        examples=[["api.openai.com", "*.openai.azure.com"]],
    )
    price: Price | None = Field(
        None, description="Dollars per million tokens, where the price table lacks the model."
    )
    max_output_tokens: int = Field(
        4096,
        ge=16,
        description="The most tokens of one reply, and so what one call can cost at most.",
    )
    concurrency: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Calls in flight at once, at most. Left out: 64, enough for 500 calls a"
        " minute that take 7 s each (the pacer keeps the limits, this need only not be in its"
        " way); 8 for a server on this machine, whose replies only get slower with more.",
    )
    timeout_seconds: float = Field(120.0, gt=0, description="For one attempt.")
    deadline_seconds: float = Field(
        1800.0, gt=0, description="How long one call is retried before the run stops, resumable."
    )

    terms: TermsSettings | None = Field(
        None,
        description="The provider's terms as you accepted them, for the model card and before"
        " anything is published.",
    )

    @field_validator("terms", mode="before")
    @classmethod
    def _may_be_one_sentence(cls, terms: object) -> object:
        return {"text": terms} if isinstance(terms, str) else terms

    @field_validator("api_key_env")
    @classmethod
    def _names_a_variable(cls, name: str | None) -> str | None:
        if name is not None and not _VARIABLE.fullmatch(name):
            raise ValueError("this is the NAME of an environment variable, never the key")
        return name

    @field_validator("egress_hosts")
    @classmethod
    def _name_hosts(cls, hosts: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for host in hosts or ():
            if not _HOST.fullmatch(host):
                raise ValueError(
                    f"{host!r} is not HOST, HOST:PORT or *.SUFFIX: leave http:// and paths out"
                )
        return hosts

    @field_validator("api_key_file")
    @classmethod
    def _names_a_file(cls, path: Path | None) -> Path | None:
        if path is not None and _LOOKS_LIKE_A_KEY.match(str(path)):
            raise ValueError("this is the PATH of a file that holds the key, never the key")
        return path

    @model_validator(mode="after")
    def _has_one_key(self) -> Self:
        if self.api_key_env is not None and self.api_key_file is not None:
            raise ValueError("set api_key_env or api_key_file, not both: there is one key")
        return self

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None and not _is_usable(url):
            raise ValueError(
                "write it as http://HOST:PORT/v1, with no user name, key or query string in it"
            )
        return url


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    plain = parts.username is None and not parts.query and not parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain
