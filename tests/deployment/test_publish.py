"""What leaves is what was shown, nothing leaves before, and nothing public that must not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from llamaduo.deployment.bundle import open_bundle
from llamaduo.deployment.hub import Hub
from llamaduo.deployment.outgoing import Plan, check_public, plan
from llamaduo.deployment.publish import Published, look_at_targets, publish
from llamaduo.errors import (
    BundleError,
    ExtraMissing,
    KeyMissing,
    LlamaduoError,
    PublishFailed,
    PublishRefused,
    UsageError,
)
from llamaduo.records import Divergence, Parity, ParityCheck, Terms
from tests.deployment.loopback_hub import TOKEN, LoopbackHub, Repo, loopback_hub
from tests.deployment.published_runs import ALLOWED, TASK, bundle, pair, write_run

MAIL = pair("write to ada@lovelace.org")
SYNTHETIC = pair("a new ticket", source="service", cycle=0)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A Hub on loopback that the client knows as its own."""
    with loopback_hub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", server.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


def planned(
    run: Path, staging: Path, *, public: bool = False, dataset: bool = True, repo: str = "ada/t"
) -> Plan:
    return plan(run, run / "bundle", repo, TASK, public=public, dataset=dataset, staging=staging)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Plan]:
    """A plan for a run of these pairs."""

    def made(*, public: bool = False, dataset: bool = True, **run: Any) -> Plan:
        root = write_run(tmp_path / "run", **run)
        return planned(root, tmp_path / "staging", public=public, dataset=dataset)

    return made


def send(plan: Plan) -> tuple[Published, ...]:
    client = Hub()
    return publish(plan, look_at_targets(plan, client), client)


# --- what leaves ----------------------------------------------------------------------------


def test_bundle_and_dataset_arrive_byte_for_byte_and_private(
    hub: LoopbackHub, make: Callable[..., Plan], tmp_path: Path
) -> None:
    plan = make(synthetic=(SYNTHETIC,))
    done = send(plan)
    assert [(one.kind, one.private) for one in done] == [("model", True), ("dataset", True)]
    model, data = hub.repos["models/ada/t"], hub.repos["datasets/ada/t-data"]
    folder = tmp_path / "run" / "bundle"
    assert {k: v for k, v in model.files.items() if k != ".gitattributes"} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    assert sorted(data.files) == [
        ".gitattributes",
        "README.md",
        "data/synthetic.jsonl",
        "data/test.jsonl",
        "data/train.jsonl",
        "dataset.json",
    ]
    assert json.loads(data.files["dataset.json"])["pairs"]["synthetic"] == 1
    assert (model.private, data.private) == (True, True)
    assert model.commits == ["llamaduo: tickets, target met"]


def test_what_was_published_opens_as_a_bundle(
    hub: LoopbackHub, make: Callable[..., Plan], tmp_path: Path
) -> None:
    send(make())
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in hub.repos["models/ada/t"].files.items():
        (copy / name).write_bytes(content)
    assert open_bundle(copy).name == "tickets"


def test_the_plan_is_made_without_the_network_and_has_every_file(
    hub: LoopbackHub, make: Callable[..., Plan]
) -> None:
    plan = make(train=(MAIL,), synthetic=(SYNTHETIC,))
    assert hub.asked == []
    model, data = plan.packages
    assert model.size == sum(path.stat().st_size for path in model.files.values())
    assert set(model.files) == {*plan.bundle.files, "bundle.json"}
    assert data.repository == "ada/t-data"
    assert plan.personal["train"].kinds == {"email": 1}
    assert "ada@lovelace.org" not in repr(plan)


def test_looking_changes_nothing(hub: LoopbackHub, make: Callable[..., Plan]) -> None:
    look_at_targets(make(), Hub())
    assert hub.written() == []
    assert Hub().account() == "ada"


def test_without_the_dataset_no_pair_leaves(hub: LoopbackHub, make: Callable[..., Plan]) -> None:
    send(make(dataset=False))
    assert list(hub.repos) == ["models/ada/t"]


def test_again_sends_nothing_new_and_takes_stale_weights_away(
    hub: LoopbackHub, make: Callable[..., Plan], tmp_path: Path
) -> None:
    send(make())
    model = hub.repos["models/ada/t"]
    model.files |= {"model-Q8_0.gguf": b"of an earlier one", "logo.png": b"the user's own"}
    before = len(hub.objects)
    send(planned(tmp_path / "run", tmp_path / "staging"))
    assert "model-Q8_0.gguf" not in model.files
    assert model.files["logo.png"] == b"the user's own"
    assert len(hub.objects) == before


def test_a_damaged_bundle_is_not_published(hub: LoopbackHub, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "bundle" / "adapter_model.safetensors").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"adapter_model\.safetensors was changed"):
        planned(run, tmp_path / "staging")
    assert hub.asked == []


