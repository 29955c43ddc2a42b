"""Google's rate limits: so much in a minute's window, and no headers at all."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

from llamaduo.rehearsal.admission import JSON, MINUTE, Admission, Asked, Clock, encoded


class GeminiLimiter:
    """Requests and input tokens in the minute past (``sliding``) or of the clock (``fixed``).

    ``says``: what a refusal tells: ``all`` (the quota and the delay, as AI Studio does), the
    ``delay`` alone, or ``nothing``, as Vertex does.
    """

    def __init__(
        self,
        limits: Mapping[str, int],
        clock: Clock = time.time,
        *,
        window: Literal["fixed", "sliding"] = "sliding",
        says: Literal["all", "delay", "nothing"] = "all",
    ) -> None:
        self._limits = dict(limits)
        self._clock = clock
        self._fixed = window == "fixed"
        self._says = says
        self._past: deque[tuple[float, Mapping[str, float]]] = deque()
        self._used = dict.fromkeys(("requests", "input_tokens"), 0.0)

    def admit(self, asked: Asked) -> Admission:
        now = self._clock()
        self._forget(now)
        charges = {"requests": 1.0, "input_tokens": float(asked.input_tokens)}
        for name, limit in self._limits.items():
            if self._used[name] + charges[name] > limit:
                delay = self._free_in(now, name, charges[name], limit)
                return Admission(False, dict(JSON), 429, self._body(name, limit, delay))
        self._past.append((now, charges))
        for name, amount in charges.items():
            self._used[name] += amount
        return Admission(True)

    def delivered(self, output_tokens: int) -> None:
        """Nothing: output is not limited."""

    def change(self, limits: Mapping[str, int]) -> None:
        self._limits.update(limits)

    def _forget(self, now: float) -> None:
        start = math.floor(now / MINUTE) * MINUTE if self._fixed else now - MINUTE
        while self._past and (self._past[0][0] < start or self._past[0][0] <= now - MINUTE):
            for name, amount in self._past.popleft()[1].items():
                self._used[name] -= amount

    def _free_in(self, now: float, name: str, amount: float, limit: float) -> float:
        """Seconds until ``amount`` fits."""
        if self._fixed:
            return MINUTE - now % MINUTE
        surplus = self._used[name] + amount - limit
        for at, charges in self._past:
            surplus -= charges[name]
            if surplus <= 0.0:
                return at + MINUTE - now
        return MINUTE

    def _body(self, name: str, limit: int, delay: float) -> bytes:
        what = {"requests": "paid_tier_requests", "input_tokens": "paid_tier_input_token_count"}[
            name
        ]
        quota = {
            "requests": "GenerateRequestsPerMinutePerProjectPerModel-PaidTier",
            "input_tokens": "GenerateContentPaidTierInputTokensPerModelPerMinute",
        }[name]
        metric = f"generativelanguage.googleapis.com/generate_content_{what}"
        violation = {"quotaMetric": metric, "quotaId": quota, "quotaValue": str(limit)}
        known = "type.googleapis.com/google.rpc."
        details: list[dict[str, Any]] = []
        if self._says == "all":
            details.append({"@type": f"{known}QuotaFailure", "violations": [violation]})
        if self._says != "nothing":
            details.append({"@type": f"{known}RetryInfo", "retryDelay": f"{math.ceil(delay)}s"})
        # The same words as for a quota that is used up for good: only the details tell.
        message = (
            "You exceeded your current quota, please check your plan and billing details."
            f" Quota exceeded for metric: {metric}, limit: {limit} Please retry in {delay}s."
            if self._says == "all"
            else "Resource exhausted. Please try again later."
        )
        error = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED"}
        return encoded({"error": error | ({"details": details} if details else {})})
