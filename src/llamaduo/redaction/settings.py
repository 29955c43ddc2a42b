"""Whether personal data is replaced before anything leaves, and what else counts as such."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from llamaduo.redaction.find import KINDS
from llamaduo.redaction.patterns import check_pattern

Mode = Literal["off", "on", "strict"]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class RedactionSettings(BaseModel):
    """The ``redaction`` section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode = Field(
        "on",
        description="on: personal data becomes stand-ins, in the coverage data and in all that is"
        " sent. strict: what turns up only on its way out is refused, not replaced. off: nothing"
        " is looked for.",
    )
    patterns: dict[str, str] = Field(
        default_factory=dict,
        description="Your own kinds: a name and a regular expression, every repetition in which"
        " has an upper bound.",
        examples=[{"customer_number": r"CUST-\d{4,10}"}],
    )

    @field_validator("patterns")
    @classmethod
    def _can_be_searched_for(cls, patterns: dict[str, str]) -> dict[str, str]:
        for name, expression in patterns.items():
            if not _NAME.fullmatch(name) or name in KINDS:
                raise ValueError(
                    f"{name!r} cannot be a pattern's name: use small letters, digits and _, and"
                    f" none of {', '.join(KINDS)}"
                )
            if problem := check_pattern(expression):
                raise ValueError(f"{name}: {problem}")
        return patterns
