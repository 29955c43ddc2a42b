"""A model folder made ready: a template that says the same every day and everywhere.

Most models are used as they are. Where a chat template asks for the date, or has no place for a
system prompt, or where there are several or none, a folder in the cache takes the model's place:
its own template and tokenizer files, all else as links to the model. Training, inference, bundles
and exports then read the same template, because they read the same folder.

A base model without a template gets ChatML. The two tokens it needs are added where the
vocabulary lacks them, as copies of the row of the token that ended texts so far, and every
adapter trains their rows. The files are edited, not written anew by a library: the same model
gives the same bytes, and so the same fingerprint, on every machine.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llamaduo.errors import ModelError
from llamaduo.finetuning.models.fingerprint import fingerprint_of
from llamaduo.finetuning.models.model_folder import check_model_folder, read_tokenizer
from llamaduo.finetuning.models.trained_tokens import write_trained_tokens
from llamaduo.finetuning.models.vocabulary import rows_in
from llamaduo.records import Message
from llamaduo.storage.lock import alone
from llamaduo.tasks.chat import encode_pair, render_prompt
from llamaduo.tasks.chat_templates import (
    CHATML,
    TURN_BEGINS,
    TURN_ENDS,
    folding_system,
    steady,
)

_CHAT_MODEL = re.compile(r"(^|[-_./ ])(instruct|chat|it)([-_. ]|$)", re.IGNORECASE)
_TEMPLATE, _TOKENIZER = "chat_template.jinja", "tokenizer.json"
_EMBEDDINGS = re.compile(r"(embed_tokens|word_embeddings|wte|lm_head|embed_out)\.(weight|bias)$")
_PLAIN_TOKEN = {
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "special": True,
}


def prepared(folder: Path, cache: Path, name: str) -> Path:
    """``folder``, or what takes its place in ``cache``. ``name`` is what the user calls it.

    Raises:
        ModelError: a chat model has lost its template, a base model cannot be given one, or
            what there is cannot be trained with.
    """
    place = _steady_place(folder, cache, name)
    _require_an_end(place)
    return place


def _steady_place(folder: Path, cache: Path, name: str) -> Path:
    tokenizer = read_tokenizer(folder)
    given = tokenizer.chat_template
    if given is None:
        _refuse_chat_model(folder, name)
        return _made(folder, cache, CHATML, _give_chatml)
    template = given if isinstance(given, str) else _default(folder, given)
    pinned, folding = steady(template), steady(folding_system(template))
    if not _takes_system(tokenizer, pinned) and _takes_system(tokenizer, folding):
        pinned = folding
    return folder if pinned == given else _made(folder, cache, pinned, lambda *_: None)


def _takes_system(tokenizer: Any, template: str) -> bool:
    """Whether a system prompt comes to what the model reads: some templates refuse it, some drop
    it without a word. ``tokenizer`` has the template from now on."""
    tokenizer.chat_template = template
    try:
        prompt = render_prompt(tokenizer, [Message("system", "Be brief."), Message("user", "a")])
    except ModelError:
        return False
    return "Be brief." in prompt


def _require_an_end(folder: Path) -> None:
    """The template ends a response with a token that ends an answer, too."""
    tokenizer = read_tokenizer(folder)
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    written = encode_pair(tokenizer, [Message("user", "a")], "b").response
    if not {tokenizer.eos_token_id, *special} & {*written}:
        raise ModelError(
            f"{folder}: the chat template writes no special token behind a response, so a model"
            " that is trained with it never learns to end one.",
            hint="Have chat_template.jinja write eos_token behind an assistant's message.",
        )


def _default(folder: Path, templates: Mapping[str, str]) -> str:
    """The one of several templates that writes plain conversations."""
    if "default" not in templates:
        raise ModelError(
            f"{folder}: the tokenizer has several chat templates ({', '.join(sorted(templates))}),"
            " and none of them is called default.",
            hint="Copy the one to train with into the folder, as chat_template.jinja.",
        )
    return templates["default"]


def _refuse_chat_model(folder: Path, name: str) -> None:
    if _CHAT_MODEL.search(name):
        raise ModelError(
            f"{folder}: the tokenizer has no chat template, and {name} is by its name a chat"
            " model, which was trained with one.",
            hint="Copy chat_template.jinja from the model's page into the folder; a base model"
            " gets ChatML where its name does not say instruct, chat or it.",
        )


def _made(folder: Path, cache: Path, template: str, further: Callable[[Path, Path], None]) -> Path:
    """A folder of links to ``folder`` with ``template``; one that is there already is used."""
    digest = hashlib.sha256(f"{fingerprint_of(folder)}\n{template}".encode()).hexdigest()
    place = cache / "prepared" / digest[:32]
    place.parent.mkdir(parents=True, exist_ok=True)
    with alone(place):
        if not _is_whole(place):
            _make(folder, place, template, further)
    return place


def _make(folder: Path, place: Path, template: str, further: Callable[[Path, Path], None]) -> None:
    temporary = place.with_name(f".{place.name}.writing")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    temporary.mkdir()
    try:
        _link(folder, temporary)
        _replace(temporary / _TEMPLATE, template)
        _edit(temporary / "tokenizer_config.json", chat_template=None)
        further(folder, temporary)
        shutil.rmtree(place, ignore_errors=True)
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_whole(place: Path) -> bool:
    """Renamed when it was complete, and everything that it links to is still there."""
    return place.is_dir() and all(path.exists() for path in place.iterdir())


def _link(folder: Path, into: Path) -> None:
    for path in folder.iterdir():
        if path.is_file():
            (into / path.name).symlink_to(path.resolve())


# --- ChatML for a base model ----------------------------------------------------------------


def _give_chatml(folder: Path, into: Path) -> None:
    """Tokens, rows for them in the embeddings, and what ends a text."""
    old_end = read_tokenizer(folder).eos_token_id
    ids = _add_tokens(folder, into)
    begins, ends = ids[TURN_BEGINS], ids[TURN_ENDS]
    _grow(folder, into, max(ids.values()) + 1, like=old_end)
    _edit(into / "tokenizer_config.json", eos_token=TURN_ENDS)
    _edit(into / "config.json", eos_token_id=ends)
    _edit(into / "generation_config.json", eos_token_id=[ends, old_end])
    write_trained_tokens(into, (begins, ends))
    check_model_folder(into)
    if read_tokenizer(into).convert_tokens_to_ids([TURN_BEGINS, TURN_ENDS]) != [begins, ends]:
        raise ModelError(
            f"{folder}: the tokenizer cannot be given the tokens of ChatML.",
            hint="Use the instruct or chat variant of the model, or add chat_template.jinja.",
        )


def _add_tokens(folder: Path, into: Path) -> dict[str, int]:
    """The ids of ChatML's tokens, those that the vocabulary lacks added behind all others."""
    path = into / _TOKENIZER
    if not path.is_file():
        raise ModelError(
            f"{folder} has no {_TOKENIZER}, so it cannot be given the chat template of ChatML.",
            hint="Use the instruct or chat variant of the model, or add chat_template.jinja.",
        )
    content = json.loads(path.read_bytes())
    vocabulary = _vocabulary(content["model"]["vocab"])
    added = {token["content"]: token for token in content["added_tokens"]}
    known = vocabulary | {text: token["id"] for text, token in added.items()}
    ids = {}
    for text in (TURN_BEGINS, TURN_ENDS):
        ids[text] = known.setdefault(text, max(known.values()) + 1)
        added[text] = {"id": ids[text], "content": text} | _PLAIN_TOKEN
    content["added_tokens"] = sorted(added.values(), key=lambda token: int(token["id"]))
    _replace(path, json.dumps(content, ensure_ascii=False))
    config = into / "tokenizer_config.json"
    if (decoder := json.loads(config.read_bytes()).get("added_tokens_decoder")) is not None:
        more = {str(i): {"content": text} | _PLAIN_TOKEN for text, i in ids.items()}
        _edit(config, added_tokens_decoder=decoder | more)
    return ids


