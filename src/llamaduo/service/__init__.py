"""The service LLM: one way out, on which every reply is in the ledger before it is read.

The way of a question, and the modules that it passes:

- in: ``protocol`` is the seam, ``client`` connects, ``lanes`` asks many at once, ``persistence``
  asks again when a reply is of no use; ``replay`` answers from a ledger alone.
- out: ``asking`` takes it through ``redacting``, ``requests`` (its key), ``pacing/`` or ``batch/``,
  ``budget`` and ``ledger`` to ``providers/`` and ``transport``; ``egress`` says what may leave.
- back: ``reading`` and ``parsing`` for replies; ``refusals``, ``setbacks`` and ``retry`` for what
  went wrong; ``leaving`` and ``telling`` for waits that must end, or be spoken of.
- the ledger: ``ledger`` writes, ``calls`` and ``spending`` read, with ``ledger_schema`` and
  ``entries``.
- who and how much: ``settings``, ``address``, ``credentials``, ``secrets``, ``masking``,
  ``options``, ``aliases``; ``pricing``, ``tokens``.
"""
