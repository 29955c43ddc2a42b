"""Personal data and secrets in text: found, counted, never shown; stand-ins for them, and back."""
