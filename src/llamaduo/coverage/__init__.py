"""Files or exchanges in, a coverage dataset out: import, split, measure."""
