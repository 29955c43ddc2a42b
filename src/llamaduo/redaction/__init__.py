"""Personal data and secrets in text: found, counted, never shown."""
