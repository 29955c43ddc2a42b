"""The coverage data with stand-ins: what everything later in a run is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from llamaduo.records import Message, Pair, Redacted, pair_id
from llamaduo.redaction.redactor import Redactor


@dataclass(frozen=True, slots=True)
class RedactedPairs:
    """Pairs with stand-ins, their ids made anew, and what was found; None with mode off."""

    pairs: tuple[Pair, ...]
    figures: tuple[Redacted, ...] | None


def redact_pairs(pairs: Sequence[Pair], redactor: Redactor) -> RedactedPairs:
    """``pairs`` with stand-ins in messages, response and the values of metadata; a JSON schema
    stays as it is. The table is on the disk before this returns.

    Raises:
        RunError: the table cannot be written.
    """
    if redactor.mode == "off":
        return RedactedPairs(tuple(pairs), None)
    redactions = iter(redactor.redact_raw([text for pair in pairs for text in _texts(pair)]))
    found: Counter[str] = Counter()
    holders: Counter[str] = Counter()
    clean: list[Pair] = []
    for pair in pairs:
        ours = [next(redactions) for _ in _texts(pair)]
        kinds = sum((Counter(one.kinds) for one in ours), Counter[str]())
        found += kinds
        holders.update(kinds.keys())
        clean.append(_with(pair, iter([one.text for one in ours])) if kinds else pair)
    figures = tuple(Redacted(kind, n, holders[kind]) for kind, n in found.most_common())
    return RedactedPairs(tuple(clean), figures)


def _texts(pair: Pair) -> Iterator[str]:
    yield from (message.content for message in pair.messages)
    yield pair.response
    yield from pair.metadata.values()


def _with(pair: Pair, texts: Iterator[str]) -> Pair:
    """``pair`` with as many of ``texts`` as :func:`_texts` has."""
    messages = tuple(Message(message.role, next(texts)) for message in pair.messages)
    response = next(texts)
    return replace(
        pair,
        id=pair_id(messages, response),
        messages=messages,
        response=response,
        metadata={name: next(texts) for name in pair.metadata},
    )
