"""Judging, scores and the verdict: responses in, whether the target is met out."""
