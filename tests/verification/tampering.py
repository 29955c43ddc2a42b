"""Copies of a run with something changed in them, and the hashes made to match again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from llamaduo.storage.atomic import sha256_of

Change = Callable[[Any], Any]


def edit_json(path: Path, change: Change) -> None:
    """Change one JSON document; ``change`` may edit it in place or return another."""
    value = json.loads(path.read_text(encoding="utf-8"))
    changed = change(value)
    path.write_text(json.dumps(value if changed is None else changed), encoding="utf-8")


def edit_lines(path: Path, change: Change) -> None:
    """Change the records of a JSON Lines file, given as a list."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    changed = change(rows)
    rows = rows if changed is None else changed
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def edit_ledger(run: Path, sql: str, values: tuple[object, ...] = ()) -> int:
    """Change rows of the ledger; how many were changed."""
    with closing(sqlite3.connect(run / "ledger.sqlite")) as connection, connection:
        return connection.execute(sql, values).rowcount


def seal(run: Path) -> None:
    """Make every hash of the manifest that of the file as it is now, as a forger would."""

    def rehash(manifest: Any) -> None:
        for stage in manifest["stages"].values():
            for name in stage["files"]:
                stage["files"][name] = sha256_of(run / name)

    edit_json(run / "manifest.json", rehash)


def tree(run: Path) -> dict[str, tuple[int, str]]:
    """Every file below ``run`` with its time and hash."""
    return {
        str(path.relative_to(run)): (path.stat().st_mtime_ns, sha256_of(path))
        for path in sorted(run.rglob("*"))
        if path.is_file()
    }
