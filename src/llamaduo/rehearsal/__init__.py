"""The built-in service LLM: a program that runs everything offline, for nothing."""