def _vocabulary(vocabulary: Any) -> dict[str, int]:
    """By text; sentencepiece's come as a list with scores."""
    if isinstance(vocabulary, list):
        return {text: i for i, (text, _) in enumerate(vocabulary)}
    return dict(vocabulary)


def _grow(folder: Path, into: Path, rows: int, *, like: int) -> None:
    """Give the embeddings ``rows`` rows, the new ones copies of the row of ``like``.

    Many models have more rows than tokens; then nothing is written.
    """
    before = rows_in(folder)
    if rows <= before:
        return
    for path in sorted(folder.glob("*.safetensors")):
        _grow_file(path, into / path.name, before, rows - before, like)
    config = json.loads((into / "config.json").read_bytes())
    inner = config.get("text_config")
    if isinstance(inner, dict):
        _edit(into / "config.json", text_config=inner | {"vocab_size": rows})
    else:
        _edit(into / "config.json", vocab_size=rows)


def _grow_file(path: Path, into: Path, before: int, more: int, like: int) -> None:
    """Only a shard that holds such a matrix is written; the others stay links."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if _EMBEDDINGS.search(name)]  # noqa: SIM118 - no dict
        metadata = file.metadata()
        names = [name for name in names if file.get_slice(name).get_shape()[0] == before]
    if names:
        tensors = load_file(path)
        for name in names:
            row = tensors[name][like : like + 1]
            tensors[name] = torch.cat([tensors[name], *[row] * more])
        into.unlink()
        save_file(tensors, into, metadata=metadata)


# --- files ----------------------------------------------------------------------------------


def _edit(path: Path, **changes: Any) -> None:
    """Change entries of a JSON file that may be a link, or not there; None takes one out."""
    content: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    kept = {k: v for k, v in (content | changes).items() if v is not None or k not in changes}
    _replace(path, json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


def _replace(path: Path, text: str) -> None:
    """Write ``text`` in the place of a link, never through it."""
    path.unlink(missing_ok=True)
    path.write_text(text, encoding="utf-8")
