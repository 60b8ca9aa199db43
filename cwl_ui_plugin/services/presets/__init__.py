"""Presets: inputs of a workflow that somebody keeps under a name, for themselves or for all who may run it."""
