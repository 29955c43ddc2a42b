"""Ollama's Modelfile renders what the model's own template does, or leaves the template out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.deployment.chat_template import ChatTemplate, read_chat
from llamaduo.deployment.modelfile import (
    GoTemplate,
    Sampling,
    go_template,
    modelfile,
    write_modelfile,
)
from llamaduo.records import Message
from tests.llamas import CHAT_TEMPLATE, LLAMA3_TEMPLATE, build_llama3, edit

SAMPLING = Sampling(temperature=0.7, top_p=0.95, max_new_tokens=96, window=2048)
SMOLLM2_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
LLAMA3 = ("<|end_of_text|>", "<|begin_of_text|>", "<|eot_id|>")


def chatml(text: str | None) -> ChatTemplate:
    return ChatTemplate(text=text, bos=None, eos="<|im_end|>", special=CHATML)


def llama3(text: str = LLAMA3_TEMPLATE) -> ChatTemplate:
    return ChatTemplate(text=text, bos=LLAMA3[1], eos=LLAMA3[0], special=LLAMA3)


# --- Go's template language, as far as ours go --------------------------------------------


def in_go(template: str, messages: Sequence[Message]) -> str:
    """Run a Go template: ``range``, ``if``, ``end`` and values; ``{{-`` eats the space before."""
    parts = re.split(r"({{-? .*? -?}})", re.sub(r"\s*{{- ", "{{- ", template))
    text, rest = _block(parts, {"messages": messages})
    assert rest == []
    return text


def _block(parts: list[str], scope: dict[str, object]) -> tuple[str, list[str]]:
    """Everything up to the ``end`` of this block, and what comes after it."""
    written = ""
    while parts:
        part, parts = parts[0], parts[1:]
        action = part.strip("{}-").strip() if part.startswith("{{") else None
        if action is None:
            written += part
        elif action == "end":
            return written, parts
        elif action.startswith("range"):
            assert action in {"range .Messages", "range $i, $m := .Messages"}
            messages = scope["messages"]
            assert isinstance(messages, Sequence)
            for i, message in enumerate(messages):
                text, after = _block(parts, scope | {"i": i, "m": message})
                written += text
            parts = after
        elif action.startswith("if"):
            assert action == 'if and (eq $i 0) (ne $m.Role "system")'
            text, parts = _block(parts, scope)
            message = scope["m"]
            assert isinstance(message, Message)
            written += text if scope["i"] == 0 and message.role != "system" else ""
        else:
            message = scope["m"]
            assert isinstance(message, Message)
            written += {".Role": message.role, ".Content": message.content}[
                action.removeprefix("$m")
            ]
    return written, parts


contents = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
conversations = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), contents), min_size=1
)


def go(chat: ChatTemplate, *, bos_added: bool = False) -> GoTemplate:
    found = go_template(chat, bos_added=bos_added)
    assert found is not None
    return found


@pytest.mark.parametrize("text", [CHAT_TEMPLATE, SMOLLM2_TEMPLATE], ids=["plain", "SmolLM2"])
def test_chatml_in_go_renders_what_jinja_renders(text: str) -> None:
    chat, found = chatml(text), go(chatml(text))
    assert not found.trims

    @settings(max_examples=40)
    @given(messages=conversations)
    def equal(messages: list[Message]) -> None:
        assert in_go(found.text, messages) == chat.render(messages)

    equal()


def test_llama_3_in_go_renders_what_jinja_renders_of_trimmed_messages() -> None:
    chat, found, without = llama3(), go(llama3()), go(llama3(), bos_added=True)
    assert found.trims

    @settings(max_examples=40)
    @given(messages=conversations)
    def equal(messages: list[Message]) -> None:
        trimmed = [Message(m.role, m.content.strip()) for m in messages]
        assert in_go(found.text, trimmed) == chat.render(messages)
        assert LLAMA3[1] + in_go(without.text, trimmed) == chat.render(messages)

    equal()


def test_a_system_prompt_of_the_models_own_is_kept() -> None:
    assert "You are a helpful AI assistant named SmolLM" in go(chatml(SMOLLM2_TEMPLATE)).text


# --- templates that we do not claim -------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{{ messages[0]['content'] }}",
        CHAT_TEMPLATE.replace("'\n' + message['content']", "'\n' + message['content'] | trim"),
        CHAT_TEMPLATE.replace("<|im_end|>", "<|im_end|> "),
        CHAT_TEMPLATE.replace("messages %}", "messages if message['role'] != 'system' %}"),
        SMOLLM2_TEMPLATE.replace("Hugging Face", "{{ '{{ .System }}' }}"),
        SMOLLM2_TEMPLATE.replace("You are", '""" You are'),
        "{% set s = namespace(n=0) %}" + CHAT_TEMPLATE + "{{ strftime_now('%Y') }}",
        "{% for",
        "{{ raise_exception('no') }}",
        "{{ messages.__class__.__mro__ }}",
        "{% set n = namespace(__class__=1) %}",
        "{{ 1 // 0 }}",
    ],
)
def test_what_cannot_be_proved_equal_is_left_out(text: str | None) -> None:
    assert go_template(chatml(text), bos_added=False) is None
    written = modelfile("model-F16.gguf", chatml(text), SAMPLING, bos_added=False)
    assert "\nTEMPLATE" not in written
    assert "# No TEMPLATE" in written


