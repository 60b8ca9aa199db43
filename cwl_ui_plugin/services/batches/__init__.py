"""Batches: many runs of a workflow from one table of samples."""
