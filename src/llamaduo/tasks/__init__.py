"""What a task is: settings, prompt templates, words, and the measures that cost nothing."""