def test_a_template_that_refuses_some_conversations_is_compared_on_the_others() -> None:
    strict = (
        "{% for m in messages %}{% if m['role'] == 'system' %}"
        "{{ raise_exception('no system prompts') }}{% endif %}{% endfor %}" + CHAT_TEMPLATE
    )
    assert go_template(chatml(strict), bos_added=False) is not None


# --- the file -----------------------------------------------------------------------------


def test_the_file_serves_the_model_as_it_was_judged() -> None:
    lines = modelfile("model-Q8_0.gguf", chatml(CHAT_TEMPLATE), SAMPLING, bos_added=False)
    assert lines.splitlines()[:9] == [
        "FROM ./model-Q8_0.gguf",
        "",
        "PARAMETER temperature 0.7",
        "PARAMETER top_p 0.95",
        "PARAMETER num_predict 96",
        "PARAMETER num_ctx 2048",
        "# Ollama's own defaults for these would change the answers.",
        "PARAMETER top_k 0",
        "PARAMETER min_p 0",
    ]
    assert 'PARAMETER stop "<|im_end|>"' in lines
    assert lines.endswith('<|im_start|>assistant\n"""\n')


def test_a_stop_with_quotes_is_quoted_thrice() -> None:
    odd = ChatTemplate(text=None, bos=None, eos='<"end">', special=())
    assert 'PARAMETER stop """<"end">"""' in modelfile("m.gguf", odd, SAMPLING, bos_added=False)


def test_a_llama_3_folder_becomes_a_modelfile(tmp_path: Path) -> None:
    model = build_llama3(tmp_path / "model")
    path = write_modelfile(model, "model-F16.gguf", SAMPLING, tmp_path / "Modelfile")
    written = path.read_text()
    assert 'PARAMETER stop "<|eot_id|>"' in written
    assert 'PARAMETER stop "<|end_of_text|>"' in written
    assert "<|begin_of_text|>" not in written  # llama.cpp adds it
    assert "leave none there" in written
    edit(model / "tokenizer.json", post_processor=None)
    write_modelfile(model, "model-F16.gguf", SAMPLING, path)
    assert 'TEMPLATE """<|begin_of_text|>{{- range' in path.read_text()


def test_the_template_may_stand_in_the_configuration(tmp_path: Path) -> None:
    model = build_llama3(tmp_path / "model")
    (model / "chat_template.jinja").unlink()
    config = model / "tokenizer_config.json"
    edit(config, chat_template=CHAT_TEMPLATE)
    assert read_chat(model).text == CHAT_TEMPLATE
    edit(
        config,
        chat_template=[{"name": "tool", "template": "x"}, {"name": "default", "template": "y"}],
    )
    assert read_chat(model).text == "y"
    edit(config, eos_token={"content": "<|eot_id|>", "lstrip": False})
    assert read_chat(model).eos == "<|eot_id|>"
