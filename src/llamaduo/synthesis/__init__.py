"""More pairs like the train split, written by the service LLM."""
