"""Curation is exact: each pair meets the fate that brute force gives it.

The long trials are marked ``proof``. Real pairs are those of ``../shared/data``, where it is.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from llamaduo.curation import curate as curate_module
from llamaduo.curation.curate import Prepared, sift
from llamaduo.curation.decontamination import contaminated
from llamaduo.curation.settings import CurationSettings
from llamaduo.likeness.compiled import Workers
from llamaduo.likeness.sieve import sieve
from llamaduo.records import Pair
from llamaduo.storage.jsonl import read_records
from tests.curation.making import curated, pair, pair_of_row
from tests.curation.trials import LIMITS, Trial, compare, rouge_reaches, trial

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
REAL = ("no_robots_classify.jsonl", "no_robots_coding.jsonl")
FAST, LONG = range(40), range(1000, 1600)
PIECES = ((512, 65_536), (1, 1), (1, 65_536), (3, 7), (2, 5))


# --- small batches ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", FAST)
def test_curation_equals_brute_force(seed: int) -> None:
    assert compare(trial(seed))["overlooked"] == 0


@pytest.mark.proof
def test_curation_equals_brute_force_in_600_trials() -> None:
    steps: Counter[str | None] = Counter()
    for seed in LONG:
        steps.update(compare(trial(seed)))
    every = (None, "exact duplicates", "near-duplicates", "novelty", "decontamination")
    assert min(steps[step] for step in every) > 100
    assert steps["overlooked"] <= 0.01 * steps["near-duplicates"]


@pytest.mark.parametrize("seed", FAST)
def test_what_curation_does_not_change(seed: int) -> None:
    unchanged(trial(seed + len(FAST)), cut=seed)


@pytest.mark.proof
def test_what_curation_does_not_change_in_600_trials() -> None:
    for seed in LONG:
        unchanged(trial(seed), cut=seed)


def unchanged(made: Trial, cut: int) -> None:
    """Once more changes nothing; in two batches is the same; nothing kept is held out."""
    kept = made.curated().kept
    again = replace(made, raw=list(kept)).curated()
    assert (again.kept, again.dropped) == (kept, ())
    cut %= len(made.raw) + 1
    first = replace(made, raw=made.raw[:cut]).curated().kept
    earlier = [*made.earlier, *first]
    second = replace(made, raw=made.raw[cut:], earlier=earlier).curated().kept
    assert (*first, *second) == kept
    ids, oracle = [one.id for one in made.held_out], made.oracle()
    reading = replace(made, raw=list(kept)).prepared().reading
    with Workers(1) as workers:
        assert not any(contaminated(reading, ids, made.settings, workers))
    assert not any(oracle.copied_word_for_word(oracle.read(one)) for one in kept)


@pytest.mark.parametrize("seed", [8, 9, 10])
def test_threads_blocks_and_windows_change_nothing(seed: int) -> None:
    in_pieces(trial(seed))


@pytest.mark.proof
def test_threads_blocks_and_windows_change_nothing_in_300_trials() -> None:
    for seed in (LONG[7], *LONG[::2]):  # LONG[7] has huge texts
        in_pieces(trial(seed))


def in_pieces(made: Trial) -> None:
    """The same whatever the number of threads, and of texts that are looked up at once."""
    prepared = made.prepared()
    once = sift(prepared, made.settings)
    for threads in (1, 2, 5):
        assert sift(prepared, made.settings, threads=threads) == once
        outcomes = [_sieved(prepared, made, threads, block, window) for block, window in PIECES]
        assert all(outcome == outcomes[0] for outcome in outcomes)


def _sieved(
    prepared: Prepared, made: Trial, threads: int, block: int, window: int
) -> tuple[list[int], list[int]]:
    ids = [one.id for one in prepared.held_out]
    with Workers(threads) as workers:
        unclean = contaminated(prepared.reading, ids, made.settings, workers)
    with Workers(threads) as workers:
        candidates = curate_module._candidates(prepared, unclean, made.settings, workers)
        found = sieve(candidates, workers, block=block, window=window)
    return found.fates.tolist(), found.lost_to.tolist()


# --- beside rouge-score -------------------------------------------------------------------


@pytest.mark.parametrize("stemming", [False, True])
@pytest.mark.parametrize("limit", LIMITS)
def test_novelty_on_ascii_is_what_rouge_score_says(limit: float, stemming: bool) -> None:
    beside_rouge_score(int(100 * limit), limit, stemming)


@pytest.mark.proof
def test_novelty_is_what_rouge_score_says_in_540_trials() -> None:
    for seed in range(30):
        for limit in LIMITS:
            for stemming in (False, True):
                beside_rouge_score(seed + 100, limit, stemming)


def beside_rouge_score(seed: int, limit: float, stemming: bool) -> None:
    """Greedy, each instruction against every one kept before it, by rouge-score alone. Nothing
    else may drop a pair: responses are all different, and so are the instructions' spellings."""
    scorer = RougeScorer(["rougeL"], use_stemmer=stemming)
    size = DefaultTokenizer(stemming).tokenize
    drawn = {one.instruction: None for one in trial(seed, ascii_only=True).raw}
    texts = [text for text in drawn if text.strip()]
    kept: list[str] = []
    for text in texts:
        scores = (scorer.score(other, text)["rougeL"].fmeasure for other in kept)
        sizes = ((len(size(other)), len(size(text))) for other in kept)
        if not any(
            rouge_reaches(score, n, m, Fraction(str(limit)))
            for score, (n, m) in zip(scores, sizes, strict=True)
        ):
            kept.append(text)
    settings = CurationSettings(novelty=limit, near_duplicate=1, stemming=stemming)
    answers = (" ".join(f"{i}x{j}" for j in range(60)) for i in range(len(texts)))
    raw = [pair(text, answer) for text, answer in zip(texts, answers, strict=True)]
    assert [one.instruction for one in curated(raw, settings=settings).kept] == kept


