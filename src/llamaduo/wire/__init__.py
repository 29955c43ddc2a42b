"""The shapes of HTTP APIs, shared by whoever serves or answers them."""
