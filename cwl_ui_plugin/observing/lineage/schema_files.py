"""The JSON schemas of the plugin's own facets, and the address that each is at."""

from __future__ import annotations

from pathlib import Path

from cwl_ui_plugin import addresses
from cwl_ui_plugin.config import base_url

VERSION = "1-0-0"
"""Of all of them; a schema that changes gets another one, and the old file stays."""
FOLDER = Path(__file__).parent / "schemas"


def schema_url(name: str) -> str:
    """Return where a consumer finds the schema of a facet class."""
    return f"{base_url()}{addresses.LINEAGE_SCHEMAS}/{file_name(name)}#/$defs/{name}"


def file_name(name: str) -> str:
    """Return the name of the file with the schema of a facet class."""
    return f"{name}-{VERSION}.json"


def schema_file(name: str) -> Path | None:
    """Return the file of that name, if there is one."""
    return next((path for path in FOLDER.glob("*.json") if path.name == name), None)
