"""Leave to spend: what a real run may cost is said before it costs anything."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from llamaduo.cli.estimate import describe, forecast
from llamaduo.cli.session import Session
from llamaduo.config import Config
from llamaduo.errors import UsageError
from llamaduo.service.client import check_usable
from llamaduo.storage.atomic import write_atomic

if TYPE_CHECKING:
    from llamaduo.reporting.cost import Calls


def get_leave(session: Session, confirmed: bool) -> None:
    """Check that the service LLMs can be used, say what they may cost, and ask.

    A run that costs ``limits.confirm_above_usd`` at most starts without a question. Else it is
    asked in a terminal; elsewhere it takes ``confirmed`` or a budget. Nothing is said when
    nothing can be spent, or when leave was given for this very configuration before.

    Raises:
        UsageError: a key or an SDK is missing, a budget cannot be kept, or there is no leave.
    """
    if session.rehearse:
        return
    config = session.real
    for settings in (config.service, *config.judges):
        check_usable(settings, config.limits.budget_usd)
    record, terms = session.directory.root / ".leave", _terms(config)
    if _was_given(record, terms):
        return
    found = forecast(session)
    if all(one.usd and one.usd.at_most == 0 for one in found.calls):
        return
    typer.echo(describe(found, config), err=True)
    if is_small(found.calls, config):
        limit = config.limits.confirm_above_usd
        typer.echo(
            f"  That is within limits.confirm_above_usd, ${limit:,.2f}: it starts.", err=True
        )
    else:
        _ask(confirmed or config.limits.budget_usd is not None)
    write_atomic(record, terms)


def is_small(calls: Iterable[Calls], config: Config) -> bool:
    """Whether all ``calls`` together may be made unasked. Never so with an unknown price."""
    from llamaduo.reporting.cost import together

    dollars, unpriced = together(calls)
    return not unpriced and dollars.at_most <= config.limits.confirm_above_usd


def _ask(given: bool) -> None:
    if given:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "This run costs money, and nothing says that it may.",
            hint="Give --yes, set limits.budget_usd, or raise limits.confirm_above_usd; --rehearse"
            " runs it for nothing.",
        )
    typer.confirm("Start?", abort=True, err=True)


def _terms(config: Config) -> str:
    """A digest of all that decides the cost. The target does not: it can only end a run early."""
    decisive = config.model_dump_json(
        exclude={
            "name": True,
            "target": True,
            "deployment": True,
            "cost": True,
            "service": {"terms"},
            "judging": {"judges": {"__all__": {"terms"}}},
        }
    )
    return hashlib.sha256(decisive.encode()).hexdigest()


def _was_given(record: Path, terms: str) -> bool:
    return record.is_file() and record.read_text(encoding="utf-8") == terms
