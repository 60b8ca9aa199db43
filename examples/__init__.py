"""Workflows to try out; they ship with the plugin."""
