"""S_LLM: the service LLM writes more pairs like the train split (Section 3.5, Eq. 8 and 9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import chain

from llamaduo.errors import QuestionRefused, StageFailed
from llamaduo.records import (
    Event,
    Message,
    Notify,
    Pair,
    Provenance,
    Question,
    RawBatch,
    Reply,
    TrainSplit,
    pair_id,
    silent,
)
from llamaduo.service.lanes import Lane, work_through
from llamaduo.service.parsing import MalformedReply
from llamaduo.service.persistence import ask_until_read
from llamaduo.service.protocol import ServiceLLM
from llamaduo.synthesis.replies import NewPair, ReadPairs, no_pairs, read_pairs
from llamaduo.synthesis.seeds import Draw, Hand, draw, wanted
from llamaduo.synthesis.settings import SynthesisSettings
from llamaduo.tasks.settings import TaskSettings
from llamaduo.tasks.templates import PAIRS_SCHEMA, PAIRS_SHAPE, synthesis_messages

_STAGE = "synthesize"


async def synthesize(
    train: TrainSplit,
    service: ServiceLLM,
    settings: SynthesisSettings,
    task: TaskSettings,
    *,
    cycle: int,
    notify: Notify = silent,
) -> RawBatch:
    """The raw pairs after ``cycle``, in the order of the requests.

    At most :func:`~llamaduo.synthesis.seeds.wanted` pairs: fewer when replies brought fewer,
    and what replies brought beyond that is left out. A reply without a single whole pair is asked
    for again, five attempts in all. A request that brings none even so, or that the service
    refuses, is set aside and counted as malformed. Nothing is curated here.

    Raises:
        DataError: the train split is empty.
        StageFailed: not one pair came back, or more requests than ``max_failed`` were set aside.
        ServiceError: the first that the service raised, refused questions aside. Replies
            that have come are in the ledger, so the same call made again goes on from there.
    """
    draws = draw(train.pairs, settings, cycle)
    tally: Counter[str] = Counter()

    async def request(one: Draw) -> tuple[tuple[Pair, ...], ReadPairs]:
        pairs, read = await _request(one, service, _question(one, settings, task), cycle)
        tally.update(requests=1, pairs=len(pairs))
        detail = f"{tally['pairs']} pairs"
        notify(Event(_STAGE, tally["requests"], len(draws), "requests", detail))
        return pairs, read

    replies = await work_through([Lane(draws, service.concurrency, service.leave)], request)
    pairs = tuple(chain.from_iterable(pairs for pairs, _ in replies))
    reads = [read for _, read in replies]
    if not pairs:
        raise _nothing(reads, service)
    set_aside = Counter(read.problem for read in reads if not read.pairs)
    _check_set_aside(set_aside, len(reads), settings)
    return RawBatch(
        cycle=cycle,
        pairs=pairs[: wanted(settings, cycle)],
        requests=len(draws),
        salvaged=sum(read.salvaged for read in reads),
        malformed=sum(read.malformed for read in reads),
        set_aside=dict(set_aside),
    )


async def _request(
    one: Draw, service: ServiceLLM, question: Question, cycle: int
) -> tuple[tuple[Pair, ...], ReadPairs]:
    try:
        reply, read = await ask_until_read(service, question, _some_pairs)
    except QuestionRefused as refused:
        return (), no_pairs(refused.reason)
    return tuple(_pair(new, one.seeds, reply, cycle) for new in read.pairs), read


def _some_pairs(reply: Reply) -> tuple[Reply, ReadPairs]:
    """A reply with at least one whole pair, and what was read of it."""
    read = read_pairs(reply)
    if not read.pairs:
        raise MalformedReply(read.problem or "the reply holds no pairs")
    return reply, read


def _question(one: Draw, settings: SynthesisSettings, task: TaskSettings) -> Question:
    """The run-wide request number is the sample: the same seeds, asked again in a later cycle,
    are another question to the ledger and bring new pairs."""
    return Question(
        stage=_STAGE,
        messages=synthesis_messages(task, one.seeds, one.count),
        sample=one.number,
        shape=PAIRS_SHAPE,
        schema=PAIRS_SCHEMA,
        temperature=settings.temperature,
        about=tuple(seed.id for seed in one.seeds),
    )


def _pair(new: NewPair, seeds: Hand, reply: Reply, cycle: int) -> Pair:
    """The new pair in its seeds' place: same system prompt, earlier turns and JSON schema."""
    messages = (*seeds[0].messages[:-1], Message("user", new.instruction))
    return Pair(
        id=pair_id(messages, new.response),
        messages=messages,
        response=new.response,
        reference_source="service",
        provenance=Provenance(
            origin="synthetic",
            source=reply.snapshot,
            cycle=cycle,
            seeds=tuple(seed.id for seed in seeds),
            call=reply.key,
        ),
        json_schema=seeds[0].json_schema,
        metadata=_category(seeds),
    )


def _category(seeds: Hand) -> dict[str, str]:
    """The category that all seeds share, if they do: other metadata is about one pair alone."""
    categories = {seed.metadata.get("category") for seed in seeds}
    category = categories.pop() if len(categories) == 1 else None
    return {} if category is None else {"category": category}


def _check_set_aside(reasons: Counter[str], requests: int, settings: SynthesisSettings) -> None:
    """Refuse to go on when too many requests brought nothing."""
    failed = reasons.total()
    if failed <= Fraction(str(settings.max_failed)) * requests:
        return
    raise StageFailed(
        f"Synthesis: {failed} of {requests} requests ({failed / requests:.1%}) were set aside;"
        f" at most {settings.max_failed:.1%} may be. Most frequent: "
        + "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common(3))
        + ".",
        hint="Lower synthesis.pairs_per_request if replies are cut off; if this share is"
        " acceptable, raise synthesis.max_failed. Every reply is in the run's ledger.",
    )


def _nothing(reads: Sequence[ReadPairs], service: ServiceLLM) -> StageFailed:
    problems = Counter(read.problem for read in reads)
    problem, count = problems.most_common(1)[0]
    return StageFailed(
        f"Synthesis: {len(reads)} requests to {service.name} brought not one pair."
        f" Most frequent: {count} × {problem}.",
        hint="Lower synthesis.pairs_per_request if replies are cut off, or use a service model"
        " that keeps to a JSON schema. Every reply is in the run's ledger.",
    )