@pytest.mark.parametrize("repo", ["tickets", "a/b/c", "../x", "a/..", "a/x.git", "a b/c", "/x", ""])
def test_what_cannot_be_a_repository_is_refused(tmp_path: Path, repo: str) -> None:
    run = write_run(tmp_path / "run")
    with pytest.raises(UsageError, match="cannot be a repository's name"):
        planned(run, tmp_path / "staging", repo=repo)


def test_notes_say_what_a_reader_would_want_to_know(make: Callable[..., Plan]) -> None:
    changes = {"rehearsed": True, "model": "/home/ada/tiny"}
    notes = " ".join(make(packed=bundle(**changes)).notes)
    for what in ("REHEARSAL", "/home/ada/tiny", "nobody else can run it"):
        assert what in notes


# --- what must not be public ----------------------------------------------------------------


def refused(plan: Plan) -> str:
    with pytest.raises(PublishRefused) as caught:
        check_public(plan)
    assert "lovelace" not in caught.value.message
    assert caught.value.hint
    return caught.value.message


def test_clean_human_data_may_be_public(hub: LoopbackHub, make: Callable[..., Plan]) -> None:
    (model, data) = send(make(public=True))
    assert (model.private, data.private) == (False, False)
    assert not hub.repos["models/ada/t"].private


def test_personal_data_may_go_privately(hub: LoopbackHub, make: Callable[..., Plan]) -> None:
    assert all(one.private for one in send(make(train=(MAIL,))))


@pytest.mark.parametrize("dataset", [True, False])
def test_personal_data_in_what_was_trained_on_is_not_public(
    make: Callable[..., Plan], dataset: bool
) -> None:
    message = refused(make(public=True, dataset=dataset, train=(MAIL,)))
    assert f"in train{'' if dataset else ' (the model was trained on them)'}" in message
    assert f"1 × email addresses, in 1 pair: {MAIL.id}" in message


def test_personal_data_in_test_pairs_counts_only_if_they_leave(make: Callable[..., Plan]) -> None:
    assert "in test" in refused(make(public=True, test=(MAIL,)))
    check_public(make(public=True, test=(MAIL,), dataset=False))


def test_personal_data_in_a_quoted_answer_is_not_public(make: Callable[..., Plan]) -> None:
    parted = Divergence(pair_id="p1", at=3, expected="ok", found="mail ada@lovelace.org")
    check = ParityCheck(
        form="merged",
        prompts=9,
        identical=8,
        templates_equal=True,
        exact_match_difference=0.0,
        first_divergence=parted,
        passed=True,
        reason="",
    )
    parity = Parity(cycle=1, prompts=9, required=0.9, checks=(check,))
    message = refused(make(public=True, dataset=False, packed=bundle(parity=parity)))
    assert "answers in bundle.json" in message
    assert "p1" in message


def test_many_pairs_are_named_by_the_first_few(make: Callable[..., Plan]) -> None:
    pairs = tuple(pair(f"mail {n}@lovelace.org") for n in range(9))
    message = refused(make(public=True, train=pairs))
    assert "in 9 pairs: " in message
    assert "and 4 more" in message


@pytest.mark.parametrize("where", ["train", "synthetic"])
def test_without_terms_what_a_service_wrote_is_not_public(
    make: Callable[..., Plan], where: str
) -> None:
    written = SYNTHETIC if where == "synthetic" else pair("x", source="service")
    message = refused(make(public=True, **{where: (written,)}))
    assert "terms are not stated" in message
    assert written.id in message
    check_public(make(public=True, packed=bundle(terms=ALLOWED), **{where: (written,)}))


def test_terms_that_forbid_it_are_final(make: Callable[..., Plan]) -> None:
    no = Terms(service="openai-chat:gpt-4o", text="no", allow_publishing=False)
    plan = make(public=True, packed=bundle(terms=no))
    assert "do not allow publishing" in refused(plan)
    with pytest.raises(PublishRefused) as caught:
        check_public(plan)
    assert "State the terms" not in caught.value.hint  # they are stated


def test_a_path_of_this_machine_is_not_public(make: Callable[..., Plan]) -> None:
    here = bundle(model="/home/ada/tiny")
    assert "an adapter of a folder of this machine" in refused(make(public=True, packed=here))
    merged = make(public=True, packed=replace(here, form="merged", model="tiny"))
    check_public(merged)
    assert not any("folder of this machine" in note for note in merged.notes)


def test_a_rehearsal_is_not_public(make: Callable[..., Plan]) -> None:
    assert "rehearsal" in refused(make(public=True, packed=bundle(rehearsed=True)))


def test_sending_checks_again(hub: LoopbackHub, make: Callable[..., Plan]) -> None:
    sneaked = replace(make(train=(MAIL,)), public=True)
    with pytest.raises(PublishRefused):
        publish(sneaked, look_at_targets(sneaked, Hub()), Hub())
    assert hub.written() == []


# --- what is there already ------------------------------------------------------------------


