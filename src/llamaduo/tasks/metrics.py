"""Measures that cost nothing: no service LLM is asked."""

from __future__ import annotations


def exact_match(response: str, reference: str) -> bool:
    """Whether both say the same up to white space: runs count as one space, ends as none."""
    return response.split() == reference.split()
