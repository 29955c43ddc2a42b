"""Thin commands over the corridor and its rooms."""
