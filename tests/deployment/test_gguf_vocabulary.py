"""A tokenizer that GGUF cannot hold exactly is refused, and the reason named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llamaduo.deployment.chat_template import read_chat
from llamaduo.deployment.gguf_vocabulary import adds_bos, read_vocabulary
from llamaduo.errors import ExportUnsupported, ModelError
from tests.llamas import PRE_TOKENIZERS, build_llama, build_llama3, edit

ROWS = 448


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return build_llama(tmp_path / "model")


@pytest.mark.parametrize("pre", sorted(PRE_TOKENIZERS))
def test_each_way_of_splitting_has_the_name_that_llama_cpp_gives_it(
    pre: str, tmp_path: Path
) -> None:
    assert read_vocabulary(build_llama(tmp_path / "m", pre), ROWS).pre == pre


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
OTHER_SPLITS = {
    "Whitespace": {"type": "Whitespace"},
    "Metaspace": {"type": "Metaspace", "replacement": "▁"},
    "Digits, ByteLevel": {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": False}, BYTE_LEVEL],
    },
    "Split, ByteLevel": {
        "type": "Sequence",
        "pretokenizers": [
            {
                "type": "Split",
                "pattern": {"Regex": "\\p{N}"},
                "behavior": "Isolated",
                "invert": False,
            },
            BYTE_LEVEL | {"use_regex": False},
        ],
    },
    "ByteLevel": BYTE_LEVEL | {"add_prefix_space": True},
    "none": None,
}


@pytest.mark.parametrize("named", OTHER_SPLITS)
def test_another_way_of_splitting_is_refused_by_name(model: Path, named: str) -> None:
    edit(model / "tokenizer.json", pre_tokenizer=OTHER_SPLITS[named])
    with pytest.raises(ExportUnsupported, match=rf"no pre-tokenizer like its own \({named}\)"):
        read_vocabulary(model, ROWS)


def test_merges_that_are_skipped_need_the_pre_tokenizer_that_skips_them(model: Path) -> None:
    edit(model / "tokenizer.json", "model", ignore_merges=True)
    with pytest.raises(ExportUnsupported, match=r"ByteLevel with ignore_merges"):
        read_vocabulary(model, ROWS)


@pytest.mark.parametrize(
    ("within", "changes", "reason"),
    [
        (["model"], {"type": "Unigram"}, "Unigram, not byte-level BPE"),
        (["model"], {"byte_fallback": True}, "byte fallback"),
        (["model"], {"dropout": 0.1}, "dropout"),
        (["model"], {"continuing_subword_prefix": "##"}, "prefixes or suffixes"),
        ([], {"normalizer": {"type": "NFC"}}, "normalizes text first \\(NFC\\)"),
        ([], {"model": {}}, "of an unknown kind"),
    ],
)
def test_what_else_gguf_has_no_place_for_is_refused(
    model: Path, within: list[str], changes: dict[str, Any], reason: str
) -> None:
    edit(model / "tokenizer.json", *within, **changes)
    with pytest.raises(ExportUnsupported, match=reason):
        read_vocabulary(model, ROWS)


def add_token(model: Path, content: str, **flags: Any) -> None:
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    number = len(tokenizer["model"]["vocab"]) + len(tokenizer["added_tokens"]) - 3
    tokenizer["added_tokens"].append(
        tokenizer["added_tokens"][0] | {"id": number, "content": content} | flags
    )
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))


@pytest.mark.parametrize(
    ("content", "flags", "reason"),
    [
        ("<mask>", {"lstrip": True}, "<mask> is matched together"),
        ("<mask>", {"single_word": True}, "<mask> is matched together"),
        ("|>x", {}, "can overlap"),
        ("<far>", {"id": 440}, "numbered otherwise"),
    ],
)
def test_added_tokens_that_llama_cpp_would_find_elsewhere_are_refused(
    model: Path, content: str, flags: dict[str, Any], reason: str
) -> None:
    add_token(model, content, **flags)
    with pytest.raises(ExportUnsupported, match=reason):
        read_vocabulary(model, ROWS)


def test_added_tokens_have_their_kind_and_spare_rows_are_unused(model: Path) -> None:
    add_token(model, "<tool>", special=False)
    found = read_vocabulary(model, ROWS)
    assert (found.tokens[423], found.types[423]) == ("<tool>", 4)
    assert (found.tokens[424], found.types[424]) == ("[PAD424]", 5)
    assert len(found.tokens) == len(found.types) == ROWS


def test_a_vocabulary_larger_than_the_model_is_refused(model: Path) -> None:
    with pytest.raises(ExportUnsupported, match="token 422, the model only 400 rows"):
        read_vocabulary(model, 400)


def test_control_characters_may_be_absent_but_no_byte_of_real_text(model: Path) -> None:
    vocabulary = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    vocabulary["unused"] = vocabulary.pop("Ē")  # 0x12
    edit(model / "tokenizer.json", "model", vocab=vocabulary)
    assert read_vocabulary(model, ROWS).pre == "gpt-2"
    vocabulary["unused too"] = vocabulary.pop("ð")  # 0xF0: emoji begin with it
    edit(model / "tokenizer.json", "model", vocab=vocabulary)
    with pytest.raises(ExportUnsupported, match="lacks 1 bytes that occur in text"):
        read_vocabulary(model, ROWS)


@pytest.mark.parametrize("name", ["GPT2Tokenizer", "GPT2TokenizerFast"])
def test_gpt2_classes_split_as_gpt2(tmp_path: Path, name: str) -> None:
    model = build_llama(tmp_path / "m", "smollm")
    edit(model / "tokenizer_config.json", tokenizer_class=name)
    assert read_vocabulary(model, ROWS).pre == "gpt-2"


def test_classes_that_may_rebuild_the_tokenizer_are_refused(model: Path) -> None:
    edit(model / "tokenizer_config.json", tokenizer_class="Qwen2Tokenizer")
    with pytest.raises(ExportUnsupported, match="Qwen2Tokenizer"):
        read_vocabulary(model, ROWS)


def test_merges_may_be_stored_as_text_or_as_pairs(model: Path) -> None:
    stored = json.loads((model / "tokenizer.json").read_text())["model"]["merges"]
    pairs = read_vocabulary(model, ROWS).merges
    edit(model / "tokenizer.json", "model", merges=[" ".join(pair) for pair in stored])
    assert read_vocabulary(model, ROWS).merges == pairs
    assert len(pairs) == len(stored)


def test_a_model_without_tokenizer_json_is_refused(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    with pytest.raises(ExportUnsupported, match=r"no tokenizer\.json"):
        read_vocabulary(model, ROWS)
    (model / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="not JSON"):
        read_vocabulary(model, ROWS)


@pytest.mark.parametrize("content", ['{"model": {"type": "BPE"}}', '{"model": 3}', "[1]"])
def test_what_is_no_tokenizer_is_refused(model: Path, content: str) -> None:
    (model / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        read_vocabulary(model, ROWS)


# --- where texts begin and answers end ----------------------------------------------------


def test_all_tokens_that_end_an_answer_are_known(tmp_path: Path) -> None:
    found = read_vocabulary(build_llama3(tmp_path / "m"), ROWS)
    assert found.ends == (0, 2)  # end of text, end of turn
    assert (found.bos, found.pad) == (1, 0)


def test_a_tokenizer_without_an_end_is_refused(model: Path) -> None:
    edit(model / "tokenizer_config.json", eos_token=None)
    edit(model / "config.json", eos_token_id=None)
    (model / "generation_config.json").unlink()
    (model / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    with pytest.raises(ExportUnsupported, match="no token that ends a text"):
        read_vocabulary(model, ROWS)


def test_llama_cpp_adds_bos_only_where_training_had_it(tmp_path: Path) -> None:
    model = build_llama3(tmp_path / "m")
    assert adds_bos(model, read_chat(model))
    template = model / "chat_template.jinja"
    text = template.read_text()
    template.write_text(text.replace("bos_token + content", "content"))
    assert not adds_bos(model, read_chat(model))  # the post-processor would, prompts do not
    template.write_text(text)
    edit(model / "tokenizer.json", post_processor=None)
    assert not adds_bos(model, read_chat(model))  # the template writes it


def test_a_template_that_names_a_bos_that_is_not_there_is_refused(model: Path) -> None:
    (model / "chat_template.jinja").write_text("{{ bos_token }}{{ messages[0]['content'] }}")
    with pytest.raises(ExportUnsupported, match="bos_token, which its tokenizer lacks"):
        read_vocabulary(model, ROWS)
