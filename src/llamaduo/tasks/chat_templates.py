"""Chat templates as texts: ChatML for base models, and others made to say the same every day and
to take a system prompt.

A template may ask for today's date (Llama 3.1 and later, Mistral Small, Granite) or leave it to
the caller whether the model reasons first (Qwen 3, SmolLM 3). What a model is trained on must be
what it is asked with, by whatever software and on whatever day: so both are written into the
template, which then travels with the model.
"""

from __future__ import annotations

import re
from datetime import date

PINNED = date(2024, 7, 26)
"""What every template takes for today: the day that Llama 3's own falls back to."""

TURN_BEGINS, TURN_ENDS = "<|im_start|>", "<|im_end|>"
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""For a base model that comes without a template. Its two tokens are trained."""

_FOLDS_SYSTEM = (
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set messages = [{'role': messages[1]['role'],"
    " 'content': messages[0]['content'] + '\\n\\n' + messages[1]['content']}] + messages[2:] %}"
    "{%- endif %}"
)
_TODAY = re.compile(r"""strftime_now\(\s*(['"])(?P<format>[^'"]*)\1\s*\)""")
_SET_BY_CALLERS = {"date_string": f"'{PINNED:%d %b %Y}'", "enable_thinking": "false"}
"""Variables that software hands to a template, by its own lights: llama.cpp says today's date."""


def steady(template: str) -> str:
    """``template`` with the date and the mode of answering written into it.

    Local models answer here without reasoning aloud: what they are trained on has none. A
    template that is steady already is returned as it is.
    """
    pinned = _TODAY.sub(lambda found: f"'{PINNED.strftime(found['format'])}'", template)
    settings = [
        f"{{%- set {name} = {value} %}}"
        for name, value in _SET_BY_CALLERS.items()
        if name in pinned
    ]
    head = "".join(settings)
    return pinned if pinned.startswith(head) else head + pinned


def folding_system(template: str) -> str:
    """``template``, which has no place for a system prompt, with one: before the first message
    of the user, where Gemma 3 writes it, too."""
    return _FOLDS_SYSTEM + template
