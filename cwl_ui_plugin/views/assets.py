"""Scripts, styles and icons of the pages: addresses that browsers may keep, and which modules a module needs.

The version is in the path, and not in a query, so that modules which import each other by relative addresses are of one
version, too.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, url_for

from cwl_ui_plugin import addresses, resources

KEPT_SECONDS = 365 * 24 * 3600
VERSIONED = f"{addresses.STATIC}/v/<version>/<path:filename>"
_IMPORT = re.compile(r'^(?:import|export)\b(?:[^;"=]*\bfrom)? "\./([^"]+)"', re.MULTILINE)


def init_assets(blueprint: Blueprint) -> None:
    """Serve static files below their version, too, and give the templates ``asset`` and ``modules``."""

    @blueprint.route(VERSIONED, endpoint="asset")
    def asset_file(version: str, filename: str) -> Response:
        response = blueprint.send_static_file(filename)
        if version == assets_version():
            response.cache_control.no_cache = None
            response.cache_control.public = True
            response.cache_control.max_age = KEPT_SECONDS
            response.cache_control.immutable = True
        return response

    @blueprint.app_context_processor
    def known() -> dict[str, object]:
        return {"asset": asset, "modules": modules}


def asset(name: str) -> str:
    """Return the address of a static file, which changes whenever one of them does."""
    return url_for("cwl.asset", version=assets_version(), filename=name)


def modules(*names: str) -> list[str]:
    """Return these modules after all that they import, so that a browser can ask for all of them at once."""
    found: dict[str, None] = {}
    for name in names:
        _add_with_imports(name, found, [])
    return list(found)


def _add_with_imports(name: str, found: dict[str, None], within: list[str]) -> None:
    for imported in _imports(name):
        if imported not in found and imported not in within:
            _add_with_imports(imported, found, [*within, name])
    found[name] = None


@cache
def _imports(name: str) -> tuple[str, ...]:
    return tuple(_IMPORT.findall((_folder() / name).read_text(encoding="utf-8")))


@cache
def assets_version() -> str:
    """Return a digest of all static files, whose folders of other libraries are named by their versions."""
    digest = hashlib.sha256()
    for path in sorted(_folder().rglob("*")):
        if path.is_file() and path.suffix in (".js", ".css", ".svg"):
            digest.update(f"{path.relative_to(_folder())}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _folder() -> Path:
    return Path(resources.folder("static"))