# --- 5,000 pairs, and real ones -----------------------------------------------------------


@pytest.mark.proof
@pytest.mark.parametrize("collapsed", [False, True])
def test_5000_pairs_with_planted_copies(tmp_path: Path, collapsed: bool) -> None:
    command = [sys.executable, str(ROOT / "benchmarks/curation/corpus.py"), "5000"]
    command += ["--folder", str(tmp_path), *(["--collapse"] if collapsed else [])]
    subprocess.run(command, check=True)
    (files,) = tmp_path.iterdir()
    raw, train, test = (
        list(read_records(files / f"{name}.jsonl", Pair)) for name in ("raw", "train", "test")
    )
    fates = compare(Trial(raw, train, [], test, CurationSettings()))
    assert fates[None] > 1_000
    assert fates["overlooked"] <= 0.01 * fates["near-duplicates"]


@pytest.mark.proof
@pytest.mark.parametrize("limit", [0.5, 0.7])
@pytest.mark.parametrize("name", REAL)
def test_real_pairs(name: str, limit: float) -> None:
    pairs = real_pairs(name)
    quarter = len(pairs) // 4
    train, held, rest = pairs[:quarter], pairs[quarter : quarter + 40], pairs[quarter + 40 :]
    raw = [*rest, *(shortened(one) for one in rest)]
    settings = CurationSettings(novelty=limit, near_duplicate=limit, contamination=limit)
    made = Trial(raw, train, [], held, settings)
    assert compare(made)["overlooked"] <= 1
    unchanged(made, cut=99)


def real_pairs(name: str) -> list[Pair]:
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not beside this checkout")
    lines = (DATA / name).read_text("utf-8").splitlines()
    pairs = [pair_of_row(json.loads(line)) for line in lines]
    random.Random(1).shuffle(pairs)
    return pairs


def shortened(one: Pair) -> Pair:
    """The same question without its last third."""
    tokens = one.instruction.split()
    return pair(" ".join(tokens[: len(tokens) * 2 // 3]), one.response)
