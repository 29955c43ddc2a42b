"""Whether the ledger is whole, and what was spent what its replies say."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace

from llamaduo.reporting.formatting import usd
from llamaduo.service.calls import CallRecord
from llamaduo.service.pricing import Tokens, price_of, usd_of
from llamaduo.service.requests import request_key
from llamaduo.service.settings import ServiceSettings
from llamaduo.verification.checks import Finding
from llamaduo.verification.records import Records


def ledger(records: Records, finding: Finding) -> None:
    """Each call's key is the hash of its request, each answer has a reply, none is there twice."""
    answered: set[str] = set()
    doubtful = 0
    for call in records.calls:
        finding.checked += 1
        for words in _damage(call, answered):
            finding.differ(f"call {call.key[:12]}, attempt {call.attempt}: {words}")
        if call.state == "answered":
            answered.add(call.key)
        doubtful += call.state == "sent"
    if doubtful:
        finding.notes.append(f"{doubtful} calls are in doubt: sent, and no answer arrived.")


def _damage(call: CallRecord, answered: set[str]) -> Iterator[str]:
    if request_key(call.request) != call.key:
        yield "its key is not the hash of its request"
    if call.state == "answered" and (call.reply is None or call.status is None):
        yield "it is answered, but has no reply"
    if call.state == "answered" and call.key in answered:
        yield "it is answered twice"
    if call.state != "answered" and call.usd:
        yield "it has a price, but no answer"


def spent(records: Records, finding: Finding) -> None:
    """Tokens and dollars of every answer, against its raw reply and the known price."""
    for words in records.recount.differing:
        finding.differ(words)
    by_model: dict[str, list[CallRecord]] = defaultdict(list)
    total, unused = 0.0, Counter[str]()
    for call in records.calls:
        if call.state == "answered":
            finding.checked += 1
            by_model[call.model].append(call)
            total += call.usd or 0.0
            unused[call.stage] += call.key not in records.recount.read
    for model, calls in by_model.items():
        _priced(records, finding, model, calls)
    finding.notes.append(f"{usd(total)} in all.")
    if unused.total() and not records.recount.read:
        finding.left_out = "Tokens were not read again from the replies."
    elif unused.total():
        finding.notes.append(_unused(unused))


def _unused(unused: Counter[str]) -> str:
    stages = ", ".join(f"{stage} {number:,}" for stage, number in unused.items() if number)
    return (
        f"{unused.total():,} of them stand behind no record ({stages}): a stage was cut off, or"
        " asked for parity, or records were taken out."
    )


def _priced(records: Records, finding: Finding, model: str, calls: list[CallRecord]) -> None:
    """Dollars must be tokens times price. A price that fits no call at all was changed since;
    one that fits some and not others was changed in between, or the others were."""
    settings = _settings(records, model)
    known = [call for call in calls if call.usd is not None]
    if settings is None or price_of(settings) is None or not known:
        return
    wrong = [call for call in known if not _fits(call, settings)]
    if len(wrong) == len(known) and len(known) > 1:
        finding.notes.append(f"{model}: its price is another one now, so dollars were not checked.")
        return
    for call in wrong:
        finding.differ(
            f"call {call.key[:12]} ({call.stage}) is down for ${call.usd:,.6f}, its tokens cost"
            f" ${_cost(call, settings):,.6f}; the ledger, or the price during the run, was changed"
        )


def _settings(records: Records, model: str) -> ServiceSettings | None:
    config = records.config
    return next((s for s in (config.service, *config.judges) if s.model == model), None)


def _tokens(call: CallRecord) -> Tokens:
    return Tokens(call.input_tokens or 0, call.output_tokens or 0, call.cached_tokens or 0)


def _cost(call: CallRecord, settings: ServiceSettings) -> float:
    return usd_of(settings, _tokens(call), batch=call.batch is not None)


def _fits(call: CallRecord, settings: ServiceSettings) -> bool:
    """The ledger does not keep how much input was written to the provider's cache, which some
    charge for: where an option asks for that, dollars may be anything up to the whole of it."""
    paid, least = call.usd or 0.0, _cost(call, settings)
    if math.isclose(paid, least, rel_tol=1e-9, abs_tol=1e-12):
        return True
    if not any("cache" in option for option in settings.options):
        return False
    used = _tokens(call)
    fresh = used.input - used.cached
    written = replace(used, written=fresh, kept_an_hour=fresh)
    return least <= paid <= usd_of(settings, written, batch=call.batch is not None)
