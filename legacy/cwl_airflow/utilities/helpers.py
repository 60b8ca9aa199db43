"""Compressing workflows, as scripts that write Dag files of CWL-Airflow do."""

from __future__ import annotations

import base64
import gzip
import json
from typing import IO, Any

from cwl_ui_plugin.library.compressed import decompressed

_MOST_BYTES = 1 << 28


def get_compressed(data: Any, *, reset_position: bool = False) -> str:
    """Return a text, an open file or a JSON value as base64 of what gzip makes of it."""
    if hasattr(data, "read"):
        data = _content(data, reset_position)
    text = data if isinstance(data, str) else json.dumps(data)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def get_uncompressed(data: str, *, parse_as_yaml: bool = False) -> Any:
    """Return the text again, or the value that it is as YAML; raise ``BadUpload`` for what is not compressed."""
    text = decompressed(data, _MOST_BYTES).decode()
    if not parse_as_yaml:
        return text
    import yaml

    return yaml.safe_load(text)


def _content(stream: IO[str], reset_position: bool) -> str:
    if reset_position:
        stream.seek(0)
    return stream.read()
