"""Putting things into object stores."""
