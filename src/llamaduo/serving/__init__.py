"""A bundle behind the OpenAI API: engines, the queue before them, and the HTTP side."""
