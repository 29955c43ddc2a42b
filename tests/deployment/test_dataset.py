"""What is counted of a run's pairs, and what of a pair leaves the machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llamaduo.deployment.dataset import (
    SYNTHETIC,
    Personal,
    data_facts,
    find_personal,
    read_pairs,
    rows,
    together,
)
from llamaduo.storage.jsonl import write_records
from tests.deployment.published_runs import pair, write_run

MAIL = "write to ada@lovelace.org or bob@acme.org"


def test_pairs_are_counted_by_split_and_source(tmp_path: Path) -> None:
    made = pair("a new ticket", source="service", cycle=0)
    run = write_run(tmp_path, train=(pair("one"), pair("two")), synthetic=(made,))
    facts = data_facts(read_pairs(run))
    assert facts.counts == {"train": 2, "test": 1, "final": 0, "synthetic": 1}
    assert facts.reference_sources == {"human": 3, "service": 1}
    assert facts.pairs == 4
    assert facts.split_sha256 == "9f" * 32


def test_a_checkpoint_was_trained_on_the_batches_before_it(tmp_path: Path) -> None:
    run = write_run(tmp_path, synthetic=(pair("after 0", cycle=0),))
    write_records(run / "cycles" / "001" / "synthetic.jsonl", [pair("after 1", cycle=1)])
    assert len(read_pairs(run).splits[SYNTHETIC]) == 2
    assert [p.instruction for p in read_pairs(run, before=1).splits[SYNTHETIC]] == ["after 0"]
    assert read_pairs(run, before=0).splits[SYNTHETIC] == ()


@pytest.mark.parametrize(
    ("times", "window"),
    [
        (["2026-03-31T23:30:00-05:00", "2026-01-05"], ("2026-01-05", "2026-04-01")),
        (["1767614400", "1767700800000"], ("2026-01-05", "2026-01-06")),
        (["20260105"], ("2026-01-05", "2026-01-05")),
        (["last week", "9" * 40, ""], None),
        ([], None),
    ],
)
def test_the_window_is_what_the_pairs_say(
    tmp_path: Path, times: list[str], window: tuple[str, str] | None
) -> None:
    train = tuple(pair(f"{n}", metadata={"captured_at": time}) for n, time in enumerate(times))
    facts = data_facts(read_pairs(write_run(tmp_path, train=train)))
    assert facts.window == window
    assert facts.timed == (len(times) if window else 0)


def test_scripts_are_shares_of_letters(tmp_path: Path) -> None:
    run = write_run(tmp_path, train=(pair("абвгд 123", "абвгд"),), test=(pair("日本語", "ok"),))
    facts = data_facts(read_pairs(run))
    assert [name for name, _ in facts.scripts] == ["Latin", "Cyrillic", "Han"]
    assert sum(share for _, share in facts.scripts) == pytest.approx(1)


def test_personal_data_is_counted_by_kind_and_pair() -> None:
    pairs = [pair(MAIL), pair("nothing"), pair("+49 30 901820", MAIL)]
    found = find_personal(pairs)
    assert found.kinds == {"email": 4, "phone": 1}
    assert found.pairs == {"email": (pairs[0].id, pairs[2].id), "phone": (pairs[2].id,)}
    assert found.affected == (pairs[0].id, pairs[2].id)
    both = together([found, find_personal(pairs[:1])])
    assert both.kinds == {"email": 6, "phone": 1}
    assert both.affected == found.affected
    assert together([]) == Personal()


def test_personal_data_in_a_schema_counts_since_it_leaves_too() -> None:
    from dataclasses import replace

    schema = {"type": "object", "description": "ask ada@lovelace.org"}
    assert find_personal([replace(pair("x"), json_schema=schema)]).kinds == {"email": 1}


def test_a_row_has_the_conversation_and_nothing_of_ours() -> None:
    made = pair("hello", "hi", "service", cycle=0, metadata={"customer": "4711"})
    (text,) = rows([made], schemas=False).splitlines()
    assert json.loads(text) == {
        "id": made.id,
        "messages": [
            {"role": "system", "content": "Triage."},
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "hi"},
        ],
        "reference_source": "service",
        "origin": "synthetic",
        "cycle": 0,
        "seeds": ["aaaa"],
    }
    for private in ("4711", "customers.jsonl", "ledger-key"):
        assert private not in text


def test_every_row_of_a_file_has_the_same_columns() -> None:
    from dataclasses import replace

    pairs = [pair("a"), replace(pair("b"), json_schema={"type": "object"})]
    first, second = map(json.loads, rows(pairs, schemas=True).splitlines())
    assert first.keys() == second.keys()
    assert (first["json_schema"], second["json_schema"]) == (None, '{"type": "object"}')
