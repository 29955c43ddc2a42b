"""Packing what a run leaves behind; nothing here holds a model in memory."""
