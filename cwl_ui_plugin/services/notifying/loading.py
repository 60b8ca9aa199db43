"""Importing what the site's configuration names."""

from __future__ import annotations

from importlib import import_module


def imported(path: str) -> object:
    """Return what a dotted path names; raise :class:`ImportError`."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ValueError, AttributeError):
        raise ImportError(f"there is no {path!r}") from None
