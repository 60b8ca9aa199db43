"""Container engines: which there are, what may run in them, which containers a task has."""
