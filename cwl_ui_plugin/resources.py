"""Where the shipped templates and static files are, from a checkout and from a wheel alike."""

from __future__ import annotations

from importlib.resources import files


def folder(name: str) -> str:
    """Return the path of ``templates``, ``static`` or ``examples``, which ship as sub-packages."""
    return str(files(f"cwl_ui_plugin.{name}"))
