"""Stopping a run, proving it, and cleaning up after runs."""
