"""A recipe carried out in one process, with checkpoints that are gone on from exactly."""