def test_a_public_repository_gets_nothing_private(
    hub: LoopbackHub, make: Callable[..., Plan]
) -> None:
    hub.repos["models/ada/t"] = Repo(private=False)
    with pytest.raises(PublishRefused, match="is public"):
        look_at_targets(make(), Hub())
    assert hub.written() == []


def test_a_private_repository_does_not_become_public(
    hub: LoopbackHub, make: Callable[..., Plan]
) -> None:
    hub.repos["datasets/ada/t-data"] = Repo(private=True)
    with pytest.raises(PublishRefused, match="is private"):
        look_at_targets(make(public=True), Hub())


def test_a_repository_of_something_else_is_left_alone(
    hub: LoopbackHub, make: Callable[..., Plan]
) -> None:
    hub.repos["models/ada/t"] = Repo(private=True, files={"their_model.bin": b"x"})
    with pytest.raises(PublishRefused, match=r"did not put there: their_model\.bin"):
        look_at_targets(make(), Hub())


def test_a_hub_that_makes_it_public_gets_no_file(
    hub: LoopbackHub, make: Callable[..., Plan]
) -> None:
    hub.always_public = True
    with pytest.raises(PublishRefused, match="is public"):
        send(make())
    assert hub.repos["models/ada/t"].commits == []
    assert hub.objects == {}


# --- failures -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "status", "kind", "says"),
    [
        ("whoami", 401, KeyMissing, "not valid"),
        ("repos/create", 401, KeyMissing, "not valid"),
        ("repos/create", 403, PublishFailed, "may not do this"),
        ("repos/create", 409, PublishFailed, "somebody else"),
        ("preupload", 403, PublishFailed, "may not do this"),
        ("preupload", 404, PublishFailed, "not there"),
        ("commit", 409, PublishFailed, "somebody else"),
        ("commit", 413, PublishFailed, "too large"),
        ("commit", 400, PublishFailed, "400"),
    ],
)
def test_refusals_of_the_hub_are_explained(
    hub: LoopbackHub,
    make: Callable[..., Plan],
    part: str,
    status: int,
    kind: type[LlamaduoError],
    says: str,
) -> None:
    hub.refuse[part] = status

    def ask_and_send() -> None:
        Hub().account()
        send(make())

    with pytest.raises(kind, match=says) as caught:
        ask_and_send()
    assert caught.value.hint
    assert TOKEN not in caught.value.message + caught.value.hint


def test_a_commit_by_somebody_else_in_between_is_not_overwritten(
    hub: LoopbackHub, make: Callable[..., Plan]
) -> None:
    plan = make()
    client = Hub()
    client.create("ada/t", "model", private=True)
    seen = client.look("ada/t", "model")
    assert seen is not None
    hub.repos["models/ada/t"].files["new.txt"] = b"theirs"
    with pytest.raises(PublishFailed, match="somebody else"):
        client.upload(seen, plan.packages[0].files, (), "ours")
    assert "bundle.json" not in hub.repos["models/ada/t"].files


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "tokenizer.json"])
def test_a_file_that_got_lost_is_noticed(
    hub: LoopbackHub, make: Callable[..., Plan], name: str
) -> None:
    hub.lose.add(name)
    with pytest.raises(PublishFailed, match=rf"does not show what was sent: {name} is missing"):
        send(make())


def test_after_a_failure_the_same_again_goes_on(
    hub: LoopbackHub, make: Callable[..., Plan], tmp_path: Path
) -> None:
    hub.refuse["datasets/ada/t-data/commit"] = 403
    with pytest.raises(PublishFailed):
        send(make())
    stored = dict(hub.objects)
    hub.refuse.clear()
    done = send(planned(tmp_path / "run", tmp_path / "staging"))
    assert len(done) == 2
    assert hub.objects == stored
    assert hub.repos["models/ada/t"].commits == ["llamaduo: tickets, target met"]


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, hub: LoopbackHub) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PublishFailed, match="did not say whose token this is") as caught:
        Hub().account()
    assert "network" in caught.value.hint


def test_without_a_token(monkeypatch: pytest.MonkeyPatch, hub: LoopbackHub) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(KeyMissing, match="no token") as caught:
        Hub()
    assert "hf auth login" in caught.value.hint


def test_without_the_client_the_next_step_is_its_extra(
    monkeypatch: pytest.MonkeyPatch, hub: LoopbackHub
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ExtraMissing, match="huggingface_hub") as caught:
        Hub()
    assert "pip install" in caught.value.hint


@pytest.mark.parametrize("address", ["http://hub.example", "https://ada:secret@hub.example"])
def test_an_address_that_gives_the_token_away_is_refused(
    monkeypatch: pytest.MonkeyPatch, hub: LoopbackHub, address: str
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    with pytest.raises(UsageError, match="HF_ENDPOINT") as caught:
        Hub()
    assert "secret" not in caught.value.message


def test_the_token_is_in_no_address(hub: LoopbackHub, make: Callable[..., Plan]) -> None:
    send(make())
    assert hub.written()
    assert not any(TOKEN in path for _, path in hub.asked)
