"""The local LLM before it is trained: where it comes from, and what is made of it."""
