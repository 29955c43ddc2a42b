"""A GGUF file holds the model exactly, or is refused with the reason; it is whole or not there."""

from __future__ import annotations

import errno
import json
import struct
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter
from gguf.quants import dequantize
from safetensors.numpy import load_file, save_file

from llamaduo.deployment import gguf_files
from llamaduo.deployment.converter import convert_with
from llamaduo.deployment.gguf import (
    check_covered,
    check_exportable,
    export,
    read_chat_template,
    write_gguf,
)
from llamaduo.deployment.gguf_files import read_head
from llamaduo.deployment.model_files import count_weights, stored_tensors
from llamaduo.errors import ExportUnsupported, ExtraMissing, ModelError
from llamaduo.records import Event
from tests.llamas import CHAT_TEMPLATE, build_llama, edit


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_llama(tmp_path_factory.mktemp("gguf") / "model")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A model to damage."""
    return build_llama(tmp_path / "own")


def weights(path: Path) -> dict[str, Any]:
    return {
        tensor.name: dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        for tensor in GGUFReader(path).tensors
    }


# --- what is in the file ------------------------------------------------------------------


def test_the_file_says_what_the_model_is(model: Path, tmp_path: Path) -> None:
    path = write_gguf(model, tmp_path / "m.gguf", "Q8_0", name="triage", licence="apache-2.0")
    fields = GGUFReader(path).fields
    found = {key: fields[key].contents() for key in fields}
    assert found["general.architecture"] == "llama"
    assert found["general.name"] == "triage"
    assert found["general.license"] == "apache-2.0"
    assert found["general.file_type"] == 7  # mostly Q8_0
    assert found["llama.context_length"] == 256
    assert found["llama.attention.head_count"] == 4
    assert found["llama.attention.head_count_kv"] == 2
    assert found["tokenizer.ggml.pre"] == "gpt-2"
    assert found["tokenizer.ggml.eos_token_id"] == 2
    assert found["tokenizer.ggml.add_bos_token"] is False
    assert found["tokenizer.chat_template"] == CHAT_TEMPLATE
    assert found["tokenizer.ggml.token_type"][:4] == [3, 3, 3, 1]  # control, then ordinary


def test_f16_keeps_every_weight_and_32_bits_where_there_is_one_dimension(
    model: Path, tmp_path: Path
) -> None:
    kept = weights(write_gguf(model, tmp_path / "m.gguf", "F16", name="t"))
    stored = load_file(model / "model.safetensors")
    assert np.array_equal(kept["output_norm.weight"], stored["model.norm.weight"])
    embedding = stored["model.embed_tokens.weight"].astype(np.float16)
    assert np.array_equal(kept["token_embd.weight"], embedding)
    assert "output.weight" not in kept  # tied
    assert len(kept) == len(stored)


def test_q8_0_is_off_by_at_most_half_a_step_of_each_block(model: Path, tmp_path: Path) -> None:
    kept = weights(write_gguf(model, tmp_path / "m.gguf", "Q8_0", name="t"))
    stored = load_file(model / "model.safetensors")["model.layers.1.mlp.down_proj.weight"]
    blocks = stored.reshape(-1, 32)
    steps = abs(blocks).max(axis=1, keepdims=True) / 127
    off = abs(kept["blk.1.ffn_down.weight"].reshape(-1, 32) - blocks)
    assert (off <= steps * 0.51 + 1e-3 * abs(blocks)).all()


def test_rows_that_are_no_whole_blocks_stay_f16(tmp_path: Path) -> None:
    narrow = build_llama(tmp_path / "narrow", intermediate_size=100)
    path = write_gguf(narrow, tmp_path / "m.gguf", "Q8_0", name="t")
    kinds = {tensor.name: tensor.tensor_type.name for tensor in GGUFReader(path).tensors}
    assert kinds["blk.0.ffn_down.weight"] == "F16"  # rows of 100
    assert kinds["blk.0.ffn_up.weight"] == "Q8_0"  # rows of 64
    assert kinds["blk.0.ffn_norm.weight"] == "F32"


def test_several_files_give_the_bytes_of_one(model: Path, own: Path, tmp_path: Path) -> None:
    stored = load_file(own / "model.safetensors")
    halves = [dict(list(stored.items())[i::2]) for i in (0, 1)]
    places: dict[str, str] = {}
    for number, half in enumerate(halves):
        save_file(half, own / f"part-{number}.safetensors")
        places |= dict.fromkeys(half, f"part-{number}.safetensors")
    (own / "model.safetensors").unlink()
    (own / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    split = write_gguf(own, tmp_path / "split.gguf", "F16", name="t")
    whole = write_gguf(model, tmp_path / "whole.gguf", "F16", name="t")
    assert split.read_bytes() == whole.read_bytes()


def test_names_that_llama_cpp_treats_in_its_own_way_are_left_out(
    model: Path, tmp_path: Path
) -> None:
    path = write_gguf(model, tmp_path / "m.gguf", "F16", name="Phi-3-tickets")
    assert "general.name" not in read_head(path).texts


def test_every_tensor_is_reported(model: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    write_gguf(model, tmp_path / "m.gguf", "F16", name="t", notify=events.append)
    assert [event.done for event in events] == list(range(1, len(events) + 1))
    assert {event.total for event in events} == {len(events)}


def test_export_names_the_files_by_kind(model: Path, tmp_path: Path) -> None:
    files = export(model, tmp_path, ("F16", "Q8_0"), name="t")
    assert [path.name for path in files] == ["model-F16.gguf", "model-Q8_0.gguf"]
    assert read_chat_template(files[0]) == read_chat_template(files[1]) == CHAT_TEMPLATE


# --- whole or not there -------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gguf(model, tmp_path / "m.gguf", "F16", name="t")
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gguf_files, "sync_file", full)
    with pytest.raises(OSError, match="No space left"):
        write_gguf(model, path, "Q8_0", name="t")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.gguf"]


def test_what_a_killed_process_left_is_replaced(model: Path, tmp_path: Path) -> None:
    (tmp_path / ".m.gguf.partial").write_bytes(b"half a file")
    write_gguf(model, tmp_path / "m.gguf", "F16", name="t")
    assert [file.name for file in tmp_path.iterdir()] == ["m.gguf"]


def test_without_the_gguf_package_the_command_that_installs_it_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ExtraMissing) as refusal:
        write_gguf(model, tmp_path / "m.gguf", "F16", name="t")
    assert refusal.value.hint == "pip install 'llamaduo[gguf]'"


# --- models that are refused --------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"architectures": ["Qwen2ForCausalLM"]}, "Qwen2ForCausalLM, and only LlamaForCausalLM"),
        ({"architectures": None}, "architecture is unknown"),
        ({"attention_bias": True}, "biases"),
        ({"mlp_bias": True}, "biases"),
        ({"hidden_act": "gelu"}, "gelu, not silu"),
        ({"quantization_config": {"bits": 4}}, "quantized already"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "scaled by yarn"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear"}}, "scaled by linear"),
    ],
)
def test_what_llama_cpp_would_compute_differently_is_refused(
    own: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    edit(own / "config.json", **changes)
    with pytest.raises(ExportUnsupported, match=reason) as refusal:
        export(own, tmp_path / "out", ("F16",), name="t")
    assert "deployment.converter" in refusal.value.hint
    assert not (tmp_path / "out").exists()


def test_an_old_configuration_says_the_same(own: Path, model: Path, tmp_path: Path) -> None:
    """Before transformers 5, positions were set beside each other."""
    edit(own / "config.json", rope_parameters=None, rope_theta=10000.0, rope_scaling=None or {})
    old = write_gguf(own, tmp_path / "old.gguf", "F16", name="t")
    assert (
        old.read_bytes() == write_gguf(model, tmp_path / "new.gguf", "F16", name="t").read_bytes()
    )


def rewrite(model: Path, **changes: Any) -> None:
    """Change weights; None takes one out."""
    stored = load_file(model / "model.safetensors") | changes
    save_file({k: v for k, v in stored.items() if v is not None}, model / "model.safetensors")


NORM = "model.norm.weight"


def test_a_weight_too_large_for_f16_is_refused_and_not_made_infinite(
    own: Path, tmp_path: Path
) -> None:
    name = "model.layers.0.mlp.up_proj.weight"
    large = load_file(own / "model.safetensors")[name]
    large[3, 5] = 70000.0
    rewrite(own, **{name: large})
    with pytest.raises(ExportUnsupported, match=r"up_proj\.weight has the value 70000"):
        write_gguf(own, tmp_path / "m.gguf", "F16", name="t")
    assert not (tmp_path / "m.gguf").exists()
    q8 = weights(write_gguf(own, tmp_path / "m.gguf", "Q8_0", name="t"))
    assert abs(q8["blk.0.ffn_up.weight"][3, 5] - 70000.0) < 70


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_no_number_is_refused(own: Path, tmp_path: Path, value: float) -> None:
    rewrite(own, **{NORM: np.full(64, value, dtype=np.float32)})
    with pytest.raises(ModelError, match="infinite or not numbers"):
        write_gguf(own, tmp_path / "m.gguf", "F16", name="t")


@pytest.mark.parametrize(
    ("changes", "reason", "error"),
    [
        ({NORM: None}, r"model\.norm\.weight is missing", ModelError),
        ({NORM: np.zeros(65, np.float32)}, r"of shape \(65,\), and \(64,\)", ModelError),
        (
            {"model.extra": np.zeros(1, np.float32)},
            r"model\.extra, which no Llama",
            ExportUnsupported,
        ),
        ({NORM: np.zeros(64, np.int32)}, "stored as I32", ModelError),
    ],
)
def test_tensors_that_do_not_fit_the_configuration_are_refused(
    own: Path, changes: dict[str, Any], reason: str, error: type[Exception]
) -> None:
    rewrite(own, **changes)
    with pytest.raises(error, match=reason):
        check_covered(own)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda raw: raw[:-100], "ends before"),
        (lambda _: b"", "does not begin like"),
        (lambda _: b"\xff" * 100, "does not begin like"),
        (lambda raw: struct.pack("<Q", 20) + b"{" + raw[9:], "damaged"),
        (lambda _: struct.pack("<Q", 2) + b"[]", "not an object"),
    ],
)
def test_damaged_weights_are_refused(own: Path, damage: Any, reason: str) -> None:
    file = own / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ModelError, match=reason):
        stored_tensors(own)


@pytest.mark.parametrize(
    "places",
    [{"a": "../elsewhere.safetensors"}, {"a": "absent.safetensors"}, {"a": 3}, ["a"], None],
)
def test_an_index_that_leads_nowhere_is_refused(own: Path, places: Any) -> None:
    (own / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    with pytest.raises(ModelError):
        stored_tensors(own)


@pytest.mark.parametrize("content", ["", "{", "[]", None, "{}", '{"architectures": 3}'])
def test_a_configuration_that_is_none_is_refused(own: Path, content: str | None) -> None:
    if content is None:
        (own / "config.json").unlink()
    else:
        (own / "config.json").write_text(content)
    with pytest.raises((ModelError, ExportUnsupported)):
        check_covered(own)


@pytest.mark.parametrize("key", ["num_attention_heads", "vocab_size", "rms_norm_eps"])
def test_a_configuration_without_a_size_is_refused(own: Path, key: str) -> None:
    edit(own / "config.json", **{key: None})
    with pytest.raises(ModelError, match=key):
        check_covered(own)


# --- reading back -------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_anywhere_is_not_read(model: Path, tmp_path: Path, share: float) -> None:
    path = write_gguf(model, tmp_path / "m.gguf", "F16", name="t")
    whole = path.read_bytes()
    assert read_head(path).tensors == 20
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=r"m\.gguf"):
        read_head(path)


# --- the user's converter -----------------------------------------------------------------

CONVERTER = """
    import argparse, gguf, numpy
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--outfile")
    parser.add_argument("--outtype")
    given = parser.parse_args()
    writer = gguf.GGUFWriter(given.outfile, "other")
    writer.add_string("general.name", given.outtype)
    writer.add_tensor("t", numpy.zeros(4, dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
"""


def script(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "convert_hf_to_gguf.py"
    path.write_text(textwrap.dedent(text))
    return path


def test_what_is_not_covered_goes_through_the_users_converter(own: Path, tmp_path: Path) -> None:
    edit(own / "config.json", architectures=["OtherForCausalLM"])
    checkout = script(tmp_path / "llama.cpp", CONVERTER).parent
    files = export(own, tmp_path / "out", ("F16", "Q8_0"), name="t", converter=checkout)
    assert [read_head(file).texts["general.name"] for file in files] == ["f16", "q8_0"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [f.name for f in files]


def test_what_is_covered_is_written_by_us_all_the_same(model: Path, tmp_path: Path) -> None:
    broken = script(tmp_path / "llama.cpp", "raise SystemExit(1)")
    (file,) = export(model, tmp_path / "out", ("F16",), name="t", converter=broken)
    assert read_head(file).texts["general.architecture"] == "llama"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit('Model OtherForCausalLM is not supported')", "OtherForCausalLM is not"),
        ("import not_installed_anywhere", "No module named 'not_installed_anywhere'"),
        ("", "left no whole GGUF file"),
        (
            "import sys; open(sys.argv[sys.argv.index('--outfile') + 1], 'wb').write(b'GGUF')",
            "left no whole GGUF file",
        ),
        (CONVERTER.replace("writer.add_tensor", "print"), "has no tensors"),
    ],
)
def test_a_converter_that_fails_says_why_and_leaves_nothing(
    own: Path, tmp_path: Path, text: str, said: str
) -> None:
    into = tmp_path / "out" / "m.gguf"
    with pytest.raises(ExportUnsupported, match=said) as refusal:
        convert_with(script(tmp_path / "c", text), own, into, "F16")
    assert refusal.value.hint
    assert list(into.parent.iterdir()) == []


def test_a_converter_that_is_not_there_is_named(own: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"convert_hf_to_gguf\.py is missing"):
        convert_with(tmp_path, own, tmp_path / "m.gguf", "F16")


def test_what_export_needs_can_be_asked_before_anything_is_merged(
    own: Path, tmp_path: Path
) -> None:
    check_exportable(own, tmp_path / "not needed")
    edit(own / "tokenizer.json", normalizer={"type": "NFC"})
    with pytest.raises(ExportUnsupported, match="normalizes"):
        check_exportable(own, None)
    with pytest.raises(ModelError, match=r"convert_hf_to_gguf\.py is missing"):
        check_exportable(own, tmp_path)
    check_exportable(own, script(tmp_path / "c", CONVERTER))


def test_weights_are_counted_whatever_they_are_stored_as(own: Path) -> None:
    stored = load_file(own / "model.safetensors")
    number = sum(tensor.size for tensor in stored.values())
    assert count_weights(own) == number
    halves = {name: tensor.astype(np.float16) for name, tensor in stored.items()}
    save_file(halves, own / "a.safetensors")
    (own / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="are damaged"):
        count_weights(own)
    places = dict.fromkeys(stored, "a.safetensors")
    (own / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert count_weights(own) == number


def test_paths_are_arguments_and_never_shell_text(own: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a b; touch $(echo x) 'q'"
    convert_with(script(odd, CONVERTER), own, odd / "m.gguf", "F16")
    assert sorted(file.name for file in odd.iterdir()) == ["convert_hf_to_gguf.py", "m.gguf"]


def test_read_head_reads_what_the_gguf_package_writes(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    writer = GGUFWriter(path, "x")
    writer.add_custom_alignment(64)
    writer.add_array("nested", [[1, 2], [3, 4]])
    writer.add_array("texts", ["a", "b"])
    writer.add_float64("number", 0.5)
    writer.add_string("text", "日本")
    writer.add_tensor("t", np.zeros((3, 5), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    head = read_head(path)
    assert head.texts == {"general.architecture": "x", "text": "日本"}
    assert head.tensors == 1
