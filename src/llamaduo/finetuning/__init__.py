"""Pairs to checkpoint: obtain the local LLM and fine-tune it (Section 3.2)."""
