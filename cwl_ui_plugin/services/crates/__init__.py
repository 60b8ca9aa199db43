"""Runs as research objects: what was run, on what, by whom, with what outcome, as a Workflow Run RO-Crate."""
