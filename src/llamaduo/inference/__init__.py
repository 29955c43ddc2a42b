"""Checkpoint and prompts to responses: K answers to every prompt (Section 3.3)."""
