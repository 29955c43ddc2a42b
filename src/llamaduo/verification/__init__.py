"""Whether a run is what it says: everything that follows from its records, derived again."""
