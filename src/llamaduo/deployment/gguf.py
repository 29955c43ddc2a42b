"""GGUF files for llama.cpp and Ollama, from a merged model folder.

Our own writer covers Llamas with byte-level BPE (SmolLM, Llama 3) and needs neither torch nor a
llama.cpp checkout; for the rest there is the user's converter. A file is whole or not there, and
the same model gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.deployment.chat_template import read_chat
from llamaduo.deployment.converter import convert_with, require_script
from llamaduo.deployment.gguf_files import gguf_package, partial_file, read_head
from llamaduo.deployment.gguf_shape import Part, Shape, read_parts, read_shape
from llamaduo.deployment.gguf_tensors import layout
from llamaduo.deployment.gguf_vocabulary import Vocabulary, read_vocabulary
from llamaduo.deployment.model_files import stored_tensors
from llamaduo.deployment.settings import GgufKind
from llamaduo.errors import ExportUnsupported
from llamaduo.records import Event, Notify, silent

_RENAMED = ("phi-3", "phi3", "modern-bert")
"""llama.cpp treats special tokens in its own way in models with these in their name."""


@dataclass(frozen=True, slots=True)
class _Plan:
    shape: Shape
    vocabulary: Vocabulary
    parts: tuple[Part, ...]
    template: str | None


def export(
    model: Path,
    into: Path,
    kinds: Sequence[GgufKind],
    *,
    name: str,
    converter: Path | None = None,
    licence: str | None = None,
    notify: Notify = silent,
) -> tuple[Path, ...]:
    """``model-KIND.gguf`` in the folder ``into``, for each kind.

    Written by us where the model is covered, else by ``converter`` (a llama.cpp checkout or its
    script), if the user has one.

    Raises:
        ExportUnsupported: the model is not covered and there is no converter, or it failed.
        ModelError: a file of the model is missing or damaged.
        ExtraMissing: the ``gguf`` extra is not installed.
    """
    files = tuple(into / f"model-{kind}.gguf" for kind in kinds)
    try:
        check_covered(model)
    except ExportUnsupported:
        if converter is None:
            raise
        for kind, file in zip(kinds, files, strict=True):
            convert_with(converter, model, file, kind, notify=notify)
    else:
        for kind, file in zip(kinds, files, strict=True):
            write_gguf(model, file, kind, name=name, licence=licence, notify=notify)
    return files


def check_exportable(model: Path, converter: Path | None) -> None:
    """Return when :func:`export` has what it needs for ``model``, or its base: to be asked
    before anything is merged.

    Raises: what :func:`export` raises.
    """
    gguf_package()
    try:
        check_covered(model)
    except ExportUnsupported:
        if converter is None:
            raise
        require_script(converter)


def check_covered(model: Path) -> None:
    """Return when :func:`write_gguf` can write ``model`` exactly; no weights are read.

    Raises:
        ExportUnsupported: it cannot; the message says why.
        ModelError: a file of the model is missing or damaged.
    """
    _plan(model)


def write_gguf(
    model: Path,
    into: Path,
    kind: GgufKind,
    *,
    name: str,
    licence: str | None = None,
    notify: Notify = silent,
) -> Path:
    """Write the model folder ``model`` to the file ``into``, and return it.

    Args:
        model: a merged model: config, safetensors, tokenizer and chat template.
        into: the file; what was there is replaced once the new one is whole.
        kind: ``F16``, or ``Q8_0`` for 8-bit blocks of 32 with one F16 scale each, as
            llama.cpp's own converter chooses them. One-dimensional tensors stay in 32 bits.
        name: what the file says the model is called.
        licence: its licence, where known.
        notify: told after every tensor.

    Raises:
        ExportUnsupported: the model is not covered, or a weight does not fit.
        ModelError: a file of the model is missing or damaged.
        ExtraMissing: the ``gguf`` extra is not installed.
    """
    plan = _plan(model)
    gguf = gguf_package()
    with partial_file(into) as partial, _writer(gguf, partial) as writer:
        _describe(writer, plan, kind, name, licence)
        tensors = list(layout(gguf, plan.shape, plan.parts, kind))
        for tensor in tensors:
            writer.add_tensor_info(
                tensor.name, tensor.shape, tensor.dtype, tensor.size, raw_dtype=tensor.stored_as
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, tensor in enumerate(tensors, start=1):
            writer.write_tensor_data(tensor.values(gguf))
            notify(Event(f"gguf {kind}", done, len(tensors), "tensors"))
    return into


def read_chat_template(path: Path) -> str | None:
    """The chat template inside a GGUF file, if it has one.

    Raises:
        ModelError: the file is missing, cut short, or no GGUF.
    """
    return read_head(path).texts.get("tokenizer.chat_template")


@contextmanager
def _writer(gguf: Any, path: Path) -> Iterator[Any]:
    writer = gguf.GGUFWriter(path, "llama")
    try:
        yield writer
    finally:
        writer.close()


def _plan(model: Path) -> _Plan:
    shape = read_shape(model)
    vocabulary = read_vocabulary(model, shape.vocabulary)
    parts = read_parts(model, shape, stored_tensors(model))
    return _Plan(shape, vocabulary, parts, read_chat(model).text)


# --- what the file says of the model ------------------------------------------------------


def _describe(writer: Any, plan: _Plan, kind: GgufKind, name: str, licence: str | None) -> None:
    gguf = gguf_package()
    writer.add_type("model")
    if not any(word in name.lower() for word in _RENAMED):
        writer.add_name(name)
    if licence:
        writer.add_license(licence)
    ftype = gguf.LlamaFileType
    writer.add_file_type(ftype.MOSTLY_F16 if kind == "F16" else ftype.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _describe_shape(writer, plan.shape)
    _describe_vocabulary(writer, plan.vocabulary)
    if plan.template:
        writer.add_chat_template(plan.template)


def _describe_shape(writer: Any, shape: Shape) -> None:
    writer.add_context_length(shape.window)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(shape.vocabulary)


def _describe_vocabulary(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges)
    adders = (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id)
    for add, end in zip(adders, vocabulary.ends, strict=False):
        add(end)
    if vocabulary.bos is not None:
        writer.add_bos_token_id(vocabulary.bos)
    if vocabulary.pad is not None:
        writer.add_pad_token_id(vocabulary.pad)
    writer.add_add_bos_token(vocabulary.adds_bos)
    writer.add_add_eos_token(False)  # it would end every prompt
    writer.add_add_space_prefix(False)
