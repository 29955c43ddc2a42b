"""The APIs that the service speaks, by the names that llamaduo has for the providers."""

from __future__ import annotations

from typing import Final

from llamaduo.rehearsal.dialect import Dialect
from llamaduo.rehearsal.dialects.anthropic import ANTHROPIC, BEDROCK, VERTEX
from llamaduo.rehearsal.dialects.chat import CHAT
from llamaduo.rehearsal.dialects.gemini import GEMINI, GEMINI_VERTEX
from llamaduo.rehearsal.dialects.responses import RESPONSES

DIALECTS: Final[dict[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (CHAT, RESPONSES, ANTHROPIC, VERTEX, BEDROCK, GEMINI, GEMINI_VERTEX)
}
