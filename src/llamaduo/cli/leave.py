"""Leave to spend: what a real run may cost is said before it costs anything."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import typer

from llamaduo.cli.estimate import describe, expected
from llamaduo.cli.session import Session
from llamaduo.config import Config
from llamaduo.errors import UsageError
from llamaduo.service.client import check_usable
from llamaduo.storage.atomic import write_atomic


def get_leave(session: Session, confirmed: bool) -> None:
    """Check that the service LLMs can be used, say what they may cost, and ask.

    Asks in a terminal; elsewhere it takes ``confirmed`` or a budget. Nothing is said when
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
    calls = expected(config, session)
    if all(call.usd == 0 for call in calls):
        return
    typer.echo(describe(calls, config), err=True)
    _ask(confirmed or config.limits.budget_usd is not None)
    write_atomic(record, terms)


def _ask(given: bool) -> None:
    if given:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "This run costs money, and nothing says that it may.",
            hint="Give --yes, or set limits.budget_usd; --rehearse runs it for nothing.",
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
