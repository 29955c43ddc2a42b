"""Leave to spend: what a real run may cost is said before it costs anything."""

from __future__ import annotations

import sys

import typer

from llamaduo.cli.estimate import describe, expected
from llamaduo.cli.session import Session
from llamaduo.config import read_resolved
from llamaduo.errors import UsageError
from llamaduo.service.client import check_usable
from llamaduo.service.ledger import read_spend


def get_leave(session: Session, confirmed: bool) -> None:
    """Check that the service LLMs can be used, say what they may cost, and ask.

    Asks in a terminal; elsewhere it takes ``confirmed`` or a budget. Nothing is said when
    nothing can be spent, or when this run was agreed to and its limits are what they were.

    Raises:
        UsageError: a key or an SDK is missing, a budget cannot be kept, or there is no leave.
    """
    if session.rehearse:
        return
    config = session.real
    for settings in (config.service, *config.judges):
        check_usable(settings, config.limits.budget_usd)
    calls = expected(config, session.root)
    if _is_agreed(session) or all(call.usd == 0 for call in calls):
        return
    typer.echo(describe(calls, config), err=True)
    if confirmed or config.limits.budget_usd is not None:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "This run costs money, and nothing says that it may.",
            hint="Give --yes, or set limits.budget_usd; --rehearse runs it for nothing.",
        )
    typer.confirm("Start?", abort=True, err=True)


def _is_agreed(session: Session) -> bool:
    """Whether this run has spent before, within the same limits."""
    directory = session.directory
    if not directory.ledger.is_file() or not read_spend(directory.ledger):
        return False
    before, _ = read_resolved(directory.configuration)
    return before.limits == session.real.limits
