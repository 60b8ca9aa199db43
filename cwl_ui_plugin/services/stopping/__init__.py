"""Stopping a run, and proving it."""
