"""JSON without what Python's reader lets pass, see :mod:`cwl_ui_plugin.strict_json`."""

from __future__ import annotations

from cwl_ui_plugin.strict_json import is_text, loads

__all__ = ["is_text", "loads"]
