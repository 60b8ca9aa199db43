"""Processes of a machine: of which task they are, what they use, and how they are ended."""
