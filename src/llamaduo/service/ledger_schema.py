"""The ledger's tables: how they grew, and how an older or empty ledger is read like a new one."""

from __future__ import annotations

import sqlite3

SCHEMA = (
    """
    CREATE TABLE attempts (
      key TEXT NOT NULL,           -- sha256 of request
      attempt INTEGER NOT NULL,    -- from 1
      stage TEXT NOT NULL,
      model TEXT NOT NULL,         -- as configured
      state TEXT NOT NULL CHECK (state IN ('sent', 'answered', 'failed')),
      request TEXT NOT NULL,       -- canonical JSON; no header, no key, no address
      held_usd REAL NOT NULL,      -- what it counts against the budget
      status INTEGER,              -- HTTP status of the reply
      content_type TEXT,
      reply BLOB,                  -- the raw body
      error TEXT,                  -- why it failed
      snapshot TEXT,               -- the model that the reply names; set once it was read
      input_tokens INTEGER,
      output_tokens INTEGER,
      usd REAL,                    -- NULL when no price is known
      sent_at TEXT NOT NULL,
      ended_at TEXT,
      PRIMARY KEY (key, attempt)
    );
    CREATE UNIQUE INDEX one_answer ON attempts (key) WHERE state = 'answered'
    """,
    """
    ALTER TABLE attempts ADD COLUMN host TEXT;             -- where it was sent
    ALTER TABLE attempts ADD COLUMN bytes_out INTEGER;     -- size of the request body that left
    ALTER TABLE attempts ADD COLUMN pairs TEXT;            -- JSON list: whose text is in it
    ALTER TABLE attempts ADD COLUMN batch TEXT;            -- a row of batches
    ALTER TABLE attempts ADD COLUMN cached_tokens INTEGER; -- part of input_tokens
    ALTER TABLE attempts ADD COLUMN charged INTEGER;       -- failed, and may cost all the same
    ALTER TABLE attempts ADD COLUMN instead_of TEXT;       -- the key whose answer was of no use
    CREATE TABLE batches (
      id TEXT PRIMARY KEY,         -- ours
      model TEXT NOT NULL,
      handle TEXT,                 -- the provider's, as JSON; NULL until it answered
      state TEXT NOT NULL CHECK (state IN ('preparing', 'submitted', 'ended', 'lost')),
      created_at TEXT NOT NULL,
      ended_at TEXT
    );
    CREATE TABLE models (
      model TEXT NOT NULL,         -- as configured
      resolved TEXT NOT NULL,      -- what it stood for
      how TEXT NOT NULL CHECK (how IN ('listed', 'replied')),
      seen_at TEXT NOT NULL,
      PRIMARY KEY (model, resolved)
    );
    CREATE TABLE controls (
      purpose TEXT NOT NULL,       -- of a request that asked no question and was not paid
      host TEXT NOT NULL,
      bytes_out INTEGER NOT NULL,
      pairs TEXT,                  -- as in attempts
      sent_at TEXT NOT NULL
    );
    INSERT INTO models SELECT model, snapshot, 'replied', MIN(sent_at) FROM attempts
      WHERE snapshot IS NOT NULL GROUP BY model, snapshot ORDER BY MIN(rowid)
    """,
)
_BESIDE = """
    CREATE TEMP TABLE batches (id, model, handle, state, created_at, ended_at);
    CREATE TEMP TABLE models (model, resolved, how, seen_at);
    CREATE TEMP TABLE controls (purpose, host, bytes_out, pairs, sent_at)"""
_UNREADABLE_YET = {
    0: """
    CREATE TEMP TABLE attempts (key, attempt, stage, model, state, request, held_usd, status,
      content_type, reply, error, snapshot, input_tokens, output_tokens, usd, sent_at, ended_at,
      host, bytes_out, pairs, batch, cached_tokens, charged, instead_of);""",
    1: """
    CREATE TEMP VIEW attempts AS SELECT rowid AS rowid, *, NULL AS host, NULL AS bytes_out,
      NULL AS pairs, NULL AS batch, NULL AS cached_tokens, NULL AS charged, NULL AS instead_of
    FROM main.attempts;""",
}
"""How a ledger that must not be written to is read: one of schema 1, and one whose process died
before there was anything in it."""


def readable(connection: sqlite3.Connection) -> None:
    """Let a ledger of an older schema, which nobody may write to now, be read like ours."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = not connection.execute("SELECT 1 FROM sqlite_schema").fetchall()
    if version == 1 or (version == 0 and empty):
        connection.executescript(_UNREADABLE_YET[version] + _BESIDE)
