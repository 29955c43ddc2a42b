"""Files that survive a crash: atomic writes, records, the run directory, the journal."""
